import { type KeyBundle, sealFormat5, utf8 } from '#lib/crypto';
import type { Bso } from '#lib/protocol';
import { IntegrityError, isOvertaken } from '../client-error.ts';
import { type LocalList, type LocalRecords, recordDigest } from './local-records.ts';
import { expectNews, macOf, openRecord } from './open-record.ts';
import { reconcile } from './reconcile.ts';
import { type EngineMemory, knownAfter } from './sync-memory.ts';
import { SyncStop } from './sync-stop.ts';
import type { NewBso, SyncStore } from './sync-store.ts';
import { upload } from './upload.ts';

/** What a sync did, or with `dryRun` would do, in one collection. */
export interface CollectionReport {
  collection: string;
  /** Everything but `synced`: nothing was touched. */
  status: 'synced' | 'declined' | 'newer-version' | 'older-version';
  /** Ids whose version of the server was taken, and those that were removed here. */
  received: string[];
  removed: string[];
  /** Ids that went to the server, and those that were deleted there. */
  sent: string[];
  deleted: string[];
  /** Ids whose version here was set aside for the server's. */
  conflicts: string[];
  /** Records of the server that did not pass a check, and why. Nothing of them was used. */
  refused: { id: string; error: IntegrityError }[];
  /** Records that could not be read here, or that the server did not take, and why. */
  skipped: { id: string; why: string }[];
  /** Whether the server lost changes that it had before. */
  wentBack: boolean;
}

/** How far a collection is. */
export interface CollectionProgress {
  collection: string;
  received: number;
  sent: number;
}

/** What is needed to bring one collection into step. */
export interface CollectionSyncInput {
  store: SyncStore;
  local: LocalRecords;
  bundle: KeyBundle;
  /** Changed as the sync goes on. */
  engine: EngineMemory;
  /** Keeps the memory, of which `engine` is a part. */
  save: () => Promise<void>;
  /** The collection's time on the server; undefined when there is none. */
  remoteTime: number | undefined;
  dryRun: boolean;
  onProgress?: ((progress: CollectionProgress) => void) | undefined;
}

const ATTEMPTS = 5;
/** No client makes such an id, and a memory of JSON cannot hold it. */
const NO_ID = '__proto__';
/** Differs from every digest: this device's version is to be sent, whatever the server has. */
const UNKNOWN = '';

export const emptyReport = (
  collection: string,
  status: CollectionReport['status'],
): CollectionReport => ({
  ...{ collection, status },
  ...{ received: [], removed: [], sent: [], deleted: [] },
  ...{ conflicts: [], refused: [], skipped: [], wentBack: false },
});

/**
 * Brings one collection into step: takes what is new on the server, oldest first, and sends what is new here.
 * The memory is kept after each page and each batch, so that an interrupted sync goes on where it was. When
 * somebody writes in between, the upload is refused and everything is compared again.
 *
 * @throws SyncStop `busy` when others do not stop writing
 */
export async function syncCollection(input: CollectionSyncInput): Promise<CollectionReport> {
  const sync = new CollectionSync(input, await input.local.list());
  for (let attempt = 1; ; attempt++) {
    await sync.download();
    try {
      await sync.upload();
      return sync.report;
    } catch (error) {
      if (!isOvertaken(error)) throw error;
      if (attempt === ATTEMPTS) {
        const detail = `Others keep writing to ${input.local.name}.`;
        throw new SyncStop('busy', detail, { cause: error });
      }
      sync.expectMore();
    }
  }
}

class CollectionSync {
  readonly report: CollectionReport;
  readonly #input: CollectionSyncInput;
  readonly #list: LocalList;
  #remoteTime: number | undefined;

  constructor(input: CollectionSyncInput, list: LocalList) {
    this.#input = input;
    this.#list = list;
    this.#remoteTime = input.remoteTime;
    this.report = emptyReport(input.local.name, 'synced');
    if (list.digests.delete(NO_ID)) list.unreadable.set(NO_ID, 'Its name is no id of a record.');
    for (const [id, why] of list.unreadable) this.#skip(id, why);
  }

  /** Says that the server has more than was read. */
  expectMore(): void {
    this.#remoteTime = Number.POSITIVE_INFINITY;
  }

  async download(): Promise<void> {
    const { engine, save } = this.#input;
    const remoteTime = this.#remoteTime;
    for (const id of [...engine.refused]) await this.#askAgain(id);
    if (remoteTime !== undefined && remoteTime === engine.time) return;
    const wentBack = (remoteTime ?? 0) < engine.time;
    if (wentBack) {
      this.report.wentBack = true;
      engine.time = 0;
    }
    const seen = remoteTime === undefined ? new Set<string>() : await this.#readPages();
    if (wentBack) {
      const lost = Object.keys(engine.records).filter((id) => !seen.has(id));
      for (const id of lost) Reflect.deleteProperty(engine.records, id);
    }
    await save();
  }

  /** Reads pages until one snapshot of the collection is complete. @returns the ids it had */
  async #readPages(): Promise<Set<string>> {
    const { store, local, engine, save } = this.#input;
    const seen = new Set<string>();
    let newer = engine.time;
    let offset: string | undefined;
    let snapshot: number | undefined;
    for (;;) {
      let page;
      try {
        const query = { newer, offset, unmodifiedSince: snapshot };
        page = await store.page(local.name, query);
      } catch (error) {
        if (!isOvertaken(error)) throw error;
        // Somebody wrote between two pages: go on from what is here, without an offset.
        newer = engine.time;
        offset = snapshot = undefined;
        continue;
      }
      snapshot ??= page.modified;
      for (const bso of page.records) {
        seen.add(bso.id);
        await this.#take(bso);
      }
      const last = page.records.at(-1);
      if (page.next === undefined || !last) {
        engine.time = snapshot;
        return seen;
      }
      offset = page.next;
      // Other records of the same time may be on the next page.
      engine.time = Math.max(engine.time, last.modified - 0.01);
      await save();
    }
  }

  async #askAgain(id: string): Promise<void> {
    const { store, local, engine } = this.#input;
    const bso = await store.get(local.name, id);
    if (bso) await this.#take(bso);
    else engine.refused = engine.refused.filter((other) => other !== id);
  }

  /** Takes one record of the server, or refuses it. */
  async #take(bso: Bso): Promise<void> {
    const { engine, bundle, local } = this.#input;
    const { id, modified } = bso;
    if (id === NO_ID) return;
    const known = knownOf(engine, id);
    const place = `${local.name}/${id}`;
    this.report.refused = this.report.refused.filter((refused) => refused.id !== id);
    engine.refused = engine.refused.filter((other) => other !== id);
    let opened;
    try {
      opened = openRecord(bso, { bundle, place });
      expectNews({ modified, mac: opened.mac, place }, known);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.report.refused.push({ id, error });
      // What this device replaced or wrote itself can be put right from here; anything else may be news.
      const wasReplaced = opened !== undefined && known?.past.includes(opened.mac) === true;
      if (known && (wasReplaced || known.modified === modified))
        engine.records[id] = { ...known, digest: UNKNOWN };
      else engine.refused.push(id);
      return;
    }
    if (this.#list.unreadable.has(id)) {
      engine.refused.push(id); // once the person has mended what is here, it is compared
      return;
    }
    const { record, mac } = opened;
    const digest = record ? recordDigest(record) : null;
    await this.#settle(id, record, digest, known?.digest);
    engine.records[id] = knownAfter(known, { digest, modified, mac });
    this.#tell();
  }

  async #settle(
    id: string,
    record: Parameters<LocalRecords['write']>[1],
    there: string | null,
    base: string | null | undefined,
  ): Promise<void> {
    const { local, dryRun } = this.#input;
    const here = this.#list.digests.get(id) ?? null;
    const verdict = reconcile({ base, here, there });
    if (verdict === 'same' || verdict === 'keep') return;
    let isConflict = verdict === 'conflict';
    if (!dryRun) {
      if (isConflict) await local.setAside(id, 'conflict');
      const wasSetAside = await local.write(id, record, isConflict ? null : here);
      isConflict ||= wasSetAside;
    }
    if (isConflict) this.report.conflicts.push(id);
    (there === null ? this.report.removed : this.report.received).push(id);
    if (there === null) this.#list.digests.delete(id);
    else this.#list.digests.set(id, there);
  }

  async upload(): Promise<void> {
    const { store, local, engine, save, dryRun } = this.#input;
    const waiting = new Map<string, { digest: string | null; mac: string }>();
    if (dryRun) {
      for (const id of this.#changed()) this.#countSent(id);
      return;
    }
    if (this.#changed().length === 0) return;
    const { failed } = await upload(store, {
      collection: local.name,
      unmodifiedSince: engine.time,
      records: this.#outgoing(waiting),
      onStored: async (ids, modified) => {
        engine.time = modified;
        for (const id of ids) {
          const sent = waiting.get(id);
          if (!sent) continue;
          engine.records[id] = knownAfter(knownOf(engine, id), { ...sent, modified });
          this.#countSent(id);
        }
        await save();
        this.#tell();
      },
    });
    for (const [id, why] of failed) this.#skip(id, `not taken: ${why}`);
  }

  /** The ids whose version here is not the one that both sides had last. */
  #changed(): string[] {
    const { digests, unreadable } = this.#list;
    const { engine } = this.#input;
    const ids = new Set([...digests.keys(), ...Object.keys(engine.records)]);
    return [...ids].sort().filter((id) => {
      if (unreadable.has(id)) return false;
      return (digests.get(id) ?? null) !== (knownOf(engine, id)?.digest ?? null);
    });
  }

  async *#outgoing(
    waiting: Map<string, { digest: string | null; mac: string }>,
  ): AsyncGenerator<NewBso> {
    const { store, local, bundle } = this.#input;
    const { max_record_payload_bytes } = await store.limits();
    for (const id of this.#changed()) {
      const isHere = this.#list.digests.has(id);
      const record = isHere ? await local.read(id) : { id, deleted: true };
      if (!record) continue; // deleted since: the next sync sees it
      const payload = sealFormat5(record, bundle);
      if (utf8(payload).length > max_record_payload_bytes) {
        this.#skip(id, 'too large for this server');
        continue;
      }
      const digest = isHere ? recordDigest(record) : null;
      waiting.set(id, { digest, mac: macOf(payload) });
      yield { id, payload };
    }
  }

  #skip(id: string, why: string): void {
    this.report.skipped = this.report.skipped.filter((skipped) => skipped.id !== id);
    this.report.skipped.push({ id, why });
  }

  #countSent(id: string): void {
    (this.#list.digests.has(id) ? this.report.sent : this.report.deleted).push(id);
  }

  #tell(): void {
    const { collection, received, removed, sent, deleted } = this.report;
    this.#input.onProgress?.({
      collection,
      received: received.length + removed.length,
      sent: sent.length + deleted.length,
    });
  }
}

/** Ids come from others: `constructor` is one. */
const knownOf = ({ records }: EngineMemory, id: string) =>
  Object.hasOwn(records, id) ? records[id] : undefined;
