import { Discovered } from '#lib/protocol';
import { caller, join, type TestCaller } from '../support/caller.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: TestCaller;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await caller(server);
});

const get = async (who: TestCaller, path: string) =>
  server
    .request()
    .get(`/keys/v1/${path}`)
    .set('authorization', await who.authorization('keys'));

const discover = async (who: TestCaller, emails: unknown) =>
  server
    .request()
    .post('/keys/v1/discoveries')
    .set('authorization', await who.authorization('keys'))
    .send({ emails });

describe('reading', () => {
  it('gives the private half to its owner in the same app alone', async () => {
    await join(server, alice);
    const elsewhere = await caller(server, { uid: alice.uid, clientId: 'other-app' });
    expect((await get(elsewhere, 'me')).status).toBe(404);
    const bob = await caller(server);
    expect((await get(bob, 'me')).status).toBe(404);
    await join(server, bob);
    const seen = await get(bob, `users/${alice.uid}`);
    expect(Object.keys(seen.body).sort()).toEqual(['skl', 'uid']);
    expect(seen.headers['cache-control']).toBe('private, max-age=60');
  });

  it('answers 304 to whoever has the version', async () => {
    await join(server, alice);
    for (const path of ['me', `users/${alice.uid}`]) {
      const first = await get(alice, path);
      const etag = first.headers.etag ?? '';
      expect(etag).toMatch(/^"1-[A-Za-z0-9_-]{16}"$/);
      for (const [header, status] of [
        [etag, 304],
        [`"x", W/${etag}`, 304],
        ['*', 304],
        ['"x"', 200],
      ] as const) {
        const again = await server
          .request()
          .get(`/keys/v1/${path}`)
          .set('authorization', await alice.authorization('keys'))
          .set('if-none-match', header);
        expect([again.status, again.headers.etag]).toEqual([status, etag]);
        if (status === 304) expect(again.text).toBe('');
      }
    }
  });

  it('shows nobody from another app', async () => {
    await join(server, alice);
    const outsider = await caller(server, { clientId: 'other-app' });
    await join(server, outsider);
    const there = await get(outsider, `users/${alice.uid}`);
    const nowhere = await get(outsider, `users/${'00'.repeat(16)}`);
    expect(there.status).toBe(404);
    expect(there.body).toEqual(nowhere.body);
    const found = await discover(outsider, [alice.email]);
    expect(found.body).toEqual({ results: [{ found: false }] });
  });

  it('shows nobody to who has not published', async () => {
    const bob = await caller(server);
    await join(server, bob);
    expect((await get(alice, `users/${bob.uid}`)).status).toBe(403);
    expect((await get(alice, `users/${'00'.repeat(16)}`)).status).toBe(403);
    expect((await discover(alice, [bob.email])).status).toBe(403);
  });

  it.each(['x', '0'.repeat(33), 'A'.repeat(32), '%00', `${'0'.repeat(32)}%0a`])(
    'refuses the malformed uid %s',
    async (uid) => {
      const answer = await get(alice, `users/${uid}`);
      expect(answer.status).toBe(400);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    },
  );

  it('names the realm to anybody', async () => {
    const answer = await server.request().get('/keys/v1/config');
    expect(answer.status).toBe(200);
    expect(answer.body.realm).toMatch(/^[A-Za-z0-9_-]{22}$/);
  });
});

describe('discovery', () => {
  it('answers in the order of the question; the absent, the unverified and the unpublished alike', async () => {
    const skl = await join(server, alice);
    const unpublished = await caller(server);
    const unverified = await caller(server, { verified: false });
    await join(server, unverified);
    const answer = await discover(alice, [
      'nobody@example.org',
      alice.email.toUpperCase(),
      unpublished.email,
      unverified.email,
    ]);
    expect(answer.status).toBe(200);
    expect(Discovered.parse(answer.body).results).toEqual([
      { found: false },
      { found: true, uid: alice.uid, skl },
      { found: false },
      { found: false },
    ]);
  });

  it('is as long whether somebody was found or not', async () => {
    await join(server, alice);
    const lengths = await Promise.all(
      [[alice.email], ['nobody@example.org'], [alice.email, alice.email, 'x@example.org']].map(
        async (emails) => (await discover(alice, emails)).text.length,
      ),
    );
    expect(lengths).toEqual([32_768, 32_768, 32_768]);
  });

  it.each<[string, unknown]>([
    ['no addresses', []],
    ['21 addresses', Array.from({ length: 21 }, (_, n) => `${n}@example.org`)],
    ['something else', 'a@example.org'],
    ['what is not an address', ['x']],
    ['a control character', ['a\u0000@example.org']],
    ['numbers', [1]],
  ])('refuses %s', async (_, emails) => {
    expect((await discover(alice, emails)).status).toBe(400);
  });
});

describe('tokens', () => {
  it.each([
    ['put', 'me', 'keys:write'],
    ['get', 'me', 'keys:read'],
    ['get', `users/${'0'.repeat(32)}`, 'keys:discover'],
    ['post', 'discoveries', 'keys:discover'],
  ] as const)('%s %s needs its own scope and audience', async (method, path, scope) => {
    const send = (authorization?: string) => {
      const request = server.request()[method](`/keys/v1/${path}`);
      return authorization === undefined ? request : request.set('authorization', authorization);
    };
    const others = ['keys:read', 'keys:write', 'keys:discover'].filter((name) => name !== scope);
    expect((await send()).status).toBe(401);
    expect((await send('Bearer AAAAAAAAAAAAAAAAAAAAAAAA')).status).toBe(401);
    expect((await send(await alice.authorization('files', [scope]))).status).toBe(401);
    expect((await send(await alice.authorization('keys', others))).status).toBe(403);
    await join(server, alice);
    const status = (await send(await alice.authorization('keys', [scope]))).status;
    expect([401, 403]).not.toContain(status);
  });

  it('die with their grant and at their time', async () => {
    const authorization = await alice.authorization('keys');
    const ask = () => server.request().get('/keys/v1/me').set('authorization', authorization);
    expect((await ask()).status).toBe(404);
    await server.db.query(`DELETE FROM oidc WHERE model = 'Grant'`);
    expect((await ask()).status).toBe(401);
  });
});
