import { type CollectionKeys, type KeyBundle, keyBundleFromBytes, keyBundleOf } from '#lib/crypto';
import { isOvertaken } from '../client-error.ts';
import {
  announce,
  CLIENTS,
  noteDone,
  readClients,
  type SyncCommand,
} from './clients-collection.ts';
import {
  type CollectionProgress,
  type CollectionReport,
  emptyReport,
  syncCollection,
} from './collection-sync.ts';
import type { LocalRecords } from './local-records.ts';
import { engineIn, type MetaGlobal, newSyncId, readMetaGlobal } from './meta-global.ts';
import { openKeys, type Seen, takeKeys, takeMeta } from './store-state.ts';
import {
  type EngineMemory,
  newEngineMemory,
  newSyncMemory,
  type SyncMemory,
  type SyncMemoryKeeper,
} from './sync-memory.ts';
import { SyncStop } from './sync-stop.ts';
import { type SyncCredentials, SyncStore } from './sync-store.ts';

/** A store that may be used: what it holds, and the keys for it. */
export interface Ready {
  /** Of each collection, in seconds. */
  times: ReadonlyMap<string, number>;
  meta: MetaGlobal;
  keys: CollectionKeys;
}

/** How a sync is to go. */
export interface SyncOptions {
  /** Changes nothing, here or on the server, and reports what would be done. */
  dryRun?: boolean;
  onProgress?: (progress: CollectionProgress) => void;
}

/** What a sync did. */
export interface SyncReport {
  collections: CollectionReport[];
  /** What other devices asked this one to do, and what was done. */
  commands: SyncCommand[];
}

/** What a client is made of. */
export interface SyncClientInput extends SyncCredentials {
  /** What other devices call this one. */
  name: string;
  keeper: SyncMemoryKeeper;
}

const ATTEMPTS = 8;
const ENGINE_VERSION = 1;
/** Collections that belong to the store itself, or say nothing that a reset would lose. */
const NO_DATA = new Set(['meta', 'crypto', CLIENTS]);

/** The work of one call, with the memory that it changes. */
export interface Run {
  memory: SyncMemory;
  dryRun: boolean;
  save: () => Promise<void>;
}

/**
 * What both tiers do alike: read the store's own records and check them, agree on engines, carry out commands,
 * bring collections into step. They differ in what they do about a store that is not complete.
 *
 * @see sync.md §7; docs/protocol/sync-format.md
 */
export abstract class SyncClient {
  protected readonly store: SyncStore;
  protected readonly syncKey: KeyBundle;
  readonly #keeper: SyncMemoryKeeper;
  readonly #name: string;

  constructor(input: SyncClientInput) {
    this.store = new SyncStore(input);
    this.syncKey = keyBundleFromBytes(input.key.k);
    this.#keeper = input.keeper;
    this.#name = input.name;
  }

  /**
   * Deals with a store that has no `meta/global`; afterwards it is read again. With `dryRun` it may give what
   * would be there instead.
   */
  protected abstract missingMeta(run: Run, times: Ready['times']): Promise<Ready | undefined>;

  /** Deals with a store that has no `crypto/keys`, as {@link missingMeta}. */
  protected abstract missingKeys(
    run: Run,
    times: Ready['times'],
    meta: MetaGlobal,
  ): Promise<Ready | undefined>;

  /** Sees to it that collections that do not exist yet have the keys they are to have. */
  protected abstract provideKeys(
    run: Run,
    ready: Ready,
    collections: readonly string[],
  ): Promise<Ready>;

  /** Deals with a collection of an older version; whether it may be used afterwards, as a new one. */
  protected abstract replaceOlder(collection: string): Promise<boolean>;

  /** Finishes what an earlier call began. */
  protected abstract resume(run: Run, ready: Ready): Promise<Ready>;

  /**
   * Brings collections into step with the store, `clients` and its commands first.
   *
   * @throws SyncStop, IntegrityError when the store as a whole cannot be used; what is wrong with single records
   * is in the report
   */
  async sync(locals: readonly LocalRecords[], options: SyncOptions = {}): Promise<SyncReport> {
    const { dryRun = false, onProgress } = options;
    const run = await this.begin(dryRun);
    const versions = new Map(locals.map(({ name, version }) => [name, version]));
    let ready = await this.prepare(run);
    if (!dryRun) ready = await this.resume(run, ready);
    ready = await this.#enroll(run, ready, versions);
    const listed = [...versions.keys()].filter((name) => engineIn(ready.meta, name));
    const isNew = (name: string) => !ready.times.has(name) && !ready.keys.collections.has(name);
    if (!dryRun) ready = await this.provideKeys(run, ready, listed.filter(isNew));
    const commands = await this.#obey(run, ready, locals);
    const collections: CollectionReport[] = [];
    for (const local of locals) {
      const sync = () => this.#syncOne(run, ready, local, onProgress);
      let report = await sync();
      const isForged = report.refused.some(({ error }) => error.code === 'SYNC_RECORD_FORGED');
      if (isForged && (await this.store.times()).get('crypto') !== ready.times.get('crypto')) {
        ready = await this.prepare(run); // the keys changed meanwhile
        report = await sync();
      }
      collections.push(report);
    }
    await run.save();
    return { collections, commands };
  }

  /** The collections that the store lists; none when it is not set up. */
  async collections(): Promise<string[]> {
    const seen = await this.store.get('meta', 'global');
    return seen ? Object.keys(readMetaGlobal(seen.payload).engines) : [];
  }

  /** What the store holds; undefined when it is not set up. Nothing is changed. */
  async describe(): Promise<Ready | undefined> {
    const seen = await this.store.get('meta', 'global');
    return seen && this.prepare(await this.begin(true));
  }

  /** Takes up the memory; with `dryRun`, one that is not kept. */
  protected async begin(dryRun: boolean): Promise<Run> {
    const memory = (await this.#keeper.load()) ?? newSyncMemory();
    this.store.pauseUntil = Math.max(this.store.pauseUntil, memory.pauseUntil ?? 0);
    const save = () => {
      memory.pauseUntil = this.store.pauseUntil;
      return dryRun ? Promise.resolve() : this.#keeper.save(memory);
    };
    return { memory, dryRun, save };
  }

  /** Reads the store's own records until they are complete. @throws SyncStop, IntegrityError */
  protected async prepare(run: Run): Promise<Ready> {
    this.store.expectNoPause();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const times = await this.store.times();
      const seenMeta = await this.#read(times, 'meta', 'global', run.memory.meta);
      if (!seenMeta) {
        const would = await followWinner(() => this.missingMeta(run, times));
        if (would) return would;
        continue;
      }
      const meta = takeMeta(run.memory, seenMeta, this.syncKey);
      const seenKeys = await this.#read(times, 'crypto', 'keys', run.memory.keys);
      if (!seenKeys) {
        const would = await followWinner(() => this.missingKeys(run, times, meta));
        if (would) return would;
        continue;
      }
      const keys = takeKeys(run.memory, seenKeys, this.syncKey);
      await run.save();
      return { times, meta, keys };
    }
    throw new SyncStop('busy', 'Others keep setting up the store.');
  }

  /** Replaces `meta/global`, unless somebody else has. @throws ClientError with status 412 */
  protected async writeMeta({ memory, save }: Run, meta: MetaGlobal): Promise<void> {
    const payload = JSON.stringify(meta);
    const unmodifiedSince = memory.meta?.time ?? 0;
    const time = await this.store.put('meta', { id: 'global', payload }, { unmodifiedSince });
    takeMeta(memory, { time, payload }, this.syncKey);
    await save();
  }

  /** Changes `meta/global` as often as it takes to be the one who changes it. */
  protected async changeMeta(
    run: Run,
    ready: Ready,
    change: (meta: MetaGlobal) => MetaGlobal,
  ): Promise<Ready> {
    let now = ready;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const meta = change(now.meta);
      if (JSON.stringify(meta) === JSON.stringify(now.meta)) return now;
      try {
        await this.writeMeta(run, meta);
        return { ...now, meta };
      } catch (error) {
        if (!isOvertaken(error)) throw error;
        now = await this.prepare(run);
      }
    }
    throw new SyncStop('busy', 'Others keep changing meta/global.');
  }

  /** The memory of a collection that is in `meta/global`. */
  protected engineOf({ memory }: Run, { meta }: Ready, name: string): EngineMemory {
    const syncID = engineIn(meta, name)?.syncID ?? '';
    const known = Object.hasOwn(memory.engines, name) ? memory.engines[name] : undefined;
    if (known?.syncID === syncID) return known;
    return (memory.engines[name] = newEngineMemory(syncID));
  }

  /** The parts of `clients` that its functions need. */
  protected clients(run: Run, ready: Ready) {
    const bundle = keyBundleOf(ready.keys, CLIENTS);
    const engine = this.engineOf(run, ready, CLIENTS);
    return { store: this.store, bundle, memory: run.memory, engine };
  }

  /** One of the two own records: from memory, when the server says that nothing changed. */
  async #read(
    times: Ready['times'],
    collection: string,
    id: string,
    remembered: Seen | undefined,
  ): Promise<Seen | undefined> {
    const time = times.get(collection);
    if (time === undefined) return undefined;
    if (remembered?.time === time) return remembered;
    const bso = await this.store.get(collection, id);
    return bso && { time: bso.modified, payload: bso.payload };
  }

  /** Enters the collections into `meta/global` that are not in it. */
  async #enroll(
    run: Run,
    ready: Ready,
    versions: ReadonlyMap<string, number | undefined>,
  ): Promise<Ready> {
    const wanted = new Map<string, number | undefined>([[CLIENTS, ENGINE_VERSION], ...versions]);
    const older = new Set<string>();
    for (const [name, version] of wanted) {
      const found = engineIn(ready.meta, name);
      const isOlder = found && version !== undefined && found.version < version;
      if (isOlder && !run.dryRun && (await this.replaceOlder(name))) older.add(name);
    }
    const enter = (meta: MetaGlobal): MetaGlobal => {
      const engines = { ...meta.engines };
      for (const [name, version = ENGINE_VERSION] of wanted) {
        if (meta.declined.includes(name)) continue;
        const found = engineIn(meta, name);
        const isDue = !found || (older.has(name) && found.version < version);
        if (isDue) engines[name] = { version, syncID: newSyncId() };
      }
      return { ...meta, engines };
    };
    return run.dryRun ? { ...ready, meta: enter(ready.meta) } : this.changeMeta(run, ready, enter);
  }

  /** Carries out what other devices asked for, and says that this one was here. */
  async #obey(run: Run, ready: Ready, locals: readonly LocalRecords[]): Promise<SyncCommand[]> {
    if (ready.meta.declined.includes(CLIENTS)) return [];
    const place = this.clients(run, ready);
    const { commands } = await readClients(place);
    if (run.dryRun) return commands;
    for (const command of commands) {
      for (const local of locals) await this.#carryOut(run, ready, command, local);
    }
    // Before the server hears of it: a command that is repeated would hit what came after it.
    noteDone(run.memory, commands);
    await run.save();
    await announce(place, this.#name);
    await run.save();
    return commands;
  }

  async #carryOut(run: Run, ready: Ready, { command, args }: SyncCommand, local: LocalRecords) {
    const concerns = command.endsWith('All') || args.includes(local.name);
    if (!concerns || !/^(wipe|reset)(All|Engine)$/.test(command)) return;
    if (command.startsWith('wipe')) {
      const { digests, unreadable } = await local.list();
      const ids = [...digests.keys(), ...unreadable.keys()];
      for (const id of ids) await local.setAside(id, 'wiped');
    }
    const { syncID } = this.engineOf(run, ready, local.name);
    run.memory.engines[local.name] = newEngineMemory(syncID);
  }

  async #syncOne(
    run: Run,
    ready: Ready,
    local: LocalRecords,
    onProgress: SyncOptions['onProgress'],
  ): Promise<CollectionReport> {
    const { name, version } = local;
    const engine = engineIn(ready.meta, name);
    if (!engine) return emptyReport(name, 'declined');
    if (version !== undefined && engine.version !== version) {
      return emptyReport(name, engine.version > version ? 'newer-version' : 'older-version');
    }
    return syncCollection({
      store: this.store,
      local,
      bundle: keyBundleOf(ready.keys, name),
      engine: this.engineOf(run, ready, name),
      save: run.save,
      remoteTime: ready.times.get(name),
      dryRun: run.dryRun,
      onProgress,
    });
  }
}

/** Whether there are records that a new beginning would lose. */
export const hasData = (times: Ready['times']): boolean =>
  [...times.keys()].some((name) => !NO_DATA.has(name));

/** What a client may put back that the server has lost: its own records, as they were last read. */
export function remembered({ memory }: Run, syncKey: KeyBundle) {
  const { meta, keys } = memory;
  return {
    meta: meta && { ...meta, value: readMetaGlobal(meta.payload) },
    keys: keys && { ...keys, value: openKeys(keys.payload, syncKey) },
  };
}

/** Runs what several may do at once; whoever is second reads what the first has done. */
async function followWinner<T>(run: () => Promise<T>): Promise<T | undefined> {
  try {
    return await run();
  } catch (error) {
    if (isOvertaken(error)) return undefined;
    throw error;
  }
}
