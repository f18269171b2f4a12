import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

const QUOTA = 4_000_000;

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start({
    STORAGE_QUOTA_BYTES: String(QUOTA),
    STORAGE_REQUEST_BYTES_MAX: '2200000',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await storageUser(server);
});

/** Hundredths of a header or body, so that they compare exactly. */
const time = (text: unknown) => Math.round(Number(text) * 100);
const modifiedOf = (answer: { headers: Record<string, unknown> }) =>
  String(answer.headers['x-last-modified']);

describe('records', () => {
  it('come back as they were put, with both decimals of their time', async () => {
    // A time that ends in a zero is where a number in JSON would lose one.
    for (;;) {
      const put = await user.put('/storage/meta/global', { payload: '{"é":"\n"}', sortindex: -3 });
      expect(put.status).toBe(200);
      expect(put.text).toMatch(/^\d+\.\d\d$/);
      expect([put.headers['x-last-modified'], put.headers['x-weave-timestamp']]).toEqual([
        put.text,
        put.text,
      ]);
      const record = `{"id":"global","modified":${put.text},"sortindex":-3,"payload":"{\\"é\\":\\"\\n\\"}"}`;
      const one = await user.get('/storage/meta/global');
      expect([one.text, modifiedOf(one)]).toEqual([record, put.text]);
      expect((await user.get('/storage/meta?full=1')).text).toBe(`[${record}]`);
      expect((await user.get('/info/collections')).text).toBe(`{"meta":${put.text}}`);
      if (put.text.endsWith('0')) break;
    }
  });

  it('keep what an update does not name, and take null for not named', async () => {
    const first = await user.put('/storage/c/a', { payload: 'x', sortindex: 5 });
    await user.put('/storage/c/a', { sortindex: 6, payload: null });
    expect((await user.get('/storage/c/a')).json()).toMatchObject({ payload: 'x', sortindex: 6 });
    const second = await user.put('/storage/c/a', { payload: 'y' });
    expect((await user.get('/storage/c/a')).json()).toMatchObject({ payload: 'y', sortindex: 6 });
    // A new lifetime changes the collection's time, and not the record's.
    const third = await user.put('/storage/c/a', { ttl: 500 });
    expect(time(second.text)).toBeGreaterThan(time(first.text));
    expect(time(third.text)).toBeGreaterThan(time(second.text));
    expect(time((await user.get('/storage/c/a')).json().modified)).toBe(time(second.text));
    expect((await user.put('/storage/c/empty', {})).status).toBe(200);
    expect((await user.get('/storage/c/empty')).json().payload).toBe('');
  });

  it('are hidden when their time to live is over, and then written as if new', async () => {
    await user.post('/storage/c', [
      { id: 'a', payload: 'old', sortindex: 1, ttl: 10 },
      { id: 'b', payload: 'b', ttl: null },
    ]);
    expect((await user.get('/info/collection_counts')).text).toBe('{"c":2}');
    server.clock.advance(11);
    expect((await user.get('/storage/c')).json()).toEqual(['b']);
    expect((await user.get('/storage/c/a')).status).toBe(404);
    expect((await user.delete('/storage/c/a')).status).toBe(404);
    expect((await user.get('/info/collection_counts')).text).toBe('{"c":1}');
    expect((await user.get('/info/collection_usage')).text).toBe(`{"c":${1 / 1024}}`);
    await user.put('/storage/c/a', { ttl: 100 });
    const { payload, sortindex } = (await user.get('/storage/c/a')).json();
    expect([payload, sortindex]).toEqual(['', undefined]);
  });

  it.each([
    'a',
    'A'.repeat(64),
    '{GXS58IDC}12',
    '__proto__',
    'constructor',
    'a/b',
    '../x',
    '%2F',
    'a b?c#d',
    '"\\',
    '~!@$^&*()_+=',
  ])('can have the id %s', async (id) => {
    const path = `/storage/c/${encodeURIComponent(id)}`;
    expect((await user.put(path, { payload: id })).status).toBe(200);
    expect((await user.get(path)).json()).toMatchObject({ id, payload: id });
    expect((await user.get(`/storage/c?ids=${encodeURIComponent(id)}`)).json()).toEqual([id]);
    const posted = await user.post('/storage/c', [{ id, payload: 'again' }]);
    expect(posted.json()).toMatchObject({ success: [id], failed: {} });
    expect((await user.delete(path)).status).toBe(200);
    expect((await user.get(path)).status).toBe(404);
  });

  it.each(['é', '\u0001', 'A'.repeat(65), 'a\n', '\u007f'])('cannot have the id %j', async (id) => {
    const path = `/storage/c/${encodeURIComponent(id)}`;
    expect((await user.put(path, { payload: '' })).status).toBe(404);
    expect((await user.get(path)).status).toBe(404);
    expect((await user.get(`/storage/c?ids=a,${encodeURIComponent(id)}x`)).status).toBe(400);
    const posted = await user.post('/storage/c', [{ id }, { id: 'good' }]);
    expect(posted.json()).toMatchObject({ success: ['good'], failed: { [id]: 'invalid id' } });
  });
});

describe('who polls a store', () => {
  it('hears of each change, also of two collections in one hundredth', async () => {
    const views = ['collections', 'collection_counts', 'collection_usage', 'quota'];
    const poll = (view: string, since: string) =>
      user.request('GET', `/info/${view}`, { headers: { 'x-if-modified-since': since } });
    let shared = 0;
    // Changes without a pause share a hundredth on any machine, sooner or later.
    while (shared < 3) {
      const first = modifiedOf(await user.put('/storage/a/x', { payload: 'x' }));
      const second = modifiedOf(await user.put('/storage/b/x', { payload: 'x' }));
      for (const view of views) expect((await poll(view, first)).status).toBe(200);
      if (first === second) shared += 1;
    }
    await user.put('/storage/b/x', { payload: 'y' }); // no earlier than anything above
    const last = modifiedOf(await user.put('/storage/b/x', { payload: 'z' }));
    for (const view of views) expect((await poll(view, last)).status).toBe(304);
  });
});

describe('a list', () => {
  const fill = async (count: number) => {
    const times: string[] = [];
    for (let i = 0; i < count; i += 1) {
      const put = await user.put(`/storage/c/r${i}`, { payload: `p${i}`, sortindex: (i * 7) % 5 });
      times.push(put.text);
    }
    return times;
  };
  const ids = async (query: string) => (await user.get(`/storage/c${query}`)).json() as string[];

  it('is cut by newer and older, exactly', async () => {
    const times = await fill(4);
    expect(await ids(`?newer=${times[1] ?? ''}&sort=oldest`)).toEqual(['r2', 'r3']);
    expect(await ids(`?older=${times[1] ?? ''}`)).toEqual(['r0']);
    expect(await ids(`?newer=${times[0] ?? ''}&older=${times[3] ?? ''}`)).toEqual(['r2', 'r1']);
    // Later than a time between two hundredths is from the next hundredth on.
    expect(await ids(`?newer=${times[1] ?? ''}5&sort=oldest`)).toEqual(['r2', 'r3']);
    expect(await ids(`?older=${times[1] ?? ''}5`)).toEqual(['r1', 'r0']);
    expect(await ids('?newer=99999999999999999999')).toEqual([]);
  });

  it('is sorted, and continues where a page ended, also among equals', async () => {
    await fill(3);
    await user.post(
      '/storage/c',
      ['x', 'y', 'z'].map((id) => ({ id, sortindex: 2 })),
    );
    await user.put('/storage/c/none', { payload: '' });
    const all = {
      newest: ['none', 'z', 'y', 'x', 'r2', 'r1', 'r0'],
      oldest: ['r0', 'r1', 'r2', 'x', 'y', 'z', 'none'],
      index: ['r2', 'z', 'y', 'x', 'r1', 'r0', 'none'],
    };
    for (const [sort, expected] of Object.entries(all)) {
      expect(await ids(`?sort=${sort}`)).toEqual(expected);
      const seen: string[] = [];
      let query = `?sort=${sort}&limit=2`;
      for (;;) {
        const page = await user.get(`/storage/c${query}`);
        seen.push(...(page.json() as string[]));
        const next = page.headers['x-weave-next-offset'];
        if (next === undefined) break;
        expect(next).toMatch(/^[A-Za-z0-9_-]+$/);
        query = `?sort=${sort}&limit=2&offset=${String(next)}`;
      }
      expect(seen).toEqual(expected);
    }
    expect(await ids('?limit=0')).toEqual([]);
    expect(await ids('?ids=r1,nobody,,r0&sort=oldest')).toEqual(['r0', 'r1']);
    expect(await ids('?ids=')).toEqual([]);
  });

  it('is lines for who asks for lines, and refused to who asks for neither', async () => {
    await user.post('/storage/c', [
      { id: 'a', payload: 'one\ntwo' },
      { id: 'b', payload: '' },
    ]);
    const lines = await user.get('/storage/c?full&sort=oldest', { accept: 'application/newlines' });
    expect(lines.headers['content-type']).toMatch(/^application\/newlines/);
    expect(lines.headers['x-weave-records']).toBe('2');
    const rows = lines.text.split('\n');
    expect(rows.pop()).toBe('');
    expect(rows.map((row) => (JSON.parse(row) as { payload: string }).payload)).toEqual([
      'one\ntwo',
      '',
    ]);
    const either = 'text/html, application/newlines;q=0.5, */*;q=0.1';
    expect((await user.get('/storage/c', { accept: either })).text).toBe('"b"\n"a"\n');
    for (const path of ['/storage/c', '/storage/c/a', '/info/collections', '/info/quota']) {
      const refused = await user.get(path, { accept: 'text/html, application/json;q=0' });
      expect([refused.status, refused.text]).toEqual([406, '0']);
    }
    for (const accept of ['constructor', '__proto__']) {
      expect((await user.get('/storage/c', { accept })).status).toBe(406);
    }
  });

  it.each([
    'newer=-1',
    'newer=x',
    'newer=',
    'older=1e3',
    'older=.',
    'limit=-1',
    'limit=2.5',
    'limit=x',
    'sort=random',
    'offset=AAAA',
    'offset=bmV3ZXN0OjEyOg',
    'sort=oldest&offset=bmV3ZXN0OjEyOmE',
    `sort=index&offset=${Buffer.from('index:999999999999999:a').toString('base64url')}`,
    `sort=index&full&offset=${Buffer.from('index:-99999999999:a').toString('base64url')}`,
    'ids=a&ids=b',
    `ids=${Array.from({ length: 101 }, (_, i) => i).join(',')}`,
    'ids=a%00',
  ])('is refused for ?%s', async (query) => {
    const answer = await user.get(`/storage/c?${query}`);
    expect([answer.status, answer.text]).toEqual([400, '0']);
  });
});

describe('deleting', () => {
  it('takes a record, some, a collection or all, and time goes on', async () => {
    const put = await user.post(
      '/storage/c',
      ['a', 'b', 'c'].map((id) => ({ id, payload: '1' })),
    );
    const one = await user.delete('/storage/c/a');
    expect(one.text).toBe(`{"modified":${modifiedOf(one)}}`);
    expect(time(modifiedOf(one))).toBeGreaterThan(time(modifiedOf(put)));
    expect((await user.delete('/storage/c/a')).status).toBe(404);
    const some = await user.delete('/storage/c?ids=b,nobody');
    expect(time(some.json().modified)).toBeGreaterThan(time(modifiedOf(one)));
    expect((await user.get('/storage/c')).json()).toEqual(['c']);
    expect((await user.delete('/storage/c?ids=c')).status).toBe(200);
    // Emptied record by record, it is still there.
    expect(Object.keys((await user.get('/info/collections')).json())).toEqual(['c']);
    const whole = await user.delete('/storage/c');
    expect(time(modifiedOf(whole))).toBeGreaterThan(time(modifiedOf(some)));
    const info = await user.get('/info/collections');
    expect([info.text, modifiedOf(info)]).toEqual(['{}', modifiedOf(whole)]);
    expect(modifiedOf(await user.get('/storage/c'))).toBe('0.00');
    // No such collection: not an error, and the store's time.
    expect(modifiedOf(await user.delete('/storage/c'))).toBe(modifiedOf(whole));
    expect(modifiedOf(await user.delete('/storage/never'))).toBe(modifiedOf(whole));
  });

  it.each(['', '/', '/storage'])('empties the store at "%s", and nobody else’s', async (path) => {
    const other = await storageUser(server);
    for (const one of [user, other]) {
      await one.put('/storage/c/a', { payload: 'x' });
      await one.put('/storage/d/a', { payload: 'x' });
    }
    const cleared = await user.delete(path);
    expect([cleared.status, cleared.text]).toEqual([200, '{}']);
    expect((await user.get('/info/collections')).text).toBe('{}');
    expect((await user.get('/info/quota')).text).toBe('[0,null]');
    expect((await user.get('/storage/c/a')).status).toBe(404);
    expect(Object.keys((await other.get('/info/collections')).json()).sort()).toEqual(['c', 'd']);
  });

  it('does not let a collection that is made again go back in time', async () => {
    await server.db.query(`INSERT INTO user_collection VALUES ($1, 'c', $2, 0, false)`, [
      user.uid,
      time(server.clock.seconds()) + 500_000,
    ]);
    const before = modifiedOf(await user.get('/storage/c'));
    const gone = modifiedOf(await user.delete('/storage/c'));
    const again = (await user.put('/storage/c/a', { payload: '' })).text;
    const cleared = modifiedOf(await user.delete(''));
    const third = (await user.put('/storage/c/a', { payload: '' })).text;
    const times = [before, gone, again, cleared, third].map(time);
    expect(times).toEqual(times.map((_, i) => (times[0] ?? 0) + i));
  });
});

describe('quota', () => {
  const big = 'x'.repeat(1_900_000);

  it('refuses what would go over it, whole, with code 14, and warns before that', async () => {
    await user.put('/storage/c/a', { payload: big });
    const second = await user.put('/storage/c/b', { payload: big });
    expect(second.headers['x-weave-quota-remaining']).toBe(((QUOTA - 3_800_000) / 1024).toFixed(2));
    const before = (await user.get('/storage/c?full=1')).text;
    for (const refused of [
      await user.put('/storage/c/c', { payload: big }),
      await user.post('/storage/c', [{ id: 'small' }, { id: 'd', payload: big }]),
    ]) {
      expect([refused.status, refused.text]).toEqual([400, '14']);
    }
    expect((await user.get('/storage/c?full=1')).text).toBe(before);
    // The limit is on each collection, and shrinking is always allowed.
    expect((await user.put('/storage/other/c', { payload: big })).status).toBe(200);
    expect((await user.put('/storage/c/a', { payload: 'x' })).status).toBe(200);
    expect((await user.put('/storage/c/c', { payload: big })).status).toBe(200);
  });

  it('counts exactly, through updates, deletions and what expired', async () => {
    const bytes = async () => {
      const [row] = await server.db.query(
        `SELECT c.bytes, (SELECT coalesce(sum(octet_length(payload)), 0)::bigint FROM bso
           WHERE uid = c.uid AND collection = c.collection) AS stored
           FROM user_collection c WHERE uid = $1 AND collection = 'c'`,
        [user.uid],
      );
      expect(row.bytes).toBe(row.stored);
      return row.bytes as number;
    };
    await user.post('/storage/c', [
      { id: 'a', payload: 'éé', ttl: 5 },
      { id: 'b', payload: '12345' },
    ]);
    expect(await bytes()).toBe(9);
    await user.post('/storage/c', [
      { id: 'a', payload: 'x' },
      { id: 'b', sortindex: 1 },
    ]);
    expect(await bytes()).toBe(6);
    await user.delete('/storage/c?ids=b');
    expect(await bytes()).toBe(1);
    await user.post('/storage/c', [{ id: 'big', payload: big, ttl: 5 }]);
    await user.post('/storage/c', [{ id: 'big2', payload: big, ttl: 5 }]);
    expect((await user.post('/storage/c', [{ id: 'c', payload: big }])).text).toBe('14');
    server.clock.advance(6);
    expect((await user.post('/storage/c', [{ id: 'c', payload: big }])).status).toBe(200);
    expect(await bytes()).toBe(big.length);
    await user.delete('/storage/c');
    expect(await bytes()).toBe(0);
  });
});
