import fc from 'fast-check';
import { cases } from '../support/cases.ts';
import { type LegacyClient, legacyUser } from '../support/legacy.ts';
import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

/*
 * Goal: whatever is asked in whatever order, no answer is 500, and a store is what a map in memory is.
 * Method: random sequences of requests of both versions, each to a store of its own, with time passing
 * in between; after each, everything is read and compared.
 */

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ STORAGE_PAGE_RECORDS_MAX: '5' });
});
afterAll(() => server.stop());

interface Stored {
  payload: string;
  sortindex: number | undefined;
  parentid?: string | undefined;
  modified: string;
  /** By {@link passed}; undefined for never. */
  ends: number | undefined;
}
interface Collection {
  modified: string;
  records: Map<string, Stored>;
}
type Store = Map<string, Collection>;

interface Fields {
  payload?: string | undefined;
  sortindex?: number | undefined;
  ttl?: number | undefined;
}
type Bso = Fields & { id: string };

/** Seconds that the clock was moved. */
let passed = 0;
// No lifetime ends close to a step of time.
const STEP = 150;

const names = fc.constantFrom('a', 'b', 'meta');
const ids = fc.constantFrom('1', '2', '3', '{x}', '~ "\\', 'z'.repeat(64));
const fields = fc.record(
  {
    payload: fc.oneof(fc.string({ maxLength: 20 }), fc.constantFrom('', 'é\u2028\n"', '😀')),
    sortindex: fc.integer({ min: -3, max: 3 }),
    ttl: fc.constantFrom(100, 200, 400),
  },
  { requiredKeys: [] },
);
const bsos = fc.uniqueArray(
  fc.tuple(ids, fields).map(([id, rest]) => ({ id, ...rest })),
  { selector: ({ id }) => id, maxLength: 6 },
);
const condition = fc.constantFrom('none', 'none', 'current', 'stale', 'zero');
type Condition = 'none' | 'current' | 'stale' | 'zero';

const time = fc.constant({ op: 'time' } as const);
const modernOps = fc.oneof(
  time,
  fc.record({ op: fc.constant('put'), name: names, id: ids, fields, condition }),
  fc.record({ op: fc.constant('post'), name: names, bsos, condition }),
  fc.record({ op: fc.constant('batch'), name: names, parts: fc.array(bsos, { maxLength: 3 }), condition }), // prettier-ignore
  fc.record({ op: fc.constant('delete'), name: names, id: ids, condition }),
  fc.record({ op: fc.constant('deleteIds'), name: names, ids: fc.array(ids), condition }),
  fc.record({ op: fc.constant('drop'), name: names, condition }),
  fc.record({ op: fc.constant('clear') }),
);
const legacyOps = fc.oneof(
  time,
  fc.record({ op: fc.constant('put'), name: names, id: ids, fields, parent: fc.option(ids), condition }), // prettier-ignore
  fc.record({ op: fc.constant('post'), name: names, bsos, condition }),
  fc.record({ op: fc.constant('delete'), name: names, id: ids, condition }),
  fc.record({ op: fc.constant('above'), name: names, index: fc.integer({ min: -3, max: 3 }) }),
  fc.record({ op: fc.constant('drop'), name: names, condition }),
  fc.record({ op: fc.constant('clear') }),
);

/** What a request is refused for, by the time of its target. */
function headersFor(
  wanted: Condition,
  modified: string | undefined,
): { headers: Record<string, string>; isRefused: boolean } {
  const known = Number(modified ?? '0');
  if (wanted === 'none') return { headers: {}, isRefused: false };
  const at = { current: known, stale: Math.max(0, known - 0.01), zero: 0 }[wanted];
  return {
    headers: { 'x-if-unmodified-since': at.toFixed(2) },
    isRefused: Math.round(known * 100) > Math.round(at * 100),
  };
}

const lives = (stored: Stored | undefined): stored is Stored =>
  stored !== undefined && (stored.ends === undefined || stored.ends > passed);

function apply(collection: Collection, { id, ...change }: Bso, modified: string): void {
  const old = collection.records.get(id);
  const base = lives(old) ? old : undefined;
  const isQuiet = base && change.payload === undefined && change.sortindex === undefined;
  collection.records.set(id, {
    payload: change.payload ?? base?.payload ?? '',
    sortindex: change.sortindex ?? base?.sortindex,
    modified: isQuiet ? base.modified : modified,
    ends: change.ttl === undefined ? base?.ends : passed + change.ttl,
  });
}

function applyLegacy(
  collection: Collection,
  { id, ...change }: Bso & { parentid?: string | undefined },
  modified: string,
): void {
  const old = collection.records.get(id);
  const base = lives(old) ? old : undefined;
  collection.records.set(id, {
    payload: change.payload ?? base?.payload ?? '',
    sortindex: change.sortindex ?? base?.sortindex,
    parentid: change.parentid ?? base?.parentid,
    modified: base && change.payload === undefined ? base.modified : modified,
    ends: change.ttl === undefined ? undefined : passed + change.ttl,
  });
}

function collectionOf(store: Store, name: string): Collection {
  const found = store.get(name) ?? { modified: '0.00', records: new Map<string, Stored>() };
  store.set(name, found);
  return found;
}

const living = (collection: Collection | undefined) =>
  [...(collection?.records ?? [])].filter(([, stored]) => lives(stored));

/** What a list of the collection is, in no order. */
const expected = (collection: Collection | undefined) =>
  living(collection)
    .map(([id, { payload, sortindex, parentid, modified }]) => ({
      ...{ id, payload, modified: Number(modified) },
      ...(sortindex !== undefined && { sortindex }),
      ...(parentid !== undefined && { parentid }),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));

const sorted = (list: { id: string }[]) => list.sort((a, b) => (a.id < b.id ? -1 : 1));

async function compareModern(user: StorageClient, store: Store): Promise<void> {
  const info = await user.get('/info/collections');
  const times = [...store].map(([name, { modified }]) => [name, Number(modified)]);
  expect(info.json()).toEqual(Object.fromEntries(times));
  for (const name of ['a', 'b', 'meta']) {
    const list: { id: string }[] = [];
    for (let offset = ''; ;) {
      const page = await user.get(`/storage/${name}?full=1&sort=index${offset}`);
      expect(page.headers['x-last-modified']).toBe(store.get(name)?.modified ?? '0.00');
      list.push(...page.json());
      const next = page.headers['x-weave-next-offset'];
      if (next === undefined) break;
      offset = `&offset=${String(next)}`;
    }
    expect(sorted(list)).toEqual(expected(store.get(name)));
  }
}

async function compareLegacy(user: LegacyClient, store: Store): Promise<void> {
  const info = (await user.get('/info/collections')).json() as object;
  const filled = [...store].filter(([, { records }]) => records.size > 0).map(([name]) => name);
  expect(Object.keys(info).sort()).toEqual(filled.sort());
  for (const name of ['a', 'b', 'meta']) {
    const list = await user.get(`/storage/${name}?full=1`);
    expect(sorted(list.json())).toEqual(expected(store.get(name)));
  }
}

it('a store of 1.5 is what a map in memory is', async () => {
  const property = fc.asyncProperty(fc.array(modernOps, { maxLength: 20 }), async (ops) => {
    const user = await storageUser(server, { expires: server.clock.seconds() + 1e6 });
    const store: Store = new Map();
    for (const step of ops) {
      if (step.op === 'time') {
        server.clock.advance(STEP);
        passed += STEP;
      } else if (step.op === 'clear') {
        expect((await user.delete('')).status).toBe(200);
        store.clear();
      } else await modernStep(user, store, step);
      await compareModern(user, store);
    }
  });
  await fc.assert(property, cases(30, 500));
}, 600_000);

type ModernStep = Exclude<
  typeof modernOps extends fc.Arbitrary<infer T> ? T : never,
  { op: 'time' | 'clear' }
>;

async function modernStep(user: StorageClient, store: Store, step: ModernStep): Promise<void> {
  const at = `/storage/${step.name}`;
  const found = store.get(step.name);
  const whole = headersFor(step.condition, found?.modified);
  const timeOf = (answer: { headers: Record<string, unknown> }) =>
    String(answer.headers['x-last-modified']);
  if ('fields' in step) {
    const stored = found?.records.get(step.id);
    const own = headersFor(step.condition, lives(stored) ? stored.modified : undefined);
    const put = await user.put(`${at}/${encodeURIComponent(step.id)}`, step.fields, own.headers);
    expect(put.status).toBe(own.isRefused ? 412 : 200);
    if (own.isRefused) return;
    const collection = collectionOf(store, step.name);
    expect(Number(put.text)).toBeGreaterThan(Number(collection.modified));
    collection.modified = put.text;
    apply(collection, { ...step.fields, id: step.id }, put.text);
  } else if ('bsos' in step) {
    const post = await user.post(at, step.bsos, whole.headers);
    expect(post.status).toBe(whole.isRefused ? 412 : 200);
    if (whole.isRefused) return;
    const collection = collectionOf(store, step.name);
    collection.modified = timeOf(post);
    for (const bso of step.bsos) apply(collection, bso, collection.modified);
  } else if ('parts' in step) {
    const begun = await user.post(`${at}?batch=true`, [], whole.headers);
    expect(begun.status).toBe(whole.isRefused ? 412 : 202);
    if (whole.isRefused) return;
    const { batch } = begun.json();
    const staged = new Map<string, Bso>();
    for (const part of step.parts) {
      expect((await user.post(`${at}?batch=${batch}`, part, whole.headers)).status).toBe(202);
      for (const bso of part) staged.set(bso.id, { ...staged.get(bso.id), ...bso });
    }
    const done = await user.post(`${at}?batch=${batch}&commit=true`, [], whole.headers);
    expect(done.status).toBe(200);
    const collection = collectionOf(store, step.name);
    collection.modified = timeOf(done);
    for (const bso of staged.values()) apply(collection, bso, collection.modified);
  } else if ('id' in step) {
    const stored = found?.records.get(step.id);
    const isThere = lives(stored);
    const own = headersFor(step.condition, isThere ? stored.modified : undefined);
    const gone = await user.delete(`${at}/${encodeURIComponent(step.id)}`, own.headers);
    expect(gone.status).toBe(!isThere ? 404 : own.isRefused ? 412 : 200);
    if (gone.status !== 200 || !found) return;
    found.records.delete(step.id);
    found.modified = timeOf(gone);
  } else {
    const query = 'ids' in step ? `?ids=${step.ids.map(encodeURIComponent).join(',')}` : '';
    const gone = await user.delete(at + query, whole.headers);
    expect(gone.status).toBe(whole.isRefused ? 412 : 200);
    if (whole.isRefused || !found) return;
    if ('ids' in step) {
      for (const id of step.ids) found.records.delete(id);
      found.modified = timeOf(gone);
    } else store.delete(step.name);
  }
}

it('a store of 1.1 is what a map in memory is', async () => {
  const property = fc.asyncProperty(fc.array(legacyOps, { maxLength: 20 }), async (ops) => {
    const user = await legacyUser(server);
    const store: Store = new Map();
    for (const step of ops) {
      if (step.op === 'time') {
        server.clock.advance(STEP);
        passed += STEP;
      } else if (step.op === 'clear') {
        expect((await user.delete('/storage', { 'x-confirm-delete': '1' })).status).toBe(200);
        store.clear();
      } else await legacyStep(user, store, step);
      await compareLegacy(user, store);
    }
  });
  const at = { name: 'meta', id: '3', condition: 'none' } as const;
  const overAndGone = [
    { op: 'put', ...at, fields: { ttl: 100 }, parent: null } as const,
    { op: 'time' } as const,
    { op: 'delete', ...at } as const,
  ];
  await fc.assert(property, { ...cases(30, 500), examples: [[overAndGone]] });
}, 600_000);

type LegacyStep = Exclude<
  typeof legacyOps extends fc.Arbitrary<infer T> ? T : never,
  { op: 'time' | 'clear' }
>;

async function legacyStep(user: LegacyClient, store: Store, step: LegacyStep): Promise<void> {
  const at = `/storage/${step.name}`;
  const collection = collectionOf(store, step.name);
  const { records } = collection;
  const modified = records.size > 0 ? collection.modified : undefined;
  const wanted = 'condition' in step ? step.condition : 'none';
  const { headers, isRefused } = headersFor(wanted, modified);
  const status = isRefused ? 412 : 200;
  if ('fields' in step) {
    const change = { ...step.fields, ...(step.parent !== null && { parentid: step.parent }) };
    const put = await user.put(`${at}/${encodeURIComponent(step.id)}`, change, headers);
    expect(put.status).toBe(status);
    if (isRefused) return;
    const old = records.get(step.id);
    const isQuiet = lives(old) && change.payload === undefined;
    if (isQuiet) expect(put.text).toBe(old.modified);
    else collection.modified = put.text;
    applyLegacy(collection, { ...change, id: step.id }, put.text);
  } else if ('bsos' in step) {
    const post = await user.post(at, step.bsos, headers);
    expect(post.status).toBe(status);
    if (isRefused) return;
    collection.modified = String(post.headers.get('x-weave-timestamp'));
    for (const bso of step.bsos) applyLegacy(collection, bso, collection.modified);
  } else {
    const query = 'index' in step ? `?index_above=${step.index}` : '';
    const path = 'id' in step ? `${at}/${encodeURIComponent(step.id)}` : at + query;
    const gone = await user.delete(path, headers);
    expect(gone.status).toBe(status);
    if (isRefused) return;
    if (modified !== undefined) collection.modified = gone.text;
    for (const [id, stored] of [...records]) {
      // a record that is named goes even when its time is over: nobody sees it any more
      const isMeant =
        'id' in step
          ? id === step.id
          : !('index' in step) || (lives(stored) && (stored.sortindex ?? -Infinity) > step.index);
      if (isMeant) records.delete(id);
    }
  }
}

it('no request is answered 500, however odd', async () => {
  const json = fc.oneof(
    fc.json({ maxDepth: 3 }),
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.dictionary(
          fc.constantFrom('id', 'payload', 'sortindex', 'ttl', 'parentid', 'modified', '__proto__'),
          fc.oneof(fc.jsonValue({ maxDepth: 1 }), ids, fc.string({ unit: 'binary' })),
        ),
        { maxLength: 4 },
      )
      .map((list) => JSON.stringify(list)),
  );
  const odd = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 12 }),
    fc.constantFrom('1', '0', '-1', '1e99', 'true', 'newest', '99999999999999999999', 'NaN', '\0'),
  );
  const query = fc
    .array(
      fc.tuple(
        fc.constantFrom(
          ...['ids', 'newer', 'older', 'full', 'limit', 'offset', 'sort', 'batch', 'commit'],
          ...['index_above', 'index_below', 'parentid', 'predecessorid'],
        ),
        odd,
      ),
      { maxLength: 4 },
    )
    .map((list) => list.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join('&'));
  const headers = fc.dictionary(
    fc.constantFrom(
      ...['x-if-unmodified-since', 'x-if-modified-since', 'x-weave-records', 'x-weave-bytes'],
      ...['x-weave-total-records', 'x-weave-total-bytes', 'x-confirm-delete', 'accept'],
    ),
    fc.oneof(fc.constantFrom('0', '1', '-1', 'x', '1e9', '', '9'.repeat(30)), fc.string()),
  );
  const methods = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE');
  const path = fc.oneof(
    fc.constantFrom('/storage/a', '/storage/a/1', '/storage', '/info/collections', '/info/quota'),
    odd.map((name) => `/storage/${encodeURIComponent(name)}`),
    odd.map((name) => `/storage/a/${encodeURIComponent(name)}`),
  );
  const modern = await storageUser(server, { expires: server.clock.seconds() + 1e6 });
  const legacy = await legacyUser(server);
  const property = fc.asyncProperty(
    ...[methods, path, query, headers, json, fc.boolean()],
    async (method, at, asked, sent, body, isLegacy) => {
      const clean = Object.fromEntries(
        Object.entries(sent).map(([name, value]) => [name, value.replace(/[^\x20-\x7e]/g, '')]),
      );
      const request = {
        headers: clean,
        ...(method === 'PUT' || method === 'POST' ? { body } : {}),
      };
      const { status, text } = await (isLegacy ? legacy : modern).request(
        ...([method, `${at}?${asked}`, request] as const),
      );
      expect([200, 202, 304, 400, 404, 405, 406, 412, 413, 415]).toContain(status);
      if (status >= 400) expect(text).toMatch(/^\d+$/);
    },
  );
  await fc.assert(property, cases(600, 10_000));
}, 600_000);
