import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start({
    STORAGE_REQUEST_BYTES_MAX: '20000',
    STORAGE_PAYLOAD_BYTES_MAX: '5000',
    STORAGE_POST_BYTES_MAX: '10000',
    STORAGE_POST_RECORDS_MAX: '10',
    STORAGE_PAGE_RECORDS_MAX: '15',
    STORAGE_PAGE_BYTES_MAX: '6000',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await storageUser(server);
});

const time = (text: unknown) => Math.round(Number(text) * 100);

describe('a body', () => {
  it.each([undefined, '', 'application/json', 'text/plain; charset=UTF-8', 'Application/JSON'])(
    'is JSON when it says %s',
    async (type) => {
      const put = await user.request('PUT', '/storage/c/a', { body: { payload: 'p' }, type });
      expect(put.status).toBe(200);
      const post = await user.request('POST', '/storage/c', { body: [{ id: 'b' }], type });
      expect(post.json().success).toEqual(['b']);
    },
  );

  it.each(['application/x-www-form-urlencoded', 'image/png', 'application/octet-stream', 'x'])(
    'is refused when it says %s',
    async (type) => {
      for (const [method, path] of [
        ['PUT', '/storage/c/a'],
        ['POST', '/storage/c'],
      ] as const) {
        const refused = await user.request(method, path, { body: '[]', type });
        expect([refused.status, refused.text]).toEqual([415, '0']);
      }
    },
  );

  it('can be lines', async () => {
    const type = 'application/newlines';
    const post = (body: string) => user.request('POST', '/storage/c', { body, type });
    const taken = await post('{"id":"a","payload":"x"}\n{"id":"b"}\r\n');
    expect(taken.json()).toMatchObject({ success: ['a', 'b'], failed: {} });
    expect((await post('{"id":"c"}')).json().success).toEqual(['c']);
    expect((await post('')).json().success).toEqual([]);
    for (const body of ['\n', '{}', '[]', '{"id":"d"}\n\n{"id":"e"}', '[{"id":"d"}]']) {
      expect((await post(body)).status).toBe(400);
    }
    expect((await user.get('/storage/c?sort=oldest')).json()).toEqual(['a', 'b', 'c']);
    expect((await user.request('PUT', '/storage/c/a', { body: '{}', type })).status).toBe(415);
  });

  it.each([
    ['6', ''],
    ['6', '{'],
    ['6', '[{"id":"a"}'],
    ['6', Buffer.from('7b226964223a22ff227d', 'hex')],
    ['8', 'null'],
    ['8', '42'],
    ['8', '"notabso"'],
    ['8', 'true'],
    ['8', '{}'],
    ['8', '[[]]'],
    ['8', '[null]'],
    ['8', '[{"id":"a"},"b"]'],
    ['8', '[{"id":7}]'],
    ['8', '[{"payload":"x"}]'],
    ['8', '[{"id":"a"},{"id":"a"}]'],
  ])('of a POST is refused whole with code %s: %s', async (code, body) => {
    const refused = await user.request('POST', '/storage/c', { body });
    expect([refused.status, refused.text]).toEqual([400, code]);
    expect((await user.get('/info/collections')).text).toBe('{}');
  });

  const mistakes: [reason: string, fields: string][] = [
    ['payload not a string', '"payload":7'],
    ['payload not a string', '"payload":{}'],
    ['payload not text', String.raw`"payload":"\u0000"`],
    ['payload not text', String.raw`"payload":"\ud800"`],
    ['payload too large', `"payload":"${'é'.repeat(2501)}"`],
    ['invalid sortindex', '"sortindex":"5"'],
    ['invalid sortindex', '"sortindex":1.5'],
    ['invalid sortindex', '"sortindex":1000000000'],
    ['invalid sortindex', '"sortindex":-1e99'],
    ['invalid ttl', '"ttl":-1'],
    ['invalid ttl', '"ttl":1e9'],
    ['invalid ttl', '"ttl":true'],
    ['invalid ttl', '"ttl":[]'],
    ['unknown field deleted', '"deleted":true'],
    ['unknown field __proto__', '"__proto__":{"payload":"x"}'],
    ['unknown field parentid', '"parentid":"x"'],
  ];
  it.each(mistakes)('with one bad record keeps the others: %s', async (reason, fields) => {
    const body = `[{"id":"bad",${fields}},{"id":"good","payload":"x"}]`;
    const posted = await user.request('POST', '/storage/c', { body });
    expect(posted.json()).toMatchObject({ success: ['good'], failed: { bad: reason } });
    const put = await user.request('PUT', '/storage/c/bad', { body: `{${fields}}` });
    expect([put.status, put.text]).toEqual([400, '8']);
    expect((await user.get('/storage/c')).json()).toEqual(['good']);
  });

  it.each(['', '{', 'null', '[]', '"x"', '{"id":"not\\n"}', '{"id":7}'])(
    'of a PUT is refused: %s',
    async (body) => {
      const refused = await user.request('PUT', '/storage/c/a', { body });
      expect(refused.status).toBe(400);
      expect(refused.text).toMatch(/^[68]$/);
      expect((await user.get('/storage/c/a')).status).toBe(404);
    },
  );

  it('may echo what was read, and the id of the path wins', async () => {
    const body = { id: 'other', modified: 1.5, collection: 'x', payload_size: 1, payload: 'p' };
    expect((await user.put('/storage/c/a', body)).status).toBe(200);
    expect((await user.get('/storage/c')).json()).toEqual(['a']);
  });

  it('beyond the limits is refused, or taken in part', async () => {
    const records = (count: number, size: number) =>
      Array.from({ length: count }, (_, i) => ({ id: `r${i}`, payload: 'x'.repeat(size) }));
    const tooMany = (await user.post('/storage/c', records(11, 1))).json();
    expect([tooMany.success.length, tooMany.failed]).toEqual([10, { r10: 'retry bso' }]);
    const tooLong = (await user.post('/storage/c', records(3, 4000))).json();
    expect(tooLong).toMatchObject({ success: ['r0', 'r1'], failed: { r2: 'retry bytes' } });
    const tooBig = await user.post('/storage/c', records(3, 8000));
    expect([tooBig.status, tooBig.text]).toEqual([413, '17']);
    for (const [header, value, code] of [
      ['x-weave-records', '11', '17'],
      ['x-weave-bytes', '10001', '17'],
      ['x-weave-records', 'many', '0'],
    ] as const) {
      const refused = await user.post('/storage/c', [], { [header]: value });
      expect([refused.status, refused.text]).toEqual([400, code]);
    }
    const { limits } = server.config;
    expect((await user.get('/info/configuration')).json()).toMatchObject({
      max_request_bytes: limits.storageRequestBytesMax,
      max_record_payload_bytes: 5000,
      max_post_records: 10,
      max_post_bytes: 10_000,
    });
  });

  it('with keys under an IV of zeros is refused', async () => {
    const payload = '{"ciphertext":"x","IV": "AAAAAAAAAAAAAAAAAAAAAA==","hmac":"y"}';
    expect((await user.put('/storage/crypto/keys', { payload })).text).toBe('8');
    expect((await user.post('/storage/crypto', [{ id: 'keys', payload }])).text).toBe('8');
    expect((await user.put('/storage/other/keys', { payload })).status).toBe(200);
  });
});

it('cuts a list without a limit, and says where it goes on', async () => {
  for (const part of ['a', 'b']) {
    await user.post(
      '/storage/c',
      Array.from({ length: 10 }, (_, i) => ({ id: `${part}${i}` })),
    );
  }
  const first = await user.get('/storage/c?sort=oldest');
  expect(first.json()).toHaveLength(15);
  const offset = String(first.headers['x-weave-next-offset']);
  const rest = await user.get(`/storage/c?sort=oldest&limit=1000&offset=${offset}`);
  expect(rest.json()).toEqual(['b5', 'b6', 'b7', 'b8', 'b9']);
  expect(rest.headers['x-weave-next-offset']).toBeUndefined();
});

it('cuts a list by its bytes too, and loses nothing', async () => {
  const sizes = [1, 4000, 1999, 1, 0, 5000, 5000, 5000, 3];
  for (const [i, size] of sizes.entries()) {
    await user.put(`/storage/c/r${i}`, { payload: 'x'.repeat(size), sortindex: i % 2 });
  }
  for (const sort of ['oldest', 'newest', 'index']) {
    const seen: [id: string, size: number][] = [];
    let offset = '';
    for (;;) {
      const page = await user.get(`/storage/c?full=1&sort=${sort}${offset}`);
      const records = page.json() as { id: string; payload: string }[];
      const lengths = records.map(({ payload }) => payload.length);
      expect(lengths.slice(0, -1).reduce((a, b) => a + b, 0)).toBeLessThan(6000);
      seen.push(...records.map(({ id, payload }): [string, number] => [id, payload.length]));
      const next = page.headers['x-weave-next-offset'];
      if (next === undefined) break;
      offset = `&offset=${String(next)}`;
    }
    expect(seen.sort()).toEqual(sizes.map((size, i) => [`r${i}`, size]));
  }
  expect((await user.get('/storage/c?sort=oldest')).json()).toHaveLength(sizes.length);
});

describe('conditions', () => {
  it('answer 304 to a reader that has it already', async () => {
    const { text: at } = await user.put('/storage/c/a', { payload: '' });
    const { text: later } = await user.put('/storage/c/b', { payload: '' });
    for (const [path, modified] of [
      ['/storage/c/a', at],
      ['/storage/c', later],
      ['/storage/c?full=1', later],
      ['/info/collections', later],
      ['/info/collection_counts', later],
      ['/info/quota', later],
    ] as const) {
      const same = await user.get(path, { 'x-if-modified-since': modified });
      expect([same.status, same.text, same.headers['x-last-modified']]).toEqual([
        304,
        '',
        modified,
      ]);
      const before = String((time(modified) - 1) / 100);
      expect((await user.get(path, { 'x-if-modified-since': before })).status).toBe(200);
    }
  });

  it('answer 412 with the time to whoever knows an older one, and change nothing', async () => {
    const { text: a } = await user.put('/storage/c/a', { payload: 'a' });
    const { text: c } = await user.put('/storage/c/b', { payload: 'b' });
    const before = await user.get('/storage/c?full=1');
    const attempts: [method: string, path: string, modified: string, body?: unknown][] = [
      ['GET', '/storage/c/a', a],
      ['GET', '/storage/c', c],
      ['GET', '/info/collections', c],
      ['PUT', '/storage/c/a', a, { payload: 'new' }],
      ['POST', '/storage/c', c, [{ id: 'x' }]],
      ['DELETE', '/storage/c/a', a],
      ['DELETE', '/storage/c?ids=a', c],
      ['DELETE', '/storage/c', c],
      ['DELETE', '/storage', c],
      ['DELETE', '', c],
    ];
    for (const [method, path, modified, body] of attempts) {
      const older = ((time(modified) - 1) / 100).toFixed(2);
      const refused = await user.request(method, path, {
        body,
        headers: { 'x-if-unmodified-since': older },
      });
      expect([
        method,
        path,
        refused.status,
        refused.text,
        refused.headers['x-last-modified'],
      ]).toEqual([method, path, 412, '0', modified]);
      expect(refused.headers['x-weave-timestamp']).toMatch(/^\d+\.\d\d$/);
    }
    expect((await user.get('/storage/c?full=1')).text).toBe(before.text);
    expect((await user.get('/storage/c')).headers['x-last-modified']).toBe(c);
    const since = { 'x-if-unmodified-since': a };
    expect((await user.put('/storage/c/a', { payload: 'new' }, since)).status).toBe(200);
  });

  it('of 0 mean that it must not exist', async () => {
    const none = { 'x-if-unmodified-since': '0' };
    expect((await user.put('/storage/c/a', { payload: '' }, none)).status).toBe(200);
    expect((await user.put('/storage/c/a', { payload: '' }, none)).status).toBe(412);
    expect((await user.put('/storage/c/b', { payload: '' }, none)).status).toBe(200);
    expect((await user.post('/storage/c', [], none)).status).toBe(412);
    expect((await user.post('/storage/d', [], none)).status).toBe(200);
    await user.delete('/storage/d');
    expect((await user.post('/storage/d', [], none)).status).toBe(200);
  });

  it.each<Record<string, string>>([
    { 'x-if-modified-since': '1', 'x-if-unmodified-since': '1' },
    { 'x-if-modified-since': '-1' },
    { 'x-if-unmodified-since': '-0.01' },
    { 'x-if-unmodified-since': 'yesterday' },
    { 'x-if-modified-since': '1e9' },
    { 'x-if-modified-since': '' },
  ])('are refused when they are %j', async (headers) => {
    const paths = ['/info/collections', '/storage/c', '/storage/c/a'];
    await user.put('/storage/c/a', { payload: '' });
    for (const path of paths) {
      const refused = await user.get(path, headers);
      expect([refused.status, refused.text]).toEqual([400, '0']);
    }
    expect((await user.put('/storage/c/a', { payload: '' }, headers)).status).toBe(400);
  });
});

describe('writers at the same moment', () => {
  it('queue, and each gets a time of its own', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        i % 2 === 0
          ? user.put(`/storage/c/r${i}`, { payload: String(i) })
          : user.post('/storage/c', [{ id: `r${i}`, payload: String(i) }, { id: 'shared' }]),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const times = answers.map(({ headers }) => headers['x-last-modified']);
    expect(new Set(times).size).toBe(20);
    const [row] = await server.db.query(
      `SELECT count(*) AS count, (SELECT bytes FROM user_collection WHERE uid = $1) AS bytes,
              sum(octet_length(payload))::bigint AS stored FROM bso WHERE uid = $1`,
      [user.uid],
    );
    expect(row).toEqual({ count: 21, bytes: row.stored, stored: row.bytes });
  });

  it('do not hide a record from who polls with the time of the last answer', async () => {
    // The database stops a writer of this record just before its commit.
    await server.db.query(`
      CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM pg_advisory_xact_lock_shared(77); RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON bso DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.id = 'late') EXECUTE FUNCTION hold()`);
    const holder = server.db.createQueryRunner();
    await holder.query(`SELECT pg_advisory_lock(77)`);
    await user.put('/storage/c/first', { payload: '' });
    const late = ['c', 'new'].map((name) => user.put(`/storage/${name}/late`, { payload: 'x' }));
    await until(async () => {
      const [row] = await holder.query(
        `SELECT count(*) AS waiting FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      return row.waiting === 2;
    });
    const polls = [await user.get('/storage/c'), await user.get('/storage/new')];
    await holder.query(`SELECT pg_advisory_unlock(77)`);
    await holder.release();
    expect((await Promise.all(late)).map(({ status }) => status)).toEqual([200, 200]);
    expect(polls.map(({ text }) => text)).toEqual(['["first"]', '[]']);
    for (const [i, name] of ['c', 'new'].entries()) {
      const cursor = String(polls[i]?.headers['x-weave-timestamp']);
      expect((await user.get(`/storage/${name}?newer=${cursor}`)).json()).toEqual(['late']);
    }
    await server.db.query(`DROP TRIGGER hold ON bso`);
  });

  it('let a reader know the time while there are none', async () => {
    const before = Date.now() / 1000;
    await until(async () => {
      const none = await user.get('/storage/none');
      const time = Number(none.headers['x-weave-timestamp']);
      expect([none.text, none.headers['x-last-modified']]).toEqual(['[]', '0.00']);
      expect(time === 0 || time >= before - 0.01).toBe(true);
      return time > 0; // another test's writer may be under way in this database
    });
  });

  it('do not stop each other when one deletes everything', async () => {
    const answers = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        i % 6 === 5
          ? user.delete(i % 12 === 5 ? '' : '/storage/c1')
          : user.put(`/storage/c${i % 3}/r${i}`, { payload: 'x' }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
    const rows = await server.db.query(
      `SELECT c.bytes, c.deleted, count(b.id) AS records FROM user_collection c
         LEFT JOIN bso b USING (uid, collection) WHERE c.uid = $1 GROUP BY 1, 2, c.collection`,
      [user.uid],
    );
    for (const { bytes, deleted, records } of rows) {
      expect([bytes, deleted && records > 0]).toEqual([records, false]);
    }
  });
});
