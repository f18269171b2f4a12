import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { StoredFile } from '#lib/protocol';
import { BlobStore } from '../../apps/server/src/files/blobs/blob-store.ts';
import { caller, digestOf, randomId, type TestCaller } from '../support/caller.ts';
import { at, filesApi, NEW } from '../support/files.ts';
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
    // no less: on a busy machine a good upload may stand still for a second
    FILES_IDLE_SECONDS: '5',
  });
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = [await caller(server), await caller(server)];
});
afterEach(() => {
  jest.restoreAllMocks();
});

const { put, ask, onDisk, inTable, expectInStep, liveOf } = filesApi(() => server);

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

  it.each<[string, Record<string, string>, number]>([
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

describe('the limits', () => {
  it('are said to anybody', async () => {
    const answer = await server.request().get('/files/v1/config').expect(200);
    expect(answer.body).toEqual({ max_file_bytes: MAX, quota_bytes: QUOTA });
  });
});
