import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Config } from '../../apps/server/src/platform/config.ts';
import { PurgeService } from '../../apps/server/src/sync/purge.service.ts';
import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start({
    STORAGE_TTL_BOUNDS: 'short=-100, long=1000-, both=50-60',
    STORAGE_QUOTA_BYTES: '10000',
    STORAGE_USER_QUOTA_BYTES: '16384',
    STORAGE_BACKOFF_SECONDS: '1800',
    STORAGE_ALERT: '{"code":"soft-eol","message":"Bye","url":"https://example.org"}',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await storageUser(server);
});

const purge = () => server.app.get(PurgeService).purge();
const rows = async () =>
  (
    await server.db.query(
      `SELECT count(b.id) AS records, COALESCE(sum(b.bytes), 0)::bigint AS stored,
              (SELECT sum(bytes)::bigint FROM user_collection WHERE uid = $1) AS counted
         FROM bso b WHERE uid = $1`,
      [user.uid],
    )
  )[0] as { records: number; stored: number; counted: number };

describe('the purge', () => {
  it('removes what expired, and nothing else, and says how much', async () => {
    await purge();
    for (const collection of ['c', 'd']) {
      await user.post(`/storage/${collection}`, [
        { id: 'a', payload: 'xxx', ttl: 10 },
        { id: 'b', payload: 'yy', ttl: 10_000 },
        { id: 'c', payload: 'z' },
        { id: 'again', payload: 'v', ttl: 10 },
      ]);
    }
    const { text: before } = await user.get('/info/collections');
    await user.post('/storage/c?batch=true', [{ id: 'x', payload: 'x' }]);
    server.clock.advance(20);
    const { text: at } = await user.put('/storage/c/again', { payload: 'vv' });
    const log = jest.spyOn(Logger.prototype, 'log');
    expect(await purge()).toMatchObject({ records: 3, bytes: 7, batches: 0, chunks: 2 });
    const logged = log.mock.calls.map(([entry]) => entry);
    log.mockRestore();
    expect(logged).toContainEqual({
      ...{ event: 'purged', records: 3, bytes: 7, batches: 0, chunks: 2 },
      ms: expect.any(Number),
    });
    expect(await rows()).toEqual({ records: 5, stored: 8, counted: 8 });
    const [, d] = before.split(',');
    expect((await user.get('/info/collections')).text).toBe(`{"c":${at},${d}`);
    expect(await purge()).toMatchObject({ records: 0, batches: 0 });
  });

  it('removes batches that were given up', async () => {
    await user.post('/storage/c?batch=true', [{ id: 'x', payload: 'x' }]);
    await user.post('/storage/c?batch=true', []);
    server.clock.advance(7300);
    await purge();
    const left = await server.db.query(
      `SELECT (SELECT count(*) FROM batch) AS batches, (SELECT count(*) FROM batch_bso) AS records`,
    );
    expect(left).toEqual([{ batches: 0, records: 0 }]);
  });

  it('works in chunks, while writers write', async () => {
    await server.db.query(
      `INSERT INTO bso SELECT $1, 'c', 'old' || i, 1, NULL, 'xx', 2, 1 FROM generate_series(1, 2500) i`,
      [user.uid],
    );
    await server.db.query(`INSERT INTO user_collection VALUES ($1, 'c', 1, 5000, false)`, [
      user.uid,
    ]);
    const [purged, ...writes] = await Promise.all([
      purge(),
      ...Array.from({ length: 30 }, (_, i) => user.put(`/storage/c/new${i}`, { payload: 'xxx' })),
    ]);
    expect(writes.map(({ status }) => status)).toEqual(writes.map(() => 200));
    expect(purged).toMatchObject({ records: 2500, bytes: 5000 });
    expect(purged.chunks).toBeGreaterThanOrEqual(3);
    expect(await rows()).toEqual({ records: 30, stored: 90, counted: 90 });
  });

  it('is done by one process at a time', async () => {
    const other = server.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`SELECT pg_advisory_xact_lock(hashtextextended('storage-purge', 0))`);
    await user.put('/storage/c/a', { payload: '', ttl: 1 });
    server.clock.advance(5);
    expect(await purge()).toMatchObject({ records: 0, chunks: 0 });
    await other.rollbackTransaction();
    await other.release();
    expect(await purge()).toMatchObject({ records: 1 });
  });
});

describe('the bounds of lifetimes', () => {
  const expiry = async (collection: string) =>
    Object.fromEntries(
      (
        await server.db.query(
          `SELECT b.id, round((b.expires - c.modified) / 100.0)::int AS seconds
             FROM bso b JOIN user_collection c USING (uid, collection)
            WHERE uid = $1 AND collection = $2 ORDER BY b.id`,
          [user.uid, collection],
        )
      ).map(({ id, seconds }: { id: string; seconds: number | null }) => [id, seconds]),
    );

  it('shorten, lengthen, and give one to who has none', async () => {
    const body = [{ id: 'none' }, { id: 'one', ttl: 1 }, { id: 'many', ttl: 5000 }];
    for (const collection of ['short', 'long', 'both', 'free']) {
      await user.post(`/storage/${collection}`, body);
    }
    expect(await expiry('short')).toEqual({ none: 100, one: 1, many: 100 });
    expect(await expiry('long')).toEqual({ none: null, one: 1000, many: 5000 });
    expect(await expiry('both')).toEqual({ none: 60, one: 50, many: 60 });
    expect(await expiry('free')).toEqual({ none: null, one: 1, many: 5000 });
  });

  it('hold for batches, from their commit', async () => {
    const begun = await user.post('/storage/both?batch=true', [{ id: 'a', ttl: 1 }, { id: 'b' }]);
    server.clock.advance(30);
    await user.post(`/storage/both?batch=${begun.json().batch}&commit=true`, []);
    expect(await expiry('both')).toEqual({ a: 50, b: 60 });
  });

  it.each(['c', 'c=', 'c=5', 'c=9-5', 'c=a-b', '=1-2', 'c=-1-2'])('cannot be %s', (text) => {
    expect(() => Config.from({ STORAGE_TTL_BOUNDS: text })).toThrow(/STORAGE_TTL_BOUNDS/);
  });
});

describe('the limit of a store', () => {
  it('is over all collections, told, and never exceeded', async () => {
    const put = (collection: string, size: number) =>
      user.put(`/storage/${collection}/a`, { payload: 'x'.repeat(size) });
    expect((await put('a', 9000)).headers['x-weave-quota-remaining']).toBe('0.98');
    expect((await put('b', 6384)).headers['x-weave-quota-remaining']).toBe('0.98');
    expect((await user.get('/info/quota')).text).toBe('[15.0234375,16]');
    const refused = await put('c', 1001);
    expect([refused.status, refused.text]).toEqual([400, '14']);
    expect((await put('c', 1000)).headers['x-weave-quota-remaining']).toBe('0.00');
    expect((await put('a', 9001)).text).toBe('14');
    expect((await put('a', 8000)).status).toBe(200);
  });

  it('holds for writers to several collections at the same moment', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        user.put(`/storage/c${i}/a`, { payload: 'x'.repeat(4000) }),
      ),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(4);
    expect(answers.filter(({ text }) => text === '14')).toHaveLength(8);
    expect(await rows()).toEqual({ records: 4, stored: 16_000, counted: 16_000 });
  });
});

it('what the operator has to say is on every answer of the API, and on no other', async () => {
  const answers = [
    await user.get('/info/collections'),
    await user.get('/storage/c/none'),
    await user.put('/storage/c/a', 'x'),
    await user.request('GET', '/storage/c', { authorization: '' }),
    await user.request('GET', '!/1.1/somebody/info/collections', { authorization: '' }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([200, 404, 400, 401, 401]);
  for (const { headers } of answers) {
    expect([headers['x-weave-backoff'], headers['x-weave-alert']]).toEqual([
      '1800',
      '{"code":"soft-eol","message":"Bye","url":"https://example.org"}',
    ]);
  }
  const other = await user.get('!/__lbheartbeat__');
  expect([other.status, other.headers['x-weave-backoff']]).toEqual([200, undefined]);
  expect((await user.get('!/__heartbeat__')).text).toBe('{"status":"Ok"}');
});

it('a service that has ended answers 513, and why, to every storage request', async () => {
  const alert = '{"code":"hard-eol","message":"It has ended","url":"https://example.org"}';
  const ended = await TestServer.start({ STORAGE_ALERT: alert });
  try {
    const late = await storageUser(ended);
    for (const answer of [
      await late.get('/info/collections'),
      await late.put('/storage/c/a', { payload: 'x' }),
      await late.request('GET', '!/1.1/somebody/info/collections', { authorization: '' }),
    ]) {
      expect([answer.status, answer.text, answer.headers['x-weave-alert']]).toEqual([
        513,
        '0',
        alert,
      ]);
    }
    expect((await late.get('!/__lbheartbeat__')).status).toBe(200);
  } finally {
    await ended.stop();
  }
});

it('batches of several collections take no more room than the store has', async () => {
  const half = [{ id: 'a', payload: 'x'.repeat(9000) }];
  expect((await user.post('/storage/c?batch=true', half)).status).toBe(202);
  const refused = await user.post('/storage/d?batch=true', half);
  expect([refused.status, refused.text]).toEqual([400, '14']);
  const little = [{ id: 'a', payload: 'x'.repeat(7000) }];
  expect((await user.post('/storage/d?batch=true', little)).status).toBe(202);
});
