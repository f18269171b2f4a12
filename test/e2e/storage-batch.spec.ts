import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start({
    STORAGE_POST_RECORDS_MAX: '10',
    STORAGE_TOTAL_RECORDS_MAX: '15',
    STORAGE_TOTAL_BYTES_MAX: '2000',
    STORAGE_QUOTA_BYTES: '3000',
    STORAGE_BATCH_SECONDS: '200',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await storageUser(server);
});

const time = (text: unknown) => Math.round(Number(text) * 100);
const records = (ids: string, payload = 'x') => ids.split('').map((id) => ({ id, payload }));
const begin = async (body: unknown, collection = 'c') =>
  String((await user.post(`/storage/${collection}?batch=true`, body)).json().batch);
const list = async (query = '') =>
  (await user.get(`/storage/c?sort=oldest${query}`)).json() as unknown[];
const waiting = async () =>
  (
    await server.db.query(
      `SELECT (SELECT count(*) FROM batch WHERE uid = $1) AS batches,
              (SELECT count(*) FROM batch_bso s JOIN batch b ON b.id = s.batch WHERE b.uid = $1) AS records`,
      [user.uid],
    )
  )[0] as { batches: number; records: number };

describe('a batch', () => {
  it('shows nothing before its commit, and all at one time after it', async () => {
    const { text: before } = await user.put('/storage/c/old', { payload: 'old', sortindex: 1 });
    const first = await user.post('/storage/c?batch=true', records('ab'));
    expect([first.status, first.headers['x-last-modified']]).toEqual([202, before]);
    const { batch, success, failed } = first.json();
    expect([success, failed, Object.keys(first.json())]).toEqual([
      ['a', 'b'],
      {},
      ['batch', 'success', 'failed'],
    ]);
    expect(batch).toMatch(/^[A-Za-z0-9_-]{22,}$/);
    const next = await user.post(`/storage/c?batch=${batch}`, [...records('c'), { id: 'old' }]);
    expect([next.status, next.json()]).toEqual([202, { batch, success: ['c', 'old'], failed: {} }]);
    expect(await list()).toEqual(['old']);
    expect((await user.get('/info/collections')).text).toBe(`{"c":${before}}`);

    const last = await user.post(`/storage/c?batch=${batch}&commit=true`, records('d'));
    expect(last.status).toBe(200);
    const { modified, ...rest } = last.json();
    expect(rest).toEqual({ success: ['d'], failed: {} });
    expect(last.text).toContain(`"modified":${String(last.headers['x-last-modified'])},`);
    expect(time(modified)).toBeGreaterThan(time(before));
    const all = (await list('&full=1')) as { id: string; modified: number; payload: string }[];
    expect(all.map((bso) => [bso.id, bso.payload, bso.modified === modified])).toEqual([
      ['old', 'old', false], // named without a change
      ...['a', 'b', 'c', 'd'].map((id) => [id, 'x', true]),
    ]);
    expect(await waiting()).toEqual({ batches: 0, records: 0 });
    const again = await user.post(`/storage/c?batch=${batch}&commit=true`, []);
    expect([again.status, again.text]).toEqual([400, '0']);
  });

  it('can begin and end with nothing, in the words that servers take', async () => {
    for (const query of ['?batch', '?batch=', '?batch=true', '?batch=TRUE']) {
      const begun = await user.post(`/storage/c${query}`, []);
      expect(begun.status).toBe(202);
      const done = await user.post(`/storage/c?batch=${begun.json().batch}&commit=true`, []);
      expect([done.status, done.json().success]).toEqual([200, []]);
    }
    const lines = await user.request('POST', `/storage/c?batch=${await begin([])}&commit=true`, {
      body: '',
      type: 'application/newlines',
    });
    expect(lines.status).toBe(200);
    expect((await user.get('/info/collections')).json()).toHaveProperty('c');
  });

  it('that is committed as it begins is a plain POST', async () => {
    const plain = await user.post('/storage/c?batch=true&commit=true', records('a'));
    expect([plain.status, Object.keys(plain.json())]).toEqual([
      200,
      ['modified', 'success', 'failed'],
    ]);
    expect(await list()).toEqual(['a']);
  });

  it.each([
    '?commit=true',
    '?commit=',
    '?batch=true&commit=1',
    '?batch=true&commit=false',
    '?batch=true&batch=true',
    '?batch=MTIzNDU2Nzg5MA==',
    '?batch=1',
    '?batch=00000000-0000-4000-8000-000000000000',
    '?batch=00000000-0000-4000-8000-000000000000&commit=true',
    '?batch=%00',
  ])('is refused: %s', async (query) => {
    const refused = await user.post(`/storage/c${query}`, records('a'));
    expect([refused.status, refused.text]).toEqual([400, '0']);
    expect((await user.get('/info/collections')).text).toBe('{}');
  });

  it('is of one user and one collection', async () => {
    const batch = await begin(records('a'));
    const other = await storageUser(server);
    for (const commit of ['', '&commit=true']) {
      const query = `?batch=${batch}${commit}`;
      expect((await other.post(`/storage/c${query}`, records('b'))).status).toBe(400);
      expect((await user.post(`/storage/d${query}`, records('b'))).status).toBe(400);
    }
    expect((await other.get('/info/collections')).text).toBe('{}');
    expect((await user.post(`/storage/c?batch=${batch}&commit=true`, [])).status).toBe(200);
    expect(await list()).toEqual(['a']);
  });

  it('takes an id again, and changes that record alone', async () => {
    const batch = await begin([
      { id: 'a', payload: 'a1', sortindex: 1 },
      { id: 'b', payload: 'b1', sortindex: 1 },
    ]);
    await user.post(`/storage/c?batch=${batch}`, [{ id: 'a', payload: 'a2' }]);
    await user.post(`/storage/c?batch=${batch}&commit=true`, [{ id: 'b', sortindex: 5 }]);
    expect(await list('&full=1')).toMatchObject([
      { id: 'a', payload: 'a2', sortindex: 1 },
      { id: 'b', payload: 'b1', sortindex: 5 },
    ]);
  });

  it('counts lifetimes from its commit, and keeps what it does not name', async () => {
    await user.post('/storage/c', [{ id: 'kept', payload: 'p', sortindex: 3, ttl: 10_000 }]);
    const batch = await begin([
      { id: 'a', payload: 'a', ttl: 20 },
      { id: 'kept', sortindex: 4 },
      { id: 'new', ttl: 10_000 },
    ]);
    server.clock.advance(30);
    await user.post(`/storage/c?batch=${batch}&commit=true`, []);
    server.clock.advance(15);
    expect(await list('&full=1')).toMatchObject([
      { id: 'a', payload: 'a' },
      { id: 'kept', payload: 'p', sortindex: 4 },
      { id: 'new', payload: '' },
    ]);
    server.clock.advance(10);
    expect(await list()).toEqual(['kept', 'new']);
  });

  it('keeps bad records out, and refuses a bad body whole', async () => {
    const begun = await user.post('/storage/c?batch=true', [
      { id: 'good', payload: '' },
      { id: 'bad', payload: 7 },
    ]);
    expect(begun.json()).toMatchObject({
      success: ['good'],
      failed: { bad: 'payload not a string' },
    });
    const { batch } = begun.json();
    for (const [body, code] of [
      ['{}', '8'],
      ['', '6'],
      ['[1]', '8'],
    ]) {
      const refused = await user.post(`/storage/c?batch=${batch}&commit=true`, body);
      expect([refused.status, refused.text]).toEqual([400, code]);
    }
    expect((await user.post(`/storage/c?batch=${batch}&commit=true`, [])).status).toBe(200);
    expect(await list()).toEqual(['good']);
  });

  it('is held to what was known when it began, at each step', async () => {
    const { text: at } = await user.put('/storage/c/a', { payload: '' });
    const known = { 'x-if-unmodified-since': at };
    const begun = await user.post('/storage/c?batch=true', records('b'), known);
    const { batch } = begun.json();
    expect((await user.post(`/storage/c?batch=${batch}`, records('c'), known)).status).toBe(202);
    const { text: later } = await user.put('/storage/c/a', { payload: 'other' });
    for (const query of ['?batch=true', `?batch=${batch}`, `?batch=${batch}&commit=true`]) {
      const refused = await user.post(`/storage/c${query}`, records('d'), known);
      expect([refused.status, refused.text, refused.headers['x-last-modified']]).toEqual([
        412,
        '0',
        later,
      ]);
    }
    const renewed = { 'x-if-unmodified-since': later };
    const done = await user.post(`/storage/c?batch=${batch}&commit=true`, [], renewed);
    expect(done.status).toBe(200);
    expect((await list()).toSorted()).toEqual(['a', 'b', 'c']);
  });

  it('is over when its time is', async () => {
    const batch = await begin(records('a'));
    server.clock.advance(190);
    expect((await user.post(`/storage/c?batch=${batch}`, records('b'))).status).toBe(202);
    server.clock.advance(20);
    for (const commit of ['', '&commit=true']) {
      expect((await user.post(`/storage/c?batch=${batch}${commit}`, [])).status).toBe(400);
    }
  });

  it('ends with its collection or store', async () => {
    for (const [method, path] of [
      ['DELETE', '/storage/c'],
      ['DELETE', ''],
      ['DELETE', '/storage'],
    ] as const) {
      const batch = await begin(records('a'));
      const others = await begin(records('z'), 'd');
      expect((await user.request(method, path)).status).toBe(200);
      expect((await user.post(`/storage/c?batch=${batch}&commit=true`, [])).status).toBe(400);
      const other = await user.post(`/storage/d?batch=${others}&commit=true`, []);
      expect(other.status).toBe(path === '/storage/c' ? 200 : 400);
    }
    expect(await waiting()).toEqual({ batches: 0, records: 0 });
  });
});

describe('the limits of a batch', () => {
  it('are counted here, whatever headers say', async () => {
    const small = { 'x-weave-total-records': '1', 'x-weave-total-bytes': '1' };
    const batch = await begin(records('abcdefghij'));
    const onto = (body: unknown, query = '') =>
      user.post(`/storage/c?batch=${batch}${query}`, body, small);
    expect((await onto(records('jklmn'))).status).toBe(202); // j was there
    expect((await onto(records('o'))).status).toBe(202);
    for (const query of ['', '&commit=true']) {
      const refused = await onto(records('p'), query);
      expect([refused.status, refused.text]).toEqual([400, '17']);
    }
    expect((await onto(records('a', 'y'.repeat(1986)))).status).toBe(202);
    const tooLong = await onto(records('b', 'yy'));
    expect([tooLong.status, tooLong.text]).toEqual([400, '17']);
    expect((await onto([], '&commit=true')).status).toBe(200);
    expect(await list()).toHaveLength(15);
  });

  it('are said beforehand, and held against what is announced', async () => {
    expect((await user.get('/info/configuration')).json()).toMatchObject({
      max_total_records: 15,
      max_total_bytes: 2000,
    });
    for (const [header, value, code] of [
      ['x-weave-total-records', '16', '17'],
      ['x-weave-total-bytes', '2001', '17'],
      ['x-weave-records', '11', '17'],
      ['x-weave-total-records', '-1', '0'],
      ['x-weave-total-bytes', 'x', '0'],
    ] as const) {
      const refused = await user.post('/storage/c?batch=true', [], { [header]: value });
      expect([refused.status, refused.text]).toEqual([400, code]);
    }
    const fits = { 'x-weave-total-records': '15', 'x-weave-total-bytes': '2000' };
    expect((await user.post('/storage/c?batch=true', [], fits)).status).toBe(202);
  });

  it('include the quota, of what waits and of what is committed', async () => {
    const batch = await begin(records('a', 'x'.repeat(1800)));
    const full = await user.post('/storage/c?batch=true', records('b', 'x'.repeat(1300)));
    expect([full.status, full.text]).toEqual([400, '14']);
    await user.put('/storage/c/b', { payload: 'x'.repeat(1300) });
    const refused = await user.post(`/storage/c?batch=${batch}&commit=true`, records('c'));
    expect([refused.status, refused.text]).toEqual([400, '14']);
    expect(await list()).toEqual(['b']);
    await user.delete('/storage/c/b');
    const done = await user.post(`/storage/c?batch=${batch}&commit=true`, []);
    expect([done.status, done.headers['x-weave-quota-remaining']]).toEqual([200, '1.17']);
    const [row] = await server.db.query(
      `SELECT c.bytes, (SELECT sum(octet_length(payload))::bigint FROM bso WHERE uid = $1) AS stored
         FROM user_collection c WHERE c.uid = $1`,
      [user.uid],
    );
    expect(row).toEqual({ bytes: 1800, stored: 1800 });
  });
});

describe('a batch that several clients write at once', () => {
  it('has what each of them was told it has', async () => {
    const batch = await begin([]);
    const ids = 'abcdefghijklmno'.split('');
    const answers = await Promise.all(
      [...ids, 'p', 'q'].map((id) => user.post(`/storage/c?batch=${batch}`, [{ id, payload: id }])),
    );
    const taken = answers.flatMap((answer) =>
      answer.status === 202 ? (answer.json().success as string[]) : [],
    );
    expect(taken).toHaveLength(15);
    const commits = await Promise.all(
      [1, 2, 3].map(() => user.post(`/storage/c?batch=${batch}&commit=true`, [])),
    );
    expect(commits.map(({ status }) => status).toSorted()).toEqual([200, 400, 400]);
    expect((await list()).toSorted()).toEqual(taken.toSorted());
  });
});
