import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { StoredFile } from '#lib/protocol';
import { BlobStore } from '../../apps/server/src/files/blobs/blob-store.ts';
import { caller, digestOf, randomId, type TestCaller } from '../support/caller.ts';
import { TestServer } from '../support/test-server.ts';

const QUOTA = 10_000;
const MAX = 8_000;

let server: TestServer;
let alice: TestCaller;
let bob: TestCaller;
beforeAll(async () => {
  server = await TestServer.start({
    FILES_QUOTA_BYTES: String(QUOTA),
    FILES_FILE_BYTES_MAX: String(MAX),
    FILES_IDLE_SECONDS: '1',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = [await caller(server), await caller(server)];
});
afterEach(() => {
  jest.restoreAllMocks();
});

type Headers = Record<string, string>;
const at = (who: TestCaller, id: string) => `/files/v1/${who.uid}/files/${id}`;
const NEW = { 'if-none-match': '*' };

const put = async (who: TestCaller, url: string, body: Buffer, headers: Headers = NEW) =>
  server
    .request()
    .put(url)
    .set('authorization', await who.authorization('files'))
    .set({ 'content-type': 'application/octet-stream', 'content-length': String(body.length) })
    .set(headers)
    // superagent would spell a Buffer out as JSON
    .send(headers['content-type'] === 'application/json' ? body.toString() : body);

const ask = async (
  who: TestCaller,
  method: 'get' | 'head' | 'delete' | 'put',
  url: string,
  headers: Headers = {},
  body?: object | string,
) =>
  server
    .request()
    [method](url)
    .set('authorization', await who.authorization('files'))
    .set(headers)
    .buffer(true)
    .send(body);

/** Every file in the blob store, finished or not. */
const onDisk = (dataDir = server.config.dataDir) =>
  existsSync(path(dataDir, 'blobs'))
    ? readdirSync(path(dataDir, 'blobs'), { recursive: true, encoding: 'utf8' }).filter((name) =>
        statSync(path(dataDir, 'blobs', name)).isFile(),
      )
    : [];
const inTable = async () =>
  (await server.db.query<{ n: number }[]>('SELECT count(*)::int AS n FROM file'))[0]?.n ?? 0;
/** No row without a blob, no blob without a row. */
const expectInStep = async () => {
  const rows = await server.db.query<{ blob_id: string }[]>('SELECT blob_id FROM file');
  expect(
    onDisk()
      .map((name) => name.split('/').at(-1))
      .sort(),
  ).toEqual(rows.map(({ blob_id }) => blob_id).sort());
};
const liveOf = async (who: TestCaller) =>
  ((await ask(who, 'get', `/files/v1/${who.uid}/usage`)).body as { live: number }).live;

describe('uploading', () => {
  it('keeps the bytes and gives them back', async () => {
    const [id, version, bytes] = [randomId(), randomId(), randomBytes(5000)];
    const stored = await put(alice, at(alice, id), bytes, { ...NEW, 'x-version-id': version });
    expect(stored.status).toBe(201);
    expect(StoredFile.parse(stored.body)).toEqual({
      ...{ id, version, size: 5000, sha256: digestOf(bytes) },
    });
    expect(stored.headers.etag).toBe(`"${version}"`);
    const read = await ask(alice, 'get', at(alice, id));
    expect(read.status).toBe(200);
    expect(bytes.equals(read.body as Buffer)).toBe(true);
    expect(read.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '5000',
      'content-disposition': 'attachment',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
      etag: `"${version}"`,
      'repr-digest': `sha-256=:${Buffer.from(digestOf(bytes), 'base64url').toString('base64')}:`,
    });
    await expectInStep();
  });

  it('takes an empty file', async () => {
    const id = randomId();
    expect((await put(alice, at(alice, id), Buffer.alloc(0))).body.size).toBe(0);
    const read = await ask(alice, 'get', at(alice, id));
    expect([read.status, read.headers['content-length']]).toEqual([200, '0']);
    expect((await ask(alice, 'get', at(alice, id), { range: 'bytes=0-' })).status).toBe(416);
    expect((await ask(alice, 'get', at(alice, id), { range: 'bytes=-5' })).status).toBe(416);
  });

  it('answers the same upload twice in the same way, and keeps it once', async () => {
    const [url, bytes] = [at(alice, randomId()), randomBytes(100)];
    const headers = { ...NEW, 'x-version-id': randomId() };
    const first = await put(alice, url, bytes, headers);
    const second = await put(alice, url, bytes, headers);
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body).toEqual(first.body);
    expect(await liveOf(alice)).toBe(100);
    const other = await put(alice, url, randomBytes(100), headers);
    expect([other.status, other.body.type]).toEqual([409, '/problems/conflict']);
    await expectInStep();
  });

  it('replaces the version that the writer knows, and no other', async () => {
    const url = at(alice, randomId());
    const first = await put(alice, url, randomBytes(100));
    const etag = String(first.headers.etag);
    expect((await put(alice, url, randomBytes(10))).status).toBe(412);
    expect((await put(alice, url, randomBytes(10), { 'if-match': `"${randomId()}"` })).status).toBe(
      412,
    );
    expect((await put(alice, url, randomBytes(10), { 'if-match': `W/${etag}` })).status).toBe(412);
    const second = await put(alice, url, randomBytes(30), { 'if-match': etag });
    expect(second.status).toBe(200);
    expect((await put(alice, url, randomBytes(10), { 'if-match': etag })).status).toBe(412);
    expect(
      (await put(alice, at(alice, randomId()), randomBytes(1), { 'if-match': '*' })).status,
    ).toBe(412);
    expect(await liveOf(alice)).toBe(30);
    await expectInStep();
  });

  it('lets exactly one of 20 writers be first, and keeps one blob', async () => {
    const url = at(alice, randomId());
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => put(alice, url, randomBytes(50))),
    );
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 19 }, () => 412)]);
    expect(await liveOf(alice)).toBe(50);
    await expectInStep();
  });

  it.each<[string, Headers, number]>([
    ['without a condition', {}, 428],
    ['with another condition', { 'if-none-match': '"x"' }, 428],
    ['with both conditions', { 'if-none-match': '*', 'if-match': '*' }, 428],
    ['with a malformed version', { ...NEW, 'x-version-id': 'x' }, 400],
    ['with a malformed digest', { ...NEW, 'content-digest': 'sha-256=abc' }, 400],
    [
      'with the digest of other bytes',
      { ...NEW, 'content-digest': `sha-256=:${'A'.repeat(43)}=:` },
      400,
    ],
    ['that is JSON', { ...NEW, 'content-type': 'application/json' }, 415],
    ['that is a picture', { ...NEW, 'content-type': 'image/png' }, 415],
    ['that is compressed', { ...NEW, 'content-encoding': 'gzip' }, 415],
  ])('refuses an upload %s, and keeps nothing', async (_, headers, status) => {
    const before = onDisk();
    const answer = await put(alice, at(alice, randomId()), Buffer.from('{"a":1}'), headers);
    expect(answer.status).toBe(status);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(onDisk()).toEqual(before);
    expect(await liveOf(alice)).toBe(0);
  });

  it('checks the digest that the client sends, and passes other algorithms over', async () => {
    const bytes = randomBytes(10);
    const sha256 = Buffer.from(digestOf(bytes), 'base64url').toString('base64');
    for (const digest of [`sha-256=:${sha256}:`, `sha-512=:x:, sha-256=:${sha256}:`, 'md5=:x:']) {
      const headers = { ...NEW, 'content-digest': digest };
      expect((await put(alice, at(alice, randomId()), bytes, headers)).status).toBe(201);
    }
    const headers = { ...NEW, 'content-digest': `sha-256=:${'A'.repeat(43)}=:` };
    const wrong = await put(alice, at(alice, randomId()), bytes, headers);
    expect(wrong.body.type).toBe('/problems/digest-mismatch');
  });

  it('refuses a file beyond the limit', async () => {
    const answer = await put(alice, at(alice, randomId()), randomBytes(MAX + 1));
    expect([answer.status, answer.body.type]).toEqual([413, '/problems/too-large']);
    expect((await put(alice, at(alice, randomId()), randomBytes(MAX))).status).toBe(201);
    await expectInStep();
  });

  it('counts the quota on what stands', async () => {
    const url = at(alice, randomId());
    expect((await put(alice, url, randomBytes(6000))).status).toBe(201);
    const over = await put(alice, at(alice, randomId()), randomBytes(5000));
    expect([over.status, over.body.type]).toEqual([507, '/problems/over-quota']);
    expect((await put(alice, url, randomBytes(8000), { 'if-match': '*' })).status).toBe(200);
    expect(await liveOf(alice)).toBe(8000);
    expect((await ask(alice, 'delete', url)).status).toBe(204);
    expect(await liveOf(alice)).toBe(0);
    expect((await put(alice, at(alice, randomId()), randomBytes(8000))).status).toBe(201);
    expect((await put(bob, at(bob, randomId()), randomBytes(8000))).status).toBe(201);
    await expectInStep();
  });

  it('never exceeds the quota by many uploads at once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => put(alice, at(alice, randomId()), randomBytes(3000))),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    expect(answers.filter(({ status }) => status === 507)).toHaveLength(9);
    expect(await liveOf(alice)).toBe(9000);
    await expectInStep();
  });

  it('says so when the disk is full, and keeps nothing', async () => {
    const full = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
    jest.spyOn(server.app.get(BlobStore), 'put').mockRejectedValue(full);
    const answer = await put(alice, at(alice, randomId()), randomBytes(10));
    expect([answer.status, answer.body.type]).toEqual([507, '/problems/over-quota']);
    expect(await liveOf(alice)).toBe(0);
  });
});

describe('an upload over a bare socket', () => {
  const send = async (lines: readonly string[], body = ''): Promise<Socket> => {
    const socket = connect(server.config.port, 'localhost');
    await once(socket, 'connect');
    const head = [
      `PUT ${at(alice, randomId())} HTTP/1.1`,
      'host: localhost',
      `authorization: ${await alice.authorization('files')}`,
      'content-type: application/octet-stream',
      'if-none-match: *',
      ...lines,
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n${body}`);
    return socket;
  };
  /** The next call of the store, and how it ends. */
  const watchStore = () => {
    const blobs = server.app.get(BlobStore);
    const original = blobs.put.bind(blobs);
    return new Promise<{ ended: Promise<unknown>; begun: Promise<unknown> }>((called) => {
      jest.spyOn(blobs, 'put').mockImplementation((source) => {
        let hasBegun: (value?: unknown) => void = () => undefined;
        const begun = new Promise((resolve) => (hasBegun = resolve));
        const watched = Readable.from(
          (async function* () {
            for await (const chunk of source) {
              yield chunk;
              hasBegun();
            }
          })(),
        );
        const stored = original(watched);
        called({ begun, ended: stored.catch((error: unknown) => error) });
        return stored;
      });
    });
  };

  it('that is cut off in the middle leaves no row and no file', async () => {
    const [rows, files] = [await inTable(), onDisk()];
    const store = watchStore();
    const socket = await send(['content-length: 4000'], 'x'.repeat(1000));
    const { begun, ended } = await store;
    await begun;
    expect(onDisk()).toHaveLength(files.length + 1);
    socket.destroy();
    expect(await ended).toHaveProperty('code');
    expect([await inTable(), onDisk()]).toEqual([rows, files]);
    expect(await liveOf(alice)).toBe(0);
  });

  it('that stands still is broken off, and leaves no row and no file', async () => {
    const [rows, files] = [await inTable(), onDisk()];
    const store = watchStore();
    const socket = await send(['content-length: 4000'], 'x'.repeat(1000));
    const { ended } = await store;
    socket.resume().on('error', () => undefined);
    await once(socket, 'close');
    expect(await ended).toHaveProperty('code');
    expect([await inTable(), onDisk()]).toEqual([rows, files]);
  });

  it.each([
    ['does not say how long it is', ['transfer-encoding: chunked'], '3\r\nabc\r\n0\r\n\r\n'],
  ])('that %s is refused', async (_, lines, body) => {
    const socket = await send(lines, body);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    socket.destroy();
    expect(answer.toString()).toMatch(/^HTTP\/1.1 411 /);
    expect(answer.toString()).toContain('/problems/length-required');
  });
});

describe('reading', () => {
  let id: string;
  let url: string;
  let etag: string;
  const bytes = randomBytes(1000);
  beforeEach(async () => {
    id = randomId();
    url = at(alice, id);
    etag = String((await put(alice, url, bytes)).headers.etag);
  });

  it.each<[string, number, number]>([
    ['bytes=0-0', 0, 0],
    ['bytes=0-', 0, 999],
    ['bytes=10-19', 10, 19],
    ['bytes=990-2000', 990, 999],
    ['bytes=999-', 999, 999],
    ['bytes=-1', 999, 999],
    ['bytes=-1000', 0, 999],
    ['bytes=-5000', 0, 999],
    ['Bytes= 5-6 ', 5, 6],
  ])('gives the range %s', async (range, start, end) => {
    const answer = await ask(alice, 'get', url, { range });
    expect(answer.status).toBe(206);
    expect(answer.headers['content-range']).toBe(`bytes ${start}-${end}/1000`);
    expect(answer.headers['content-length']).toBe(String(end - start + 1));
    expect(bytes.subarray(start, end + 1).equals(answer.body as Buffer)).toBe(true);
  });

  it.each(['bytes=1000-', 'bytes=1000-1001', 'bytes=-0', 'bytes=5000-6000'])(
    'refuses the range %s',
    async (range) => {
      const answer = await ask(alice, 'get', url, { range });
      expect(answer.status).toBe(416);
      expect(answer.headers['content-range']).toBe('bytes */1000');
      expect(answer.body).toMatchObject({ type: '/problems/range-not-satisfiable' });
    },
  );

  it.each([
    'bytes=0-1,5-6',
    'bytes=5-2',
    'bytes=-',
    'bytes=a-b',
    'lines=0-1',
    'x',
    `bytes=${'9'.repeat(400)}-`,
  ])('gives the whole for %s', async (range) => {
    const answer = await ask(alice, 'get', url, { range });
    expect([answer.status, (answer.body as Buffer).length]).toEqual([200, 1000]);
  });

  it('gives a range of the version that the reader began with, else the whole', async () => {
    const range = 'bytes=0-9';
    expect((await ask(alice, 'get', url, { range, 'if-range': etag })).status).toBe(206);
    expect((await ask(alice, 'get', url, { range, 'if-range': '"x"' })).status).toBe(200);
    expect((await ask(alice, 'get', url, { range, 'if-range': `W/${etag}` })).status).toBe(200);
  });

  it('answers 304 to whoever has the version', async () => {
    for (const method of ['get', 'head'] as const) {
      const known = await ask(alice, method, url, { 'if-none-match': etag });
      expect([known.status, known.headers.etag]).toEqual([304, etag]);
      expect((await ask(alice, method, url, { 'if-none-match': '"x"' })).status).toBe(200);
    }
  });

  it('tells by HEAD what GET would, without reading the file', async () => {
    const open = jest.spyOn(server.app.get(BlobStore), 'open');
    const answer = await ask(alice, 'head', url);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-length': '1000',
      etag,
      'accept-ranges': 'bytes',
    });
    expect(open).not.toHaveBeenCalled();
    expect((await ask(bob, 'head', url)).status).toBe(404);
  });

  it('holds no database connection while it streams', async () => {
    const blobs = server.app.get(BlobStore);
    const endless = Array.from({ length: 12 }, () => new Readable({ read: () => undefined }));
    for (const stream of endless) stream.push('x');
    let next = 0;
    const streams = jest
      .spyOn(blobs, 'open')
      .mockImplementation(() => Promise.resolve(endless[next++]));
    const authorization = await alice.authorization('files');
    // More readers than the pool has connections, all in the middle of their file.
    const readers = await Promise.all(
      endless.map(() => fetch(server.url + url, { headers: { authorization } })),
    );
    expect(streams).toHaveBeenCalledTimes(12);
    expect(await liveOf(alice)).toBe(1000);
    for (const stream of endless) stream.destroy(new Error('enough'));
    await Promise.all(readers.map((reader) => expect(reader.arrayBuffer()).rejects.toThrow()));
  });

  it('looks again when a writer replaced the blob in between', async () => {
    const blobs = server.app.get(BlobStore);
    jest.spyOn(blobs, 'open').mockResolvedValueOnce(undefined);
    expect((await ask(alice, 'get', url)).status).toBe(200);
    jest.spyOn(blobs, 'open').mockResolvedValue(undefined);
    expect((await ask(alice, 'get', url)).status).toBe(503);
  });
});

describe('deleting', () => {
  it('takes the file, its bytes and its grants', async () => {
    const url = at(alice, randomId());
    const stored = await put(alice, url, randomBytes(10));
    await ask(alice, 'put', `${url}/grants/${bob.uid}`, {}, {});
    expect((await ask(alice, 'delete', url, { 'if-match': '"x"' })).status).toBe(412);
    const ifMatch = { 'if-match': String(stored.headers.etag) };
    expect((await ask(alice, 'delete', url, ifMatch)).status).toBe(204);
    expect((await ask(alice, 'delete', url)).status).toBe(404);
    expect((await ask(alice, 'get', url)).status).toBe(404);
    await put(alice, url, randomBytes(10));
    expect((await ask(bob, 'get', url)).status).toBe(404);
    await expectInStep();
  });
});

describe('grants', () => {
  let url: string;
  beforeEach(async () => {
    url = at(alice, randomId());
    await put(alice, url, randomBytes(10));
  });

  it('let one other user of the app read, and nobody write', async () => {
    expect((await ask(bob, 'get', url)).status).toBe(404);
    expect((await ask(alice, 'put', `${url}/grants/${bob.uid}`, {}, {})).status).toBe(204);
    expect((await ask(alice, 'put', `${url}/grants/${bob.uid}`, {}, {})).status).toBe(204);
    expect((await ask(bob, 'get', url)).status).toBe(200);
    expect((await ask(bob, 'head', url)).status).toBe(200);
    const carol = await caller(server);
    expect((await ask(carol, 'get', url)).status).toBe(404);
    expect((await put(bob, url, randomBytes(1), { 'if-match': '*' })).status).toBe(404);
    expect((await ask(bob, 'delete', url)).status).toBe(404);
    expect((await ask(bob, 'put', `${url}/grants/${carol.uid}`, {}, {})).status).toBe(404);
    expect((await ask(bob, 'delete', `${url}/grants/${bob.uid}`)).status).toBe(404);
    expect((await ask(bob, 'get', `/files/v1/${alice.uid}/usage`)).status).toBe(404);
    expect((await ask(alice, 'delete', `${url}/grants/${bob.uid}`)).status).toBe(204);
    expect((await ask(alice, 'delete', `${url}/grants/${bob.uid}`)).status).toBe(204);
    expect((await ask(bob, 'get', url)).status).toBe(404);
  });

  it('end at their time', async () => {
    const exp = server.clock.seconds() + 600;
    await ask(alice, 'put', `${url}/grants/${bob.uid}`, {}, { exp });
    expect((await ask(bob, 'get', url)).status).toBe(200);
    server.clock.advance(601);
    expect((await ask(bob, 'get', url)).status).toBe(404);
  });

  it.each<[string, object | string]>([
    ['a time that has passed', { exp: 1 }],
    ['a time that no calendar has', { exp: 9_007_199_254_740_991 }],
    ['a fraction', { exp: 1.5 }],
    ['a text', { exp: 'tomorrow' }],
    ['a list', []],
    ['half of JSON', '{'],
  ])('refuse %s', async (_, body) => {
    const type = { 'content-type': 'application/json' };
    const answer = await ask(alice, 'put', `${url}/grants/${bob.uid}`, type, body);
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect((await ask(bob, 'get', url)).status).toBe(404);
  });

  it('refuse a file that is not there', async () => {
    const nowhere = at(alice, randomId());
    expect((await ask(alice, 'put', `${nowhere}/grants/${bob.uid}`, {}, {})).status).toBe(404);
  });
});

describe('another app', () => {
  it('finds nothing of the same account by any path', async () => {
    const url = at(alice, randomId());
    await put(alice, url, randomBytes(10));
    await ask(alice, 'put', `${url}/grants/${bob.uid}`, {}, {});
    for (const uid of [alice.uid, bob.uid]) {
      const other = await caller(server, { uid, clientId: 'other-app' });
      const nowhere = await ask(other, 'get', at(alice, randomId()));
      const there = await ask(other, 'get', url);
      expect(there.status).toBe(404);
      expect(there.body).toEqual(nowhere.body);
      expect((await ask(other, 'head', url)).status).toBe(404);
      expect((await ask(other, 'delete', url)).status).toBe(404);
      expect((await ask(other, 'put', `${url}/grants/${uid}`, {}, {})).status).toBe(404);
      const status = uid === alice.uid ? 412 : 404;
      expect((await put(other, url, randomBytes(1), { 'if-match': '*' })).status).toBe(status);
    }
    const other = await caller(server, { uid: alice.uid, clientId: 'other-app' });
    expect(await liveOf(other)).toBe(0);
    expect((await put(other, url, randomBytes(20))).status).toBe(201);
    expect((await ask(alice, 'head', url)).headers['content-length']).toBe('10');
    await ask(other, 'delete', `${url}/grants/${bob.uid}`);
    expect((await ask(bob, 'get', url)).status).toBe(200);
  });
});

describe('bad paths and tokens', () => {
  it.each([
    ['x', randomId()],
    ['0'.repeat(32), 'x'],
    ['0'.repeat(32), '..%2f..%2fetc%2fpasswd'],
    ['0'.repeat(32), 'A'.repeat(21) + 'B'],
    ['0'.repeat(32), '%00'.repeat(22)],
    ['A'.repeat(32), randomId()],
  ])('refuse /%s/files/%s', async (root, id) => {
    for (const method of ['get', 'delete'] as const) {
      const answer = await ask(alice, method, `/files/v1/${root}/files/${id}`);
      expect(answer.status).toBe(400);
    }
    expect((await put(alice, `/files/v1/${root}/files/${id}`, randomBytes(1))).status).toBe(400);
    await expectInStep();
  });

  it.each([
    ['get', '', 'files'],
    ['head', '', 'files'],
    ['put', '', 'files:write'],
    ['delete', '', 'files:write'],
    ['put', `/grants/${'0'.repeat(32)}`, 'files:write'],
    ['delete', `/grants/${'0'.repeat(32)}`, 'files:write'],
  ] as const)('%s …%s needs its own scope and audience', async (method, rest, scope) => {
    const send = (authorization?: string) => {
      const request = server.request()[method](at(alice, randomId()) + rest);
      return authorization === undefined ? request : request.set('authorization', authorization);
    };
    const other = scope === 'files' ? 'files:write' : 'files';
    expect((await send()).status).toBe(401);
    expect((await send(await alice.authorization('keys', [scope]))).status).toBe(401);
    expect((await send(await alice.authorization('files', [other]))).status).toBe(403);
    expect([401, 403]).not.toContain(
      (await send(await alice.authorization('files', [scope]))).status,
    );
  });

  it('says its limits to anybody', async () => {
    const answer = await server.request().get('/files/v1/config').expect(200);
    expect(answer.body).toEqual({ max_file_bytes: MAX, quota_bytes: QUOTA });
  });
});

describe('after a crash', () => {
  it('sweeps old leftovers, and nothing that is young or in use', async () => {
    const dataDir = await mkdtemp(path(tmpdir(), 'lockstep-test-'));
    const days = (n: number) => new Date(Date.now() - n * 86_400_000);
    const leave = (folder: string, name: string, age: number) => {
      mkdirSync(path(dataDir, 'blobs', folder), { recursive: true });
      writeFileSync(path(dataDir, 'blobs', folder, name), 'x');
      utimesSync(path(dataDir, 'blobs', folder, name), days(age), days(age));
    };
    leave('unfinished', '00'.repeat(16), 2);
    leave('unfinished', '01'.repeat(16), 0.5);
    leave('ab/cd', `abcd${'0'.repeat(28)}`, 2);
    leave('ab/cd', `abcd${'1'.repeat(28)}`, 0.5);
    const other = await TestServer.start({ DATA_DIR: dataDir });
    const kept = ['ab/cd/abcd' + '1'.repeat(28), `unfinished/${'01'.repeat(16)}`];
    expect(onDisk(dataDir).sort()).toEqual(kept);
    await other.stop();
  });

  it('keeps an old blob that a file names', async () => {
    const url = at(alice, randomId());
    await put(alice, url, randomBytes(10));
    server.clock.advance(2 * 86_400);
    const { SweepService } = await import('../../apps/server/src/files/sweep.service.ts');
    await server.app.get(SweepService).onApplicationBootstrap();
    expect((await ask(alice, 'get', url)).status).toBe(200);
    await expectInStep();
  });
});
