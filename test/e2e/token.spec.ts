import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { OLD_SYNC, StorageToken } from '#lib/protocol';
import { StorageClientService } from '../../apps/server/src/token/storage-client.service.ts';
import { TokenService } from '../../apps/server/src/token/token.service.ts';
import { caller, type TestCaller } from '../support/caller.ts';
import { storageClient, type StorageClient } from '../support/storage.ts';
import { freePort, TestServer } from '../support/test-server.ts';

const PATH = '/token/1.0/sync/1.5';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ STORAGE_TOKEN_SECONDS: '600' });
});
afterAll(() => server.stop());

/** A key id as an app or Firefox makes it: any 16 bytes are a fingerprint. */
const aState = () => randomBytes(16).toString('base64url');

async function visit(
  who: TestCaller,
  keyId: string | undefined,
  {
    scopes = ['storage'],
    headers = {},
    path = PATH,
    generation,
  }: {
    scopes?: string[];
    headers?: Record<string, string>;
    path?: string;
    generation?: number | undefined;
  } = {},
) {
  const request = server
    .request()
    .get(path)
    .set(
      'authorization',
      await who.authorization('storage', scopes, { 'fxa-generation': generation }),
    )
    .set(headers);
  return keyId === undefined ? request : request.set('x-keyid', keyId);
}

async function expectToken(...args: Parameters<typeof visit>): Promise<StorageToken> {
  const { status, body } = await visit(...args);
  expect([status, body]).toEqual([200, expect.anything()]);
  return StorageToken.parse(body);
}

async function expectRefused(
  attempt: ReturnType<typeof visit>,
  expected: { status?: number; word: string; description: RegExp | string; name?: string },
) {
  const { status, body, headers } = await attempt;
  expect(status).toBe(expected.status ?? 401);
  expect(body).toEqual({
    status: expected.word,
    errors: [
      {
        location: expect.any(String),
        name: expected.name ?? expect.any(String),
        description: expect.stringMatching(expected.description),
      },
    ],
  });
  expect(headers['content-type']).toMatch(/^application\/json/);
  expect(headers['x-timestamp']).toMatch(/^\d+$/);
}

const clientOf = ({ id, key, uid }: StorageToken): StorageClient =>
  storageClient({ url: server.url, id, key, uid, seconds: () => server.clock.seconds() });

describe('a visit', () => {
  it('is answered with credentials that open the caller’s own store', async () => {
    const who = await caller(server);
    const { status, body, headers } = await visit(who, `1790000000-${aState()}`);
    expect(status).toBe(200);
    expect(server.clock.seconds() - Number(headers['x-timestamp'])).toBeLessThan(5);
    expect(headers['cache-control']).toBe('no-store');
    const token = StorageToken.parse(body);
    expect(token).toMatchObject({
      api_endpoint: `${server.url}/storage/1.5/${token.uid}`,
      duration: 600,
      hashalg: 'sha256',
      node_type: 'postgres',
    });
    expect(token.hashed_fxa_uid).toMatch(/^[0-9a-f]{32}$/);
    const client = clientOf(token);
    expect((await client.put('/storage/c/a', { payload: 'x' })).status).toBe(200);
    expect((await client.get('/storage/c')).json()).toEqual(['a']);
    // What an app may not do shows that its token says so.
    expect((await client.put('/storage/inbox/a', { payload: 'x' })).status).toBe(403);
  });

  it('puts into the token what other storage servers read there', async () => {
    const who = await caller(server);
    const state = aState();
    const token = await expectToken(who, `1234-${state}`);
    const claims = JSON.parse(
      Buffer.from(token.id, 'base64url').subarray(0, -32).toString(),
    ) as Record<string, unknown>;
    expect(claims).toEqual({
      uid: token.uid,
      node: server.url,
      access: 'app',
      expires: expect.any(Number),
      fxa_uid: who.uid,
      fxa_kid: `0000000001234-${state}`,
      hashed_fxa_uid: token.hashed_fxa_uid,
      hashed_device_id: expect.stringMatching(/^[0-9a-f]{32}$/),
      salt: expect.stringMatching(/^[0-9a-f]{6}$/),
      tokenserver_origin: 'lockstep',
    });
  });

  it('is the same under the path that other servers have', async () => {
    const who = await caller(server);
    const keyId = `1-${aState()}`;
    const { uid } = await expectToken(who, keyId);
    expect((await expectToken(who, keyId, { path: '/1.0/sync/1.5' })).uid).toBe(uid);
  });

  it('can ask for a shorter time, and not for a longer one', async () => {
    const who = await caller(server);
    const keyId = `1-${aState()}`;
    const durations = async (query: string) =>
      (await expectToken(who, keyId, { path: `${PATH}?duration=${query}` })).duration;
    expect(await durations('5')).toBe(5);
    for (const odd of ['601', '0', '-1', 'x', '1e2', '', '5&duration=6']) {
      expect(await durations(odd)).toBe(600);
    }
    const short = clientOf(await expectToken(who, keyId, { path: `${PATH}?duration=5` }));
    expect((await short.get('/storage/c')).status).toBe(200);
    server.clock.advance(6);
    expect((await short.get('/storage/c')).status).toBe(401);
  });
});

describe('stores', () => {
  it('are one for each account and app, and one for all clients of Firefox', async () => {
    const uid = randomBytes(16).toString('hex');
    const keyId = `1790000000-${aState()}`;
    const demo = await expectToken(await caller(server, { uid }), keyId);
    const other = await expectToken(await caller(server, { uid, clientId: 'other' }), keyId);
    const stranger = await expectToken(await caller(server), keyId);
    const scopes = [OLD_SYNC];
    const desktop = await caller(server, { uid, clientId: '5882386c6d801776' });
    const mobile = await caller(server, { uid, clientId: '1b1a3e44c54fbb58' });
    const firefox = await expectToken(desktop, keyId, { scopes });
    expect((await expectToken(mobile, keyId, { scopes })).uid).toBe(firefox.uid);
    expect((await expectToken(mobile, keyId, { scopes: ['storage', OLD_SYNC] })).uid).toBe(
      firefox.uid,
    );
    const uids = [demo, other, stranger, firefox].map((token) => token.uid);
    expect(new Set(uids).size).toBe(4);

    await clientOf(other).put('/storage/c/a', { payload: 'x' });
    await clientOf(firefox).put('/storage/inbox/a', { payload: 'x' });
    const app = clientOf(demo);
    for (const victim of [other, firefox, stranger]) {
      for (const path of [
        '/info/collections',
        '/storage/c',
        '/storage/c/a',
        '/storage/inbox',
        '',
      ]) {
        for (const method of ['GET', 'PUT', 'POST', 'DELETE']) {
          const answer = await app.request(method, `!/storage/1.5/${victim.uid}${path}`, {
            ...(method.startsWith('P') && { body: [] }),
          });
          expect([401, 405]).toContain(answer.status);
        }
      }
    }
    expect((await clientOf(other).get('/storage/c')).json()).toEqual(['a']);
    expect((await clientOf(firefox).get('/storage/inbox')).json()).toEqual(['a']);
  });

  it('are given once, whoever of many comes first', async () => {
    const who = await caller(server);
    const keyId = `5-${aState()}`;
    const tokens = await Promise.all(
      Array.from({ length: 10 }, (_, i) =>
        i % 2 === 0
          ? expectToken(who, keyId)
          : server.app.get(TokenService).assign(who.uid, who.clientId),
      ),
    );
    expect(new Set(tokens.map(({ uid }) => uid)).size).toBe(1);
  });

  it('keep their place when the server gets another address', async () => {
    const who = await caller(server);
    await expectToken(who, `5-${aState()}`);
    const nodes = await server.db.query(`SELECT DISTINCT node FROM storage_user`);
    expect(nodes).toEqual([{ node: 'local' }]);
  });
});

describe('a key', () => {
  const stale = { word: 'invalid-client-state', name: 'X-Client-State' };

  it('that changed gets a new store, and the one it replaced never comes back', async () => {
    const who = await caller(server);
    const [a, b, c] = [aState(), aState(), aState()];
    const first = await expectToken(who, `10-${a}`);
    const second = await expectToken(who, `20-${b}`);
    expect(second.uid).not.toBe(first.uid);
    expect((await expectToken(who, `20-${b}`)).uid).toBe(second.uid);
    const third = await expectToken(who, `30-${c}`);
    for (const old of [a, b]) {
      for (const time of [10, 20, 30, 40]) {
        await expectRefused(visit(who, `${time}-${old}`), {
          ...stale,
          description: /stale value$/,
        });
      }
    }
    const rows = await server.db.query(
      `SELECT uid, replaced_at IS NULL AS current FROM storage_user
        WHERE account_id = $1 ORDER BY uid`,
      [who.uid],
    );
    expect(rows).toEqual([
      { uid: first.uid, current: false },
      { uid: second.uid, current: false },
      { uid: third.uid, current: true },
    ]);
  });

  it('that changed without a later time is refused', async () => {
    const who = await caller(server);
    const { uid } = await expectToken(who, `20-${aState()}`);
    for (const time of [19, 20]) {
      await expectRefused(visit(who, `${time}-${aState()}`), {
        ...stale,
        description: /no keys_changed_at change$/,
      });
    }
    const rows = await server.db.query(`SELECT uid FROM storage_user WHERE account_id = $1`, [
      who.uid,
    ]);
    expect(rows).toEqual([{ uid }]);
  });

  it('of an earlier time than was seen is refused, and one of a later time taken', async () => {
    const who = await caller(server);
    const state = aState();
    const { uid } = await expectToken(who, `20-${state}`);
    expect((await expectToken(who, `25-${state}`)).uid).toBe(uid);
    await expectRefused(visit(who, `20-${state}`), {
      word: 'invalid-keysChangedAt',
      name: 'X-KeyID',
      description: /older/,
    });
    expect((await expectToken(who, `25-${state}`)).uid).toBe(uid);
  });

  it('that changes twice at once makes one new store', async () => {
    const who = await caller(server);
    await expectToken(who, `10-${aState()}`);
    const next = `20-${aState()}`;
    const tokens = await Promise.all(Array.from({ length: 8 }, () => expectToken(who, next)));
    expect(new Set(tokens.map(({ uid }) => uid)).size).toBe(1);
  });

  it('is compared only within one account and app', async () => {
    const uid = randomBytes(16).toString('hex');
    const state = aState();
    await expectToken(await caller(server, { uid }), `1790000000000-${state}`);
    const other = await caller(server, { uid, clientId: 'other' });
    await expectToken(other, `1790000000-${state}`);
    await expectToken(other, `2-${state}`, { scopes: [OLD_SYNC] });
  });

  it('that comes after a deposit finds the deposit', async () => {
    const who = await caller(server);
    const place = await server.app.get(TokenService).assign(who.uid, who.clientId);
    expect(place.node).toBe(server.url);
    const storage = server.app.get(StorageClientService);
    await storage.put(place, 'deposit', 'inbox', [{ id: 'a', payload: 'hello', ttl: 60 }]);
    const token = await expectToken(who, `10-${aState()}`);
    expect(token.uid).toBe(place.uid);
    expect((await clientOf(token).get('/storage/inbox/a')).json().payload).toBe('hello');
    // From now on it has a key, and another key is another store.
    expect((await expectToken(who, `20-${aState()}`)).uid).not.toBe(place.uid);
  });
});

describe('a deposit through the storage API', () => {
  const put = (
    node: string,
    uid: number,
    bsos = [{ id: 'a', payload: '' }],
    collection = 'inbox',
  ) => server.app.get(StorageClientService).put({ uid, node }, 'deposit', collection, bsos);

  it('fails as unavailable when the node is away, or does not know our tokens', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}`;
    await expect(put(nobody, 1)).rejects.toMatchObject({ code: 'unavailable' });
    const port = await freePort();
    const other = createServer((_request, response) => {
      response.writeHead(401).end('0');
    }).listen(port, '127.0.0.1');
    await expect(put(`http://127.0.0.1:${port}`, 1)).rejects.toMatchObject({ code: 'unavailable' });
    other.close();
  });

  it('fails by name when the node does not take the record', async () => {
    const bad = put(server.url, 1, [{ id: 'é', payload: '' }]);
    await expect(bad).rejects.toMatchObject({ code: 'malformed' });
    const twice = [
      { id: 'a', payload: '' },
      { id: 'a', payload: '' },
    ];
    await expect(put(server.url, 1, twice)).rejects.toMatchObject({ code: 'malformed' });
    const elsewhere = put(server.url, 1, undefined, 'bookmarks');
    await expect(elsewhere).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('a generation', () => {
  const at = (generation: number | undefined) => ({ generation });

  it('that is older than one that was seen is refused, and no generation is not', async () => {
    const who = await caller(server);
    const keyId = `10-${aState()}`;
    const { uid } = await expectToken(who, keyId, at(100));
    expect((await expectToken(who, keyId, at(200))).uid).toBe(uid);
    await expectRefused(visit(who, keyId, at(199)), {
      ...{ word: 'invalid-generation', name: 'Authorization' },
      description: /older/,
    });
    expect((await expectToken(who, keyId, at(200))).uid).toBe(uid);
    expect((await expectToken(who, keyId)).uid).toBe(uid);
  });

  it('has to be later with a new key', async () => {
    const who = await caller(server);
    const { uid } = await expectToken(who, `10-${aState()}`, at(100));
    await expectRefused(visit(who, `20-${aState()}`, at(100)), {
      ...{ word: 'invalid-client-state', name: 'X-Client-State' },
      description: /no generation change$/,
    });
    expect((await expectToken(who, `20-${aState()}`, at(101))).uid).not.toBe(uid);
  });

  it('is never earlier than the key', async () => {
    const who = await caller(server);
    await expectRefused(visit(who, `101-${aState()}`, at(100)), {
      ...{ word: 'invalid-keysChangedAt', name: 'X-KeyID' },
      description: /later than the generation/,
    });
    // A key that is known is measured by nothing but the generation that was seen.
    const known = `101-${aState()}`;
    await expectToken(who, known);
    await expectRefused(visit(who, known, at(100)), {
      ...{ word: 'invalid-generation', name: 'Authorization' },
      description: /older/,
    });
  });

  it('of zero is none', async () => {
    const who = await caller(server);
    const keyId = `10-${aState()}`;
    const { uid } = await expectToken(who, keyId, at(100));
    expect((await expectToken(who, keyId, at(0))).uid).toBe(uid);
    expect((await expectToken(who, `20-${aState()}`, at(0))).uid).not.toBe(uid);
    await expectRefused(visit(who, `30-${aState()}`, at(100)), {
      ...{ word: 'invalid-client-state', name: 'X-Client-State' },
      description: /no generation change$/,
    });
  });
});

describe('a token for reading', () => {
  it.each([
    ['its own store', 'storage', ''],
    ['the Firefox store', OLD_SYNC, OLD_SYNC],
  ])('reads %s and changes nothing', async (_, scope) => {
    const who = await caller(server);
    const keyId = `10-${aState()}`;
    const writer = await expectToken(who, keyId, { scopes: [scope] });
    await clientOf(writer).put('/storage/c/a', { payload: 'x' });
    const reader = await expectToken(who, keyId, { scopes: [`${scope}#read`] });
    expect(reader.uid).toBe(writer.uid);
    const client = clientOf(reader);
    expect((await client.get('/storage/c/a')).json().payload).toBe('x');
    expect((await client.get('/info/collections')).status).toBe(200);
    const refusals = [
      await client.put('/storage/c/a', { payload: 'y' }),
      await client.post('/storage/c', [{ id: 'b', payload: 'y' }]),
      await client.delete('/storage/c/a'),
      await client.delete('/storage/c'),
      await client.delete('/storage'),
      await client.delete(''),
    ];
    expect(refusals.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403, 403]);
    expect((await client.get('/storage/c?full')).json()).toMatchObject([{ payload: 'x' }]);
    // Whoever may write, too, may write.
    const both = await expectToken(who, keyId, { scopes: [`${scope}#read`, scope] });
    expect((await clientOf(both).put('/storage/c/a', { payload: 'y' })).status).toBe(200);
  });
});

describe('a server for no new users', () => {
  it('goes on serving those who have a store', async () => {
    const who = await caller(server);
    const keyId = `10-${aState()}`;
    await expectToken(who, keyId);
    const { newStores } = server.config;
    Object.assign(server.config, { newStores: 'closed' });
    try {
      await expectToken(who, keyId);
      await expectToken(who, `20-${aState()}`);
      const stranger = await caller(server);
      await expectRefused(visit(stranger, keyId), {
        ...{ status: 403, word: 'new-users-disabled' },
        description: /no place/,
      });
      await expect(
        server.app.get(TokenService).assign(stranger.uid, stranger.clientId),
      ).rejects.toMatchObject({ code: 'new-users-disabled' });
    } finally {
      Object.assign(server.config, { newStores });
    }
  });
});

describe('a request is refused', () => {
  it('without credentials that a token server takes', async () => {
    for (const [authorization, description] of [
      ['', 'Unauthorized'],
      ['Bearer', 'Unauthorized'],
      ['Basic dTpw', 'Unsupported'],
      ['BrowserID abc', 'Unsupported'],
    ] as const) {
      const request = server.request().get(PATH).set('x-keyid', '1-qqo');
      const { status, body, headers } = await (authorization === ''
        ? request
        : request.set({ authorization }));
      expect([status, body]).toEqual([
        401,
        { status: 'error', errors: [{ location: 'body', name: '', description }] },
      ]);
      expect(headers['www-authenticate']).toBe('Bearer');
      expect(headers['x-timestamp']).toMatch(/^\d+$/);
    }
  });

  it('for anything but JSON', async () => {
    const who = await caller(server);
    await expectRefused(visit(who, '1-qqo', { headers: { accept: 'text/html, image/*;q=0.9' } }), {
      ...{ status: 406, word: 'error', name: 'Accept' },
      description: /JSON/,
    });
    for (const accept of ['application/json;q=0.5', 'text/html, */*', 'Application/*']) {
      expect((await visit(who, '1-qqo', { headers: { accept } })).status).toBe(200);
    }
  });

  it.each<[string, string | undefined, string, string]>([
    ['without X-KeyID', undefined, 'invalid-key-id', 'Missing X-KeyID header'],
    ['with an empty one', '', 'invalid-key-id', 'Missing X-KeyID header'],
    ['with one of garbage', 'garbage', 'invalid-credentials', 'Invalid X-KeyID header'],
    ['with a negative time', '-5-qqo', 'invalid-credentials', 'Invalid X-KeyID header'],
    ['with standard base64', '5-a+/=', 'invalid-credentials', 'Invalid X-KeyID header'],
    ['with half a byte', '5-a', 'invalid-credentials', 'Invalid X-KeyID header'],
    ['with an endless state', `5-${'a'.repeat(44)}`, 'invalid-credentials', 'Invalid X-KeyID'],
    ['with an endless time', `${'9'.repeat(16)}-qqo`, 'invalid-credentials', 'Invalid X-KeyID'],
    ['without a state', '5-', 'invalid-client-state', 'empty string'],
  ])('%s', async (_, keyId, word, description) => {
    const who = await caller(server);
    await expectRefused(visit(who, keyId), { word, description });
    expect(
      await server.db.query(`SELECT FROM storage_user WHERE account_id = $1`, [who.uid]),
    ).toEqual([]);
  });

  it('when X-Client-State contradicts X-KeyID, or is no client state', async () => {
    const who = await caller(server);
    const withState = (state: string) =>
      visit(who, '1234-qqo', { headers: { 'x-client-state': state } });
    expect((await withState('AAAA')).status).toBe(200);
    const name = 'X-Client-State';
    const description = /^Unacceptable client-state/;
    await expectRefused(withState('bbbb'), { word: 'invalid-client-state', name, description });
    const odd = { status: 400, word: 'error', name, description: 'Invalid client state value' };
    await expectRefused(withState('a b'), odd);
    await expectRefused(withState('a'.repeat(33)), odd);
  });

  it('without a token of the audience and a scope of it', async () => {
    const who = await caller(server);
    const word = 'invalid-credentials';
    const ask = (authorization: string) =>
      server.request().get(PATH).set({ authorization, 'x-keyid': '1-qqo' });
    for (const authorization of ['Bearer x', 'bearer =', `Bearer ${'a'.repeat(43)}`]) {
      await expectRefused(Promise.resolve(ask(authorization)), { word, description: /token/ });
    }
    const keys = await who.authorization('keys');
    await expectRefused(Promise.resolve(ask(keys)), { word, description: /not for/ });
    const files = await who.authorization('storage', ['files', 'storage:read', 'Storage']);
    await expectRefused(Promise.resolve(ask(files)), { word, description: /lacks the scope/ });
    const own = await who.authorization('storage');
    server.clock.advance(3601);
    await expectRefused(Promise.resolve(ask(own)), { word, description: /expired/ });
  });

  it('for another application, version or method', async () => {
    const who = await caller(server);
    for (const prefix of ['/token/1.0', '/1.0']) {
      await expectRefused(visit(who, '1-qqo', { path: `${prefix}/other/1.5` }), {
        ...{ status: 404, word: 'error', name: 'application' },
        description: 'Unsupported application',
      });
      await expectRefused(visit(who, '1-qqo', { path: `${prefix}/sync/1.1` }), {
        ...{ status: 404, word: 'error', name: '1.1' },
        description: 'Unsupported application version',
      });
      const post = await server.request().post(`${prefix}/sync/1.5`).send({});
      expect([post.status, post.body.status]).toEqual([405, 'error']);
    }
  });
});
