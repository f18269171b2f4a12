import {
  CryptoRefusal,
  generateKeyBundle,
  type KeyBundle,
  keyBundleOf,
  openFormat5,
  resealFormat5,
  sealCollectionKeys,
} from '#lib/crypto';
import type { Bso } from '#lib/protocol';
import { isOvertaken } from '../client-error.ts';
import { CLIENTS, tellOthers } from './clients-collection.ts';
import type { LocalRecords } from './local-records.ts';
import { type MetaGlobal, newMetaGlobal, newSyncId } from './meta-global.ts';
import { forgetStore, openKeys, takeKeys } from './store-state.ts';
import { hasData, type Ready, remembered, type Run, SyncClient } from './sync-client.ts';
import { newEngineMemory } from './sync-memory.ts';
import { SyncStop } from './sync-stop.ts';
import type { NewBso } from './sync-store.ts';
import { upload } from './upload.ts';

/** What a change of keys did. */
export interface Rotated {
  /** How many records were put under the new keys. */
  resealed: number;
  /** `collection/id` of records that were under none of the keys that are known; they were left alone. */
  unreadable: string[];
}

const ATTEMPTS = 20;
const OWN = new Set(['meta', 'crypto']);

/**
 * A client that manages keys: it sets up an empty store, gives each new collection a key of its own, changes
 * keys, and begins a store anew. It never begins one anew by itself while there are records in it.
 *
 * @see sync.md §7.1 to §7.3; docs/protocol/sync-format.md
 */
export class Tier1Client extends SyncClient {
  /**
   * Changes every key of the store and puts every record under the new ones, whatever it is and whoever wrote
   * it. A change that was interrupted is finished by the next call of anything.
   *
   * @throws SyncStop `busy` when somebody else changes keys or records all the time
   */
  async rotateKeys(): Promise<Rotated> {
    const run = await this.begin(false);
    const ready = await this.resume(run, await this.prepare(run));
    const from = run.memory.keys;
    if (!from) throw new TypeError('A store that is ready has keys.');
    const names = [...ready.times.keys()].filter((name) => !OWN.has(name) && name !== CLIENTS);
    const collections = new Map(names.map((name) => [name, generateKeyBundle()]));
    const keys = { default: generateKeyBundle(), collections };
    const to = sealCollectionKeys(keys, this.syncKey);
    // Kept first: without the old keys nobody could move what is under them.
    run.memory.rotation = { from: from.payload, to };
    await run.save();
    await this.#writeKeys(run, to).catch((cause: unknown) => {
      if (!isOvertaken(cause)) throw cause;
      throw new SyncStop('busy', 'Somebody else changed the keys.', { cause });
    });
    return this.#reseal(run, await this.prepare(run));
  }

  /**
   * Deletes everything in the store and begins it anew, with new keys. What other devices have is uploaded
   * again by their next sync.
   */
  async reset(): Promise<void> {
    const run = await this.begin(false);
    await this.store.deleteEverything();
    forgetStore(run.memory, this.syncKey);
    await run.save();
    await this.prepare(run);
  }

  /**
   * Empties a collection everywhere: on the server, here, and on every other device with its next sync. What
   * is here is set aside.
   *
   * @returns how many other devices were told
   */
  async wipe(local: LocalRecords): Promise<number> {
    const { name } = local;
    // Declined until everybody is told, so that no device uploads again what is being deleted.
    const { run, ready } = await this.#decline(name);
    const told = await tellOthers(this.clients(run, ready), {
      command: 'wipeEngine',
      args: [name],
    });
    await this.store.deleteCollection(name);
    const { digests, unreadable } = await local.list();
    for (const id of [...digests.keys(), ...unreadable.keys()]) await local.setAside(id, 'wiped');
    const syncID = newSyncId();
    const { meta } = await this.changeMeta(run, ready, (now) => ({
      ...now,
      engines: { ...now.engines, [name]: { version: 1, syncID } },
      declined: now.declined.filter((other) => other !== name),
    }));
    run.memory.engines[name] = newEngineMemory(meta.engines[name]?.syncID ?? syncID);
    await run.save();
    return told;
  }

  /** Says that a collection is not wanted anywhere, and deletes it on the server. Devices keep what they have. */
  async decline(collection: string): Promise<void> {
    await this.#decline(collection);
    await this.store.deleteCollection(collection);
  }

  /** Takes back that a collection is not wanted; whoever has it uploads it again. */
  async accept(collection: string): Promise<void> {
    const run = await this.begin(false);
    await this.changeMeta(run, await this.prepare(run), (meta) => ({
      ...meta,
      declined: meta.declined.filter((name) => name !== collection),
    }));
  }

  async #decline(collection: string) {
    const run = await this.begin(false);
    const before = await this.resume(run, await this.prepare(run));
    const ready = await this.changeMeta(run, before, (meta) => ({
      ...meta,
      engines: Object.fromEntries(
        Object.entries(meta.engines).filter(([name]) => name !== collection),
      ),
      declined: [...new Set([...meta.declined, collection])],
    }));
    return { run, ready };
  }

  /** An empty store is begun; what the server has lost is put back; records of nobody are left alone. */
  protected async missingMeta(run: Run, times: Ready['times']): Promise<Ready | undefined> {
    const { meta, keys } = remembered(run, this.syncKey);
    if (!meta && hasData(times)) {
      const detail = 'There are records but no meta/global: reset the store to begin it anew.';
      throw new SyncStop('not-set-up', detail);
    }
    const isLoss = meta !== undefined && times.size > 0;
    const fresh = newMetaGlobal();
    if (run.dryRun) {
      const value = isLoss ? meta.value : fresh;
      return { times, meta: value, keys: (isLoss && keys?.value) || newKeys() };
    }
    if (!isLoss && times.has('crypto')) {
      // Keys of a store that is gone: a new one begins with new ones.
      await this.store.deleteCollection('crypto', { unmodifiedSince: times.get('crypto') });
    }
    const payload = isLoss ? meta.payload : JSON.stringify(fresh);
    await this.store.put('meta', { id: 'global', payload }, { unmodifiedSince: 0 });
    return undefined;
  }

  protected async missingKeys(
    run: Run,
    times: Ready['times'],
    meta: MetaGlobal,
  ): Promise<Ready | undefined> {
    const { keys } = remembered(run, this.syncKey);
    if (!keys && hasData(times)) {
      const detail = 'There are records but no keys for them: sync a device that knows the keys.';
      throw new SyncStop('keys-missing', detail);
    }
    const fresh = newKeys();
    if (run.dryRun) return { times, meta, keys: keys?.value ?? fresh };
    const payload = keys?.payload ?? sealCollectionKeys(fresh, this.syncKey);
    await this.store.put('crypto', { id: 'keys', payload }, { unmodifiedSince: 0 });
    return undefined;
  }

  /** A key of its own keeps the server from showing a record of one collection in another. */
  protected async provideKeys(
    run: Run,
    ready: Ready,
    collections: readonly string[],
  ): Promise<Ready> {
    let now = ready;
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { times, keys } = now;
      const due = collections.filter((name) => !times.has(name) && !keys.collections.has(name));
      if (due.length === 0) return now;
      const added = due.map((name) => [name, generateKeyBundle()] as const);
      const next = { ...keys, collections: new Map([...keys.collections, ...added]) };
      try {
        await this.#writeKeys(run, sealCollectionKeys(next, this.syncKey));
        return { ...now, keys: next };
      } catch (error) {
        if (!isOvertaken(error)) throw error;
        now = await this.prepare(run);
      }
    }
    throw new SyncStop('busy', 'Others keep changing the keys.');
  }

  protected async replaceOlder(collection: string): Promise<boolean> {
    await this.store.deleteCollection(collection);
    return true;
  }

  protected async resume(run: Run, ready: Ready): Promise<Ready> {
    const { rotation, keys } = run.memory;
    if (!rotation) return ready;
    if (keys?.payload === rotation.from) {
      run.memory.rotation = undefined; // it had not begun
      await run.save();
      return ready;
    }
    await this.#reseal(run, ready);
    return this.prepare(run);
  }

  async #writeKeys(run: Run, payload: string): Promise<void> {
    const unmodifiedSince = run.memory.keys?.time ?? 0;
    const time = await this.store.put('crypto', { id: 'keys', payload }, { unmodifiedSince });
    takeKeys(run.memory, { time, payload }, this.syncKey);
    await run.save();
  }

  /** Puts every record that is under keys of the change under those that stand. */
  async #reseal(run: Run, { times, keys }: Ready): Promise<Rotated> {
    const { rotation } = run.memory;
    const done: Rotated = { resealed: 0, unreadable: [] };
    if (!rotation) return done;
    const before = [rotation.from, rotation.to].map((payload) => openKeys(payload, this.syncKey));
    for (const name of times.keys()) {
      if (OWN.has(name)) continue;
      const from = before.map((older) => keyBundleOf(older, name));
      await this.#resealCollection(name, { from, to: keyBundleOf(keys, name) }, done);
    }
    run.memory.rotation = undefined;
    await run.save();
    return done;
  }

  async #resealCollection(
    collection: string,
    keys: { from: readonly KeyBundle[]; to: KeyBundle },
    done: Rotated,
  ): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const unreadable: string[] = [];
      let offset: string | undefined;
      try {
        do {
          const page = await this.store.page(collection, { offset });
          const moved = page.records.flatMap((bso) => {
            const outcome = moveRecord(bso, keys);
            if (outcome === 'unreadable') unreadable.push(`${collection}/${bso.id}`);
            return typeof outcome === 'string' ? [] : [outcome];
          });
          if (moved.length > 0) {
            await upload(this.store, {
              ...{ collection, unmodifiedSince: page.modified, records: each(moved) },
              onStored: (ids) => {
                done.resealed += ids.length;
                return Promise.resolve();
              },
            });
          }
          offset = page.next;
        } while (offset !== undefined);
        done.unreadable.push(...unreadable);
        return;
      } catch (error) {
        if (!isOvertaken(error)) throw error;
      }
    }
    throw new SyncStop('busy', `Others keep writing to ${collection}.`);
  }
}

/** The record under the key that stands, or why there is nothing to move. */
function moveRecord(
  { id, payload }: Bso,
  { from, to }: { from: readonly KeyBundle[]; to: KeyBundle },
): NewBso | 'done' | 'unreadable' {
  if (opens(() => openFormat5(payload, { id, bundle: to }))) return 'done';
  for (const bundle of from) {
    const moved = opens(() => resealFormat5(payload, { id, from: bundle, to }));
    if (moved !== undefined) return { id, payload: moved };
  }
  return 'unreadable';
}

function opens<T>(open: () => T): T | undefined {
  try {
    return open();
  } catch (error) {
    if (error instanceof CryptoRefusal) return undefined;
    throw error;
  }
}

const newKeys = () => ({
  default: generateKeyBundle(),
  collections: new Map<string, KeyBundle>(),
});

// eslint-disable-next-line @typescript-eslint/require-await -- uploads read streams
async function* each<T>(items: readonly T[]) {
  yield* items;
}
