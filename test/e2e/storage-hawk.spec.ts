import { jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { hawkMac, hawkPayloadHash, openToken, utf8 } from '#lib/crypto';
import { Config } from '../../apps/server/src/platform/config.ts';
import { SettingsService } from '../../apps/server/src/platform/settings.service.ts';
import { StorageCredentialsService } from '../../apps/server/src/token/storage-credentials.service.ts';
import {
  storageClient,
  type StorageClient,
  storageCredentials,
  type StorageRequestOptions,
  storageUser,
} from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  user = await storageUser(server);
});

const body = [{ id: 'a', payload: 'x' }];

/** Expects a refusal in the API's form, and its reason in the log. */
async function expectRefused(
  attempt: () => Promise<Awaited<ReturnType<StorageClient['request']>>>,
  reason: RegExp,
) {
  const log = jest.spyOn(Logger.prototype, 'log');
  const { status, text, headers } = await attempt();
  const reasons = log.mock.calls.map(([entry]) => (entry as { reason?: string }).reason);
  log.mockRestore();
  expect([status, text]).toEqual([401, '0']);
  expect(headers['www-authenticate']).toBe('Hawk');
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(headers['x-weave-timestamp']).toMatch(/^\d+\.\d\d$/);
  expect(reasons.filter(Boolean)).toEqual([expect.stringMatching(reason)]);
}

const nothingWritten = async () => {
  expect((await user.get('/info/collections')).text).toBe('{}');
};

describe('a request without credentials of its own', () => {
  it.each([
    ['none', ''],
    ['of another scheme', 'Bearer abcdefghijklmnopqrstuvwxyz'],
    ['Basic', 'Basic dXNlcjpwYXNz'],
    ['without attributes', 'Hawk '],
    ['without a MAC', 'Hawk id="a", ts="1", nonce="n"'],
    ['that names one twice', 'Hawk id="a", id="b", ts="1", nonce="n", mac="bQ=="'],
    ['with a time that is none', 'Hawk id="a", ts="soon", nonce="n", mac="bQ=="'],
    ['with a name that there is not', 'Hawk id="a", ts="1", nonce="n", mac="bQ==", app="x"'],
    ['without a nonce', 'Hawk id="a", ts="1", nonce="", mac="bQ=="'],
    ['with a time before all time', 'Hawk id="a", ts="-1", nonce="n", mac="bQ=="'],
    ['with a fraction of a second', 'Hawk id="a", ts="1.5", nonce="n", mac="bQ=="'],
    ['with an open quote', 'Hawk id="a", ts="1", nonce="n", mac="bQ=='],
    ['with text after it', 'Hawk id="a", ts="1", nonce="n", mac="bQ==" more'],
    ['that is another after a comma', 'Hawk id="a", ts="1", nonce="n", mac="bQ==", Bearer x'],
    ['of garbage', 'Hawk \u00e9\u00ff"""==,,'],
    ['that is endless', `Hawk id="${'a'.repeat(5000)}", ts="1", nonce="n", mac="bQ=="`],
  ])('is refused: a header %s', async (_, authorization) => {
    await expectRefused(
      () => user.request('POST', '/storage/c', { body, authorization }),
      /no well-formed Hawk header/,
    );
    await nothingWritten();
  });

  it.each([
    ['that nobody signed', 'AAAA', /no secret of ours/],
    ['that is no base64url', '***', /no secret of ours/],
    ['that is empty of bytes', '====', /no secret of ours/],
    ['that is a signature alone', `${'A'.repeat(43)}=`, /no secret of ours/],
  ])('is refused: a token %s', async (_, id, reason) => {
    await expectRefused(() => user.request('GET', '/storage/c', { signed: { id } }), reason);
  });
});

describe('a signature', () => {
  it.each<[string, StorageRequestOptions['signed'], RegExp]>([
    ['by another key', { key: 'c29tZXRoaW5nIGVsc2U=' }, /MAC is wrong/],
    ['of another method', { method: 'PUT' }, /MAC is wrong/],
    ['of another path', { path: '/storage/1.5/1/storage/d' }, /MAC is wrong/],
    ['of another host', { host: 'example.org' }, /MAC is wrong/],
    ['of another port', { port: 1 }, /MAC is wrong/],
    ['with a payload hash of something else', { hash: 'AAAA' }, /payload hash is wrong/],
    ['that is too old', { ts: Math.floor(Date.now() / 1000) - 65 }, /timestamp is 6\d s off/],
    ['from the future', { ts: Math.floor(Date.now() / 1000) + 65 }, /timestamp is -6\d s off/],
    ['from the beginning of time', { ts: 0 }, /s off/],
    ['from the end of time', { ts: 999_999_999_999_999 }, /s off/],
    ['of another prefix', { path: '/1.5/1/storage/c' }, /MAC is wrong/],
    ['of nothing', { key: '' }, /MAC is wrong/],
    ['with a payload hash of nothing', { hash: hawkPayloadHash('', utf8('')) }, /payload hash/],
    [
      'with a payload hash for another type',
      { hash: hawkPayloadHash('text/plain', utf8(JSON.stringify(body))) },
      /payload hash/,
    ],
  ])('is refused %s', async (_, signed, reason) => {
    await expectRefused(() => user.request('POST', '/storage/c', { body, signed }), reason);
    await nothingWritten();
  });

  it('covers the query, byte for byte', async () => {
    await user.post('/storage/c', body);
    const path = `/storage/1.5/${user.uid}/storage/c`;
    const sent = (query: string, signedQuery: string) =>
      user.request('GET', `/storage/c${query}`, { signed: { path: path + signedQuery } });
    expect((await sent('?ids=%61', '?ids=%61')).text).toBe('["a"]');
    await expectRefused(() => sent('?ids=%61', '?ids=a'), /MAC is wrong/);
    await expectRefused(() => sent('?full=1', ''), /MAC is wrong/);
  });

  it('may carry more than it needs, which it then covers', async () => {
    const ts = server.clock.seconds();
    const path = `/storage/1.5/${user.uid}/info/collections`;
    const { hostname: host, port } = new URL(server.url);
    const credentials = await storageCredentials(server, { uid: user.uid });
    const ext = 'of the client';
    const mac = hawkMac(utf8(credentials.key), {
      ...{ ts, nonce: 'n', method: 'GET', path, host, port: Number(port), ext },
    });
    const header = (said: string) =>
      `Hawk id="${credentials.id}", ts="${ts}", nonce="n", ext="${said}", mac="${mac}"`;
    const get = (authorization: string) =>
      user.request('GET', '/info/collections', { authorization });
    expect((await get(header(ext))).status).toBe(200);
    await expectRefused(() => get(header('of another')), /MAC is wrong/);
  });

  it('need not cover the payload, and holds for a minute either way', async () => {
    for (const seconds of [-58, 0, 58]) {
      const signed = { hash: '', ts: server.clock.seconds() + seconds };
      expect((await user.request('POST', '/storage/c', { body, signed })).status).toBe(200);
    }
  });

  it('is taken once for a POST, and again for what can be repeated', async () => {
    const once = { nonce: 'once', ts: server.clock.seconds() };
    const post = () => user.request('POST', '/storage/c', { body, signed: once });
    expect((await post()).status).toBe(200);
    await expectRefused(post, /made before/);
    server.clock.advance(50);
    await expectRefused(post, /made before/);
    const now = server.clock.seconds();
    for (const [method, path] of [
      ['PUT', '/storage/c/a'],
      ['GET', '/storage/c'],
    ] as const) {
      const again = () =>
        user.request(method, path, {
          ...(method === 'PUT' && { body: { payload: '' } }),
          signed: { nonce: 'n', ts: now },
        });
      expect([(await again()).status, (await again()).status]).toEqual([200, 200]);
    }
    // A nonce is a matter of one token.
    const other = await storageUser(server);
    const signed = { nonce: 'once', ts: server.clock.seconds() };
    expect((await other.request('POST', '/storage/c', { body, signed })).status).toBe(200);
  });
});

describe('a token', () => {
  const withClaims = async (claims: Record<string, unknown>) =>
    storageClient(await storageCredentials(server, { uid: user.uid, ...claims }));

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['for another node', { node: 'https://other.example.org' }, /another node/],
    ['with no node', { node: undefined }, /malformed/],
    ['with an access that is none we know', { access: 'admin' }, /malformed/],
    ['with an empty access', { access: '' }, /malformed/],
    ['that never expires', { expires: undefined }, /malformed/],
    ['with a uid in text', { uid: '7' }, /malformed/],
    ['with a negative uid', { uid: -1 }, /malformed/],
  ])('%s is refused', async (_, claims, reason) => {
    const client = storageClient({
      ...(await storageCredentials(server, { uid: user.uid, ...claims })),
      uid: user.uid,
    });
    await expectRefused(() => client.get('/info/collections'), reason);
    await expectRefused(() => client.post('/storage/c', body), reason);
    await nothingWritten();
  });

  it('of another secret is refused', async () => {
    const credentials = await storageCredentials(server, { uid: user.uid }, 'x'.repeat(43));
    await expectRefused(() => storageClient(credentials).get('/storage/c'), /no secret of ours/);
  });

  it('that expired may ask for two hours what there is, and nothing else', async () => {
    await user.put('/storage/c/a', { payload: '' });
    const client = await withClaims({ expires: server.clock.seconds() - 1 });
    expect((await client.get('/info/collections')).status).toBe(200);
    expect((await client.get('/info/collections?v=1')).status).toBe(200);
    for (const path of ['/info/quota', '/storage/c', '/storage/c/a', '/info/configuration']) {
      await expectRefused(() => client.get(path), /expired/);
    }
    await expectRefused(() => client.delete(''), /expired/);
    server.clock.advance(7300);
    await expectRefused(() => client.get('/info/collections'), /expired/);
  });

  it('that is for reading reads everything and changes nothing', async () => {
    await user.put('/storage/c/a', { payload: 'x' });
    const reader = await withClaims({ access: 'read' });
    for (const path of ['/info/collections', '/info/quota', '/info/configuration', '/storage/c']) {
      expect((await reader.get(path)).status).toBe(200);
    }
    expect((await reader.get('/storage/c/a')).json()).toMatchObject({ payload: 'x' });
    for (const [method, path] of [
      ['PUT', '/storage/c/b'],
      ['POST', '/storage/c'],
      ['POST', '/storage/c?batch=true'],
      ['POST', '/storage/inbox'],
      ['DELETE', '/storage/c/a'],
      ['DELETE', '/storage/c?ids=a'],
      ['DELETE', '/storage/c'],
      ['DELETE', '/storage'],
      ['DELETE', ''],
    ] as const) {
      const refused = await reader.request(method, path, { body });
      expect([method, path, refused.status, refused.text]).toEqual([method, path, 403, '0']);
    }
    expect((await user.get('/storage/c')).json()).toEqual(['a']);
    expect((await user.get('/info/collection_counts')).text).toBe('{"c":1}');
  });

  it('of a version is for that version', async () => {
    const path = `!/storage/1.1/${user.uid}/info/collections`;
    const refused = await user.get(path);
    expect([refused.status, refused.headers['www-authenticate']]).toEqual([
      401,
      'Basic realm="Sync"',
    ]);
  });

  it('names its user in one spelling', async () => {
    for (const spelling of [`0${user.uid}`, `${user.uid}.0`, `+${user.uid}`, `${user.uid}%20`]) {
      const path = `!/storage/1.5/${spelling}/info/collections`;
      await expectRefused(() => user.get(path), /another user/);
    }
  });

  it('is good under both of the paths of the API', async () => {
    await user.put('/storage/c/a', { payload: 'x' });
    const alias = await user.get(`!/1.5/${user.uid}/storage/c/a`);
    expect(alias.json()).toMatchObject({ id: 'a', payload: 'x' });
    expect((await user.get(`!/1.5/${user.uid}/info/collection_counts`)).text).toBe('{"c":1}');
    const put = await user.put(`!/1.5/${user.uid}/storage/c/b`, { payload: 'y' });
    expect(put.status).toBe(200);
    expect((await user.get('/storage/c/b')).status).toBe(200);
  });
});

describe('what is not there', () => {
  it.each([
    '/nope',
    '/info',
    '/info/nope',
    '/storage/c/a/b',
    `/storage/${'c'.repeat(33)}`,
    '/storage/c%20d',
    '/storage/%C3%A9',
    '/storage/c%0A',
  ])('is 404 with a bare number: %s', async (path) => {
    for (const method of ['GET', 'DELETE']) {
      const answer = await user.request(method, path);
      expect([answer.status, answer.text]).toEqual([404, '0']);
      expect(answer.headers['x-weave-timestamp']).toMatch(/^\d+\.\d\d$/);
    }
  });

  it.each([
    ['PATCH', '/storage/c/a'],
    ['PATCH', '/storage/c'],
    ['POST', '/storage/c/a'],
    ['PUT', '/storage/c'],
    ['POST', '/storage'],
    ['PUT', ''],
    ['GET', ''],
    ['HEAD', '/storage/c'],
    ['HEAD', '/info/collections'],
    ['OPTIONS', '/storage/c'],
    ['POST', '/info/collections?x=1'],
    ['DELETE', '/info/quota'],
  ])('is 405 as a method: %s %s', async (method, path) => {
    const answer = await user.request(method, path);
    expect([answer.status, answer.text]).toEqual([405, method === 'HEAD' ? '' : '0']);
  });

  it('is never a crash: paths that are no paths', async () => {
    for (const path of [
      '/storage/%',
      '/storage/c/%FF',
      '/storage/c/%zz',
      `/storage/c/${'a'.repeat(9000)}`,
    ]) {
      const answer = await user.get(path);
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect(answer.status).toBeLessThan(500);
      expect(answer.text).toMatch(/^\d+$/);
    }
  });
});

describe('a server with a history', () => {
  const old = 'o'.repeat(40);
  const young = 'y'.repeat(40);

  it('takes tokens of each of its secrets, and mints from the last', async () => {
    const rotating = await TestServer.start({ SYNC_MASTER_SECRET: `${old}, ${young}` });
    for (const [secret, status] of [
      [old, 200],
      [young, 200],
      ['x'.repeat(40), 401],
      [`${old}, ${young}`, 401],
    ] as const) {
      const client = storageClient(await storageCredentials(rotating, { uid: 5 }, secret));
      expect([secret, (await client.get('/info/collections')).status]).toEqual([secret, status]);
    }
    const secrets = await rotating.app.get(SettingsService).syncSecrets();
    expect(secrets).toEqual([old, young]);
    const minted = await rotating.app
      .get(StorageCredentialsService)
      .mint({ uid: 5, node: rotating.url }, 60);
    expect(openToken([young], minted.id)).toMatchObject({ uid: 5 });
    expect(openToken([old], minted.id)).toBeUndefined();
    await rotating.stop();
  });

  it.each(['short', `${old},short`, `${old},`])('refuses to start with the secret %s', (secret) => {
    expect(() => Config.from({ SYNC_MASTER_SECRET: secret })).toThrow(/SYNC_MASTER_SECRET/);
  });
});

it('behind a proxy the signed address is the public one, with its prefix', async () => {
  const proxied = await TestServer.start({ PUBLIC_URL: 'https://Sync.example.org/base/' });
  const inner = `http://localhost:${proxied.config.port}`;
  const node = 'https://sync.example.org/base';
  const client = storageClient({
    ...(await storageCredentials(proxied, { uid: 5, node })),
    url: inner,
  });
  const at = '/storage/1.5/5/info/collections';
  const outer = { host: 'sync.example.org', port: 443, path: `/base${at}` };
  const get = (signed: object) =>
    client.request('GET', '/info/collections', { signed, headers: { host: 'other.example.net' } });
  expect((await get(outer)).status).toBe(200);
  await expectRefused(() => get({ ...outer, path: at }), /MAC is wrong/);
  await expectRefused(() => get({ ...outer, port: 80 }), /MAC is wrong/);
  await expectRefused(() => get({ ...outer, host: 'other.example.net' }), /MAC is wrong/);
  await expectRefused(() => get({}), /MAC is wrong/);
  await proxied.stop();
});
