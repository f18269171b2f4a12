import { randomBytes } from 'node:crypto';
import { mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as path } from 'node:path';
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import { BlobStore } from '../../apps/server/src/files/blobs/blob-store.ts';
import { SweepService } from '../../apps/server/src/files/sweep.service.ts';
import { caller, randomId, type TestCaller } from '../support/caller.ts';
import { at, filesApi } from '../support/files.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: TestCaller;
let bob: TestCaller;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = [await caller(server), await caller(server)];
});
afterEach(() => {
  jest.restoreAllMocks();
});

const { put, ask, onDisk, expectInStep, liveOf } = filesApi(() => server);

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
    await server.app.get(SweepService).onApplicationBootstrap();
    expect((await ask(alice, 'get', url)).status).toBe(200);
    await expectInStep();
  });
});
