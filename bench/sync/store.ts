import type { Call, Load, Reply } from './load.ts';
import { expect, hundredths, numbers, spell, timeOf, uploaded } from './replies.ts';

/** A record to write. */
export interface Bso {
  id: string;
  payload: string;
}

/** A record as it was read. */
export interface ReadBso extends Bso {
  modified: number;
}

/** What is asked of a list, besides `full`. */
export interface ListCall {
  kind: string;
  collection: string;
  /** Hundredths of a second since 1970. */
  newer?: number;
  limit?: number;
  offset?: string | undefined;
  /** Whether somebody else may have written since. */
  isShared?: boolean;
}

/** A list that was read. */
export interface List {
  records: ReadBso[];
  modified: number;
  /** `X-Weave-Timestamp`. */
  timestamp: number;
  next: string | undefined;
}

/** Records of the latest writes that are remembered, for each collection. */
const REMEMBERED = 100;

/**
 * A client of one store, which knows what it wrote and holds every reply against that. What does
 * not agree is a failed request.
 */
export class Store {
  /** The latest time of each collection; in hundredths of a second, as everywhere here. */
  readonly times = new Map<string, number>();
  /** The latest time of all, deletions included. */
  private latest = 0;
  /** By collection, which no later time may go below, also after it was deleted. */
  private readonly floors = new Map<string, number>();
  private readonly written = new Map<string, Map<string, string>>();

  constructor(
    private readonly load: Load,
    readonly uid: number,
  ) {}

  /** Reads what others made before this client began. */
  async learn(): Promise<void> {
    await this.load.call(
      this.uid,
      { kind: 'GET info/collections', method: 'GET', path: '/info/collections', status: 200 },
      ({ text, headers }) => {
        for (const [name, time] of numbers(text)) this.times.set(name, hundredths(time));
        this.latest = timeOf(headers['x-last-modified']);
      },
    );
  }

  async configuration(): Promise<void> {
    const kind = 'GET info/configuration';
    const call: Call = { kind, method: 'GET', path: '/info/configuration', status: 200 };
    await this.load.call(this.uid, call, ({ text }) => {
      expect(numbers(text).has('max_post_records'), 'no limits');
    });
  }

  /** @param isPoll - asks only for what is newer than what it knows, and so gets 304 */
  async collections({ isPoll = false } = {}): Promise<void> {
    const headers: Call['headers'] = isPoll ? { 'x-if-modified-since': spell(this.latest) } : {};
    const kind = isPoll ? 'GET info/collections if modified' : 'GET info/collections';
    const status = isPoll ? 304 : 200;
    const call: Call = { kind, method: 'GET', path: '/info/collections', headers, status };
    await this.load.call(this.uid, call, (reply) => {
      expect(timeOf(reply.headers['x-last-modified']) === this.latest, 'X-Last-Modified');
      if (isPoll) return;
      const found = numbers(reply.text);
      expect(found.size === this.times.size, 'another number of collections');
      for (const [name, time] of this.times) {
        expect(found.get(name) === spell(time), 'time of a collection');
      }
    });
  }

  /** Reads one record: the payload; null when there is none. */
  async get(collection: string, id: string): Promise<string | null | undefined> {
    const kind = `GET ${collection}`;
    const path = `/storage/${collection}/${id}`;
    const call: Call = { kind, method: 'GET', path, status: [200, 404] };
    return this.load.call(this.uid, call, ({ status, text }) => {
      const known = this.written.get(collection)?.get(id);
      if (status === 404) {
        expect(known === undefined, 'a record is gone');
        return null;
      }
      const { payload } = JSON.parse(text) as ReadBso;
      expect(known === undefined || known === payload, 'another payload');
      return payload;
    });
  }

  /** Reads records whole, and looks for those that it wrote. */
  async list({
    kind,
    collection,
    newer,
    limit,
    offset,
    isShared = false,
  }: ListCall): Promise<List | undefined> {
    const query = new URLSearchParams({ full: '1' });
    if (newer !== undefined) query.set('newer', spell(newer));
    if (limit !== undefined) query.set('limit', String(limit));
    if (offset !== undefined) query.set('offset', offset);
    const path = `/storage/${collection}?${query.toString()}`;
    return this.load.call(this.uid, { kind, method: 'GET', path, status: 200 }, (reply) => {
      const records = JSON.parse(reply.text) as ReadBso[];
      expect(Array.isArray(records), 'no list');
      const list = {
        records: records.map((r) => ({ ...r, modified: Math.round(r.modified * 100) })),
        modified: timeOf(reply.headers['x-last-modified']),
        timestamp: timeOf(reply.headers['x-weave-timestamp']),
        next: reply.headers['x-weave-next-offset'] as string | undefined,
      };
      expect(reply.headers['x-weave-records'] === String(records.length), 'X-Weave-Records');
      expect(list.timestamp >= list.modified, 'X-Weave-Timestamp before X-Last-Modified');
      for (const { modified } of list.records) {
        expect(modified > (newer ?? 0) && modified <= list.modified, 'time of a record');
      }
      const known = this.times.get(collection) ?? 0;
      expect(isShared ? list.modified >= known : list.modified === known, 'X-Last-Modified');
      const isWhole = list.next === undefined && offset === undefined && !isShared;
      if (isWhole && (newer ?? 0) < known) this.expectWritten(collection, list.records, newer ?? 0);
      return list;
    });
  }

  /** @returns the collection's new time */
  async put(collection: string, { id, payload }: Bso) {
    const call: Call = {
      ...{ kind: `PUT ${collection}`, method: 'PUT', status: 200 },
      ...{ path: `/storage/${collection}/${id}`, body: JSON.stringify({ payload }) },
    };
    return this.load.call(this.uid, call, (reply) => {
      const modified = this.modify(collection, reply, hundredths(reply.text));
      this.remember(collection, [{ id, payload }]);
      return modified;
    });
  }

  /** @returns the collection's new time */
  async post(kind: string, collection: string, records: readonly Bso[]) {
    const call: Call = {
      ...{ kind, method: 'POST', status: 200 },
      ...{ path: `/storage/${collection}`, body: JSON.stringify(records) },
    };
    return this.load.call(this.uid, call, (reply) => {
      const modified = this.modify(collection, reply, uploaded(reply, records).modified);
      this.remember(collection, records);
      return modified;
    });
  }

  /** Begins a batch, or adds to it: nothing of the collection may change. @returns the batch */
  async append(collection: string, records: readonly Bso[], batch?: string) {
    const call: Call = {
      ...{ kind: batch === undefined ? 'POST batch=true' : 'POST append', method: 'POST' },
      path: `/storage/${collection}?batch=${batch ?? 'true'}`,
      ...{ body: JSON.stringify(records), status: 202 },
    };
    return this.load.call(this.uid, call, (reply) => {
      const known = this.times.get(collection) ?? 0;
      expect(timeOf(reply.headers['x-last-modified']) === known, 'X-Last-Modified of a batch');
      const id = uploaded(reply, records).batch;
      expect(id !== undefined && (batch ?? id) === id, 'the batch');
      return id;
    });
  }

  /** @param all - of the batch @returns the collection's new time */
  async commit(
    collection: string,
    batch: string,
    { last, all }: { last: readonly Bso[]; all: readonly Bso[] },
  ) {
    const call: Call = {
      ...{ kind: 'POST commit', method: 'POST', status: 200 },
      path: `/storage/${collection}?batch=${batch}&commit=true`,
      body: JSON.stringify(last),
    };
    return this.load.call(this.uid, call, (reply) => {
      const modified = this.modify(collection, reply, uploaded(reply, last).modified);
      this.remember(collection, all);
      return modified;
    });
  }

  async deleteCollection(collection: string): Promise<void> {
    const path = `/storage/${collection}`;
    const call: Call = { kind: 'DELETE collection', method: 'DELETE', path, status: 200 };
    await this.load.call(this.uid, call, (reply) => {
      if (this.times.has(collection)) this.modify(collection, reply, undefined);
      this.times.delete(collection);
      this.written.delete(collection);
    });
  }

  async clear(): Promise<void> {
    const call: Call = { kind: 'DELETE storage', method: 'DELETE', path: '/storage', status: 200 };
    await this.load.call(this.uid, call, ({ headers }) => {
      const modified = timeOf(headers['x-last-modified']);
      expect(modified >= this.latest, 'the time of the store went back');
      this.latest = modified;
      this.times.clear();
      this.written.clear();
    });
  }

  /** @returns what a resource below `info/` says */
  async info(name: string): Promise<unknown> {
    const path = `/info/${name}`;
    const call: Call = { kind: `GET ${path.slice(1)}`, method: 'GET', path, status: 200 };
    return this.load.call(this.uid, call, ({ text }) => JSON.parse(text) as unknown);
  }

  /** Times only ever grow, and header and body agree. */
  private modify(collection: string, { headers }: Reply, inBody: number | undefined): number {
    const modified = timeOf(headers['x-last-modified']);
    expect(inBody === undefined || inBody === modified, 'two times in one reply');
    expect(modified > (this.floors.get(collection) ?? 0), 'X-Last-Modified did not grow');
    this.floors.set(collection, modified);
    this.times.set(collection, modified);
    this.latest = Math.max(this.latest, modified);
    return modified;
  }

  private remember(collection: string, records: readonly Bso[]): void {
    const known = records.slice(-REMEMBERED).map(({ id, payload }) => [id, payload] as const);
    this.written.set(collection, new Map(known));
  }

  /** Read-back: what was written last is in every list that begins before it. */
  private expectWritten(collection: string, records: readonly ReadBso[], newer: number): void {
    const known = this.written.get(collection);
    if (!known || newer >= (this.times.get(collection) ?? 0)) return;
    const found = new Map(records.map(({ id, payload }) => [id, payload]));
    for (const [id, payload] of known) expect(found.get(id) === payload, 'a record was not found');
  }
}
