import { mailedCode } from '../../apps/demo/src/mailbox.ts';
import { Person } from '../../apps/demo/src/person.ts';
import {
  Account,
  FIREFOX_CLIENT_ID,
  type LocalList,
  type LocalRecords,
  recordDigest,
  Server,
  type SyncClientInput,
  type SyncMemory,
  type SyncMemoryKeeper,
  type SyncRecord,
  Tier1Client,
  Tier2Client,
} from '#lib/client';
import { type KeyWithId, openCollectionKeys, keyBundleFromBytes } from '#lib/crypto';
import { OLD_SYNC } from '#lib/protocol';
import { SyncStore } from '../../libs/client/src/sync/sync-store.ts';
import type { TestServer } from './test-server.ts';

/** A collection in this process's memory. */
export class MemoryRecords implements LocalRecords {
  readonly records = new Map<string, SyncRecord>();
  readonly aside: { why: string; record: SyncRecord }[] = [];
  readonly unreadable = new Map<string, string>();

  constructor(
    readonly name: string,
    readonly version?: number,
  ) {}

  /** Writes as the person at the device does. */
  edit(id: string, fields: object): void {
    this.records.set(id, { ...fields, id });
  }
  /** Every record, by id. */
  get all(): Record<string, unknown> {
    return Object.fromEntries([...this.records].sort(([a], [b]) => (a < b ? -1 : 1)));
  }
  list(): Promise<LocalList> {
    const digests = new Map([...this.records].map(([id, record]) => [id, recordDigest(record)]));
    for (const id of this.unreadable.keys()) digests.delete(id);
    return Promise.resolve({ digests, unreadable: this.unreadable });
  }
  read(id: string): Promise<SyncRecord | undefined> {
    return Promise.resolve(this.records.get(id));
  }
  async write(id: string, record: SyncRecord | undefined, expected: string | null) {
    const now = this.records.get(id);
    const wasChanged = now !== undefined && recordDigest(now) !== expected;
    if (wasChanged) await this.setAside(id, 'conflict');
    if (record) this.records.set(id, record);
    else this.records.delete(id);
    return wasChanged;
  }
  setAside(id: string, why: 'conflict' | 'wiped'): Promise<void> {
    const record = this.records.get(id);
    if (record) this.aside.push({ why, record });
    this.records.delete(id);
    return Promise.resolve();
  }
}

/** What a device remembers, as it would be on its disk. */
export class MemoryKeeper implements SyncMemoryKeeper {
  text: string | undefined;
  load(): Promise<SyncMemory | undefined> {
    return Promise.resolve(
      this.text === undefined ? undefined : (JSON.parse(this.text) as SyncMemory),
    );
  }
  save(memory: SyncMemory): Promise<void> {
    this.text = JSON.stringify(memory);
    return Promise.resolve();
  }
}

/** One device of somebody who syncs. */
export interface SyncTestDevice {
  client: Tier1Client;
  keeper: MemoryKeeper;
  /** The collection `notes` of this device. */
  notes: MemoryRecords;
  input: SyncClientInput;
}

/** Somebody with an account, whose devices share a Firefox store. */
export class Syncer {
  private constructor(
    private readonly account: Account,
    /** What she types. */
    readonly credentials: { email: string; password: string },
    private readonly url: string,
    readonly key: KeyWithId,
  ) {}

  static async signUp(server: TestServer, name = 'Alice'): Promise<Syncer> {
    const person = new Person(name, server.url, { now: () => Date.now() });
    await person.signUp((uid) => mailedCode(server.config.dataDir, uid));
    const key = (await person.account.scopedKeys(FIREFOX_CLIENT_ID, OLD_SYNC))[OLD_SYNC];
    if (!key) throw new Error('There is no Sync key.');
    const { email, password } = person;
    return new Syncer(person.account, { email, password }, server.url, key);
  }

  /** Another device; `fetch` stands between it and the server. */
  async device(name: string, fetch = globalThis.fetch): Promise<SyncTestDevice> {
    const keeper = new MemoryKeeper();
    const input = await this.input(name, keeper, fetch);
    return { client: new Tier1Client(input), keeper, notes: new MemoryRecords('notes'), input };
  }

  async tier2(name: string): Promise<SyncTestDevice & { client: Tier2Client }> {
    const device = await this.device(name);
    return { ...device, client: new Tier2Client(device.input) as Tier2Client & Tier1Client };
  }

  /** The store itself, without any client's rules. */
  async store(fetch = globalThis.fetch): Promise<SyncStore> {
    return new SyncStore(await this.input('', new MemoryKeeper(), fetch));
  }

  /** The keys that stand. */
  async keys() {
    const bso = await (await this.store()).get('crypto', 'keys');
    return openCollectionKeys(bso?.payload ?? '', keyBundleFromBytes(this.key.k));
  }

  /** `meta/global` as it stands. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- records are what we assert on
  async meta(): Promise<Record<string, any>> {
    const bso = await (await this.store()).get('meta', 'global');
    return JSON.parse(bso?.payload ?? 'null');
  }

  private async input(
    name: string,
    keeper: SyncMemoryKeeper,
    fetch: typeof globalThis.fetch,
  ): Promise<SyncClientInput> {
    const server = await Server.at(this.url, { now: () => Date.now(), fetch });
    const { sessionToken } = this.account;
    return { server, sessionToken, key: this.key, name, keeper };
  }
}
