import { CompactSign, generateKeyPair, SignJWT } from 'jose';
import { generateEncryptionKey } from '#lib/crypto';
import { Discovered, KEY_LIST_TYPE } from '#lib/protocol';
import {
  caller,
  digestOf,
  join,
  makePublication,
  type Publication,
  publish,
  type TestCaller,
} from '../support/caller.ts';
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

const put = async (who: TestCaller, body: object | string) =>
  server
    .request()
    .put('/keys/v1/me')
    .set('authorization', await who.authorization('keys'))
    .set('content-type', 'application/json')
    .set('if-none-match', '*')
    .send(body);

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

const rows = async () =>
  (await server.db.query<{ n: number }[]>('SELECT count(*)::int AS n FROM key_list'))[0]?.n;

describe('publishing', () => {
  it('keeps the first list, byte for byte, and gives it back to its owner', async () => {
    const publication = await makePublication(server, alice);
    const published = await publish(server, alice, publication);
    expect(published.status).toBe(201);
    const own = await get(alice, 'me');
    expect(own.body).toEqual({ skl: published.body.skl, wrapped: publication.wrapped });
    expect(own.headers.etag).toBe(published.headers.etag);
    expect(own.headers['cache-control']).toBe('private, no-cache');
  });

  it('lets exactly one of 50 devices be first', async () => {
    const publications = await Promise.all(
      Array.from({ length: 50 }, () => makePublication(server, alice)),
    );
    const answers = await Promise.all(publications.map((p) => publish(server, alice, p)));
    const statuses = answers.map(({ status }) => status).sort();
    expect(statuses).toEqual([201, ...Array.from({ length: 49 }, () => 412)]);
    const winner = answers.find(({ status }) => status === 201);
    expect((await get(alice, 'me')).body.skl).toBe(winner?.body.skl);
  });

  it('needs to hear that this is the first list', async () => {
    const { identity, list, wrapped } = await makePublication(server, alice);
    const body = { skl: await identity.sign(KEY_LIST_TYPE, list), wrapped };
    const send = async (headers: Record<string, string>) =>
      server
        .request()
        .put('/keys/v1/me')
        .set('authorization', await alice.authorization('keys'))
        .set(headers)
        .send(body);
    expect((await send({})).status).toBe(428);
    expect((await send({ 'if-none-match': '"1-x"' })).status).toBe(428);
    expect((await send({ 'if-match': '"1-x"' })).status).toBe(412);
    expect((await send({ 'if-match': '*', 'if-none-match': '*' })).status).toBe(412);
    expect((await get(alice, 'me')).status).toBe(404);
  });

  const now = () => server.clock.seconds();
  const key = (p: Publication) => p.list.keys[0] ?? {};
  const blobOf = (p: Publication) => Object.values(p.wrapped)[0] ?? '';
  /** Another text for the wrapped key, with a matching commitment. */
  const rewrap = (p: Publication, change: (jwe: Record<string, unknown>) => unknown) => {
    const jwe = JSON.parse(blobOf(p)) as Record<string, unknown>;
    const changed = change(jwe) ?? jwe;
    const text = typeof changed === 'string' ? changed : JSON.stringify(changed);
    key(p).wsha = digestOf(text);
    p.wrapped = { [String(key(p).kid)]: text };
  };
  const reheader = (p: Publication, change: (header: Record<string, unknown>) => void) => {
    rewrap(p, (jwe) => {
      const header = JSON.parse(
        Buffer.from(String(jwe.protected), 'base64url').toString(),
      ) as Record<string, unknown>;
      change(header);
      jwe.protected = Buffer.from(JSON.stringify(header)).toString('base64url');
    });
  };
  const lowOrder = [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ].map((hex) => Buffer.from(hex, 'hex').toString('base64url'));

  it.each<[string, (p: Publication) => unknown]>([
    ['of another realm', ({ list }) => (list.iss = 'AAAAAAAAAAAAAAAAAAAAAA')],
    ['of another user', ({ list }) => (list.sub = '00'.repeat(16))],
    ['of another app', ({ list }) => (list.cid = 'other-app')],
    ['of version 2', ({ list }) => (list.ver = 2)],
    ['of version 0', ({ list }) => (list.ver = 0)],
    ['of another format', ({ list }) => (list.v = 2)],
    ['with a predecessor', ({ list }) => (list.prev = digestOf('x'))],
    ['from the future', ({ list }) => (list.iat = now() + 3600)],
    ['that has expired', ({ list }) => Object.assign(list, { iat: now() - 60, exp: now() - 1 })],
    ['that lives 401 days', ({ list }) => (list.exp = now() + 401 * 86_400)],
    ['that says kbr wrongly', ({ list }) => (list.kbr = 'x')],
    ['without keys', ({ list }) => (list.keys = [])],
    [
      'with 21 keys',
      ({ list }) => (list.keys = Array.from({ length: 21 }, () => list.keys[0] ?? {})),
    ],
    ['with no active key', (p) => ((key(p).st = 'retired'), (p.wrapped = {}))],
    ['with a key twice', ({ list }) => list.keys.push(list.keys[0] ?? {})],
    ['with a private key', (p) => (key(p).d = key(p).x)],
    ['with a kid of another key', (p) => (key(p).kid = digestOf('x'))],
    ['with a key of another curve', (p) => (key(p).crv = 'Ed25519')],
    ['with a key of another algorithm', (p) => (key(p).alg = 'ECDH-ES')],
    ['with a key for signing', (p) => (key(p).use = 'sig')],
    ['without the wrapped key', (p) => (p.wrapped = {})],
    ['with a wrapped key too many', (p) => (p.wrapped[digestOf('x')] = '{}')],
    ['with another wrapped key', (p) => (p.wrapped = { [digestOf('x')]: blobOf(p) })],
    [
      'with a wrapped key changed after signing',
      (p) => (p.wrapped = { [String(key(p).kid)]: `${blobOf(p)} ` }),
    ],
    [
      'with a private key in clear',
      (p) => {
        rewrap(p, () => ({ kty: 'OKP', crv: 'X25519', d: key(p).x, x: key(p).x }));
      },
    ],
    [
      'with a wrapped key that has more members',
      (p) => {
        rewrap(p, (jwe) => {
          jwe.unprotected = { d: 'x' };
        });
      },
    ],
    [
      'with a wrapped key that is no JSON',
      (p) => {
        rewrap(p, () => 'x\u0000');
      },
    ],
    [
      'with a wrapped key that names a member twice',
      (p) => {
        rewrap(p, (jwe) => JSON.stringify(jwe).replace('{', '{"iv":"AAAAAAAAAAAAAAAA",'));
      },
    ],
    [
      'with a wrapped key under another kBr',
      (p) => {
        reheader(p, (header) => (header.kid = '1-AAAAAAAAAAAAAAAAAAAAAA'));
      },
    ],
    [
      'with a wrapped key of another type',
      (p) => {
        reheader(p, (header) => (header.typ = 'JWE'));
      },
    ],
    [
      'with a wrapped key under a password',
      (p) => {
        reheader(p, (header) => (header.alg = 'PBES2-HS256+A128KW'));
      },
    ],
  ])('refuses a list %s', async (_, spoil) => {
    const publication = await makePublication(server, alice);
    spoil(publication);
    const before = await rows();
    const answer = await publish(server, alice, publication);
    expect(answer.status).toBe(422);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(answer.body.type).toBe('/problems/invalid-key-list');
    expect(await rows()).toBe(before);
  });

  it.each(lowOrder)('refuses the low-order or non-canonical point %s', async (x) => {
    const publication = await makePublication(server, alice);
    const kid = digestOf(`{"crv":"X25519","kty":"OKP","x":"${x}"}`);
    const blob = blobOf(publication);
    publication.wrapped = { [kid]: blob };
    Object.assign(key(publication), { x, kid });
    expect((await publish(server, alice, publication)).status).toBe(422);
  });

  it('accepts a retired key beside the active one, without its private half', async () => {
    const publication = await makePublication(server, alice);
    const { publicJwk } = await generateEncryptionKey();
    publication.list.keys.push({ ...publicJwk, st: 'retired', wsha: digestOf('gone') });
    expect((await publish(server, alice, publication)).status).toBe(201);
  });

  describe('refuses a signature', () => {
    const encode = (value: unknown) =>
      Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
    const refused = async (skl: string, wrapped: Record<string, string>) => {
      const answer = await put(alice, { skl, wrapped });
      expect([answer.status, answer.body.type]).toEqual([422, '/problems/invalid-key-list']);
      expect((await get(alice, 'me')).status).toBe(404);
    };
    const signWith = async (
      p: Publication,
      header: Record<string, unknown>,
      payload = JSON.stringify(p.list),
    ) => {
      const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
      const { x } = await crypto.subtle.exportKey('jwk', publicKey);
      const jwk = { kty: 'OKP', crv: 'Ed25519', x: x ?? '' };
      const kid = digestOf(`{"crv":"Ed25519","kty":"OKP","x":"${x ?? ''}"}`);
      return new CompactSign(Buffer.from(payload))
        .setProtectedHeader({ alg: 'EdDSA', typ: KEY_LIST_TYPE, kid, jwk, ...header })
        .sign(privateKey, { crit: { exp: true } });
    };

    it('only when something is wrong with it', async () => {
      const p = await makePublication(server, alice);
      const answer = await put(alice, { skl: await signWith(p, {}), wrapped: p.wrapped });
      expect(answer.status).toBe(201);
    });

    it('that another key made', async () => {
      const p = await makePublication(server, alice);
      await refused(
        await signWith(p, { jwk: p.identity.publicJwk, kid: p.identity.kid }),
        p.wrapped,
      );
    });

    it('of another payload', async () => {
      const p = await makePublication(server, alice);
      const parts = (await p.identity.sign(KEY_LIST_TYPE, { ...p.list, exp: p.list.iat })).split(
        '.',
      );
      parts[1] = encode(p.list);
      await refused(parts.join('.'), p.wrapped);
    });

    it.each<[string, Record<string, unknown>]>([
      ['of another type', { typ: 'JWT' }],
      ['whose kid is another key', { kid: digestOf('x') }],
      ['that asks for extensions', { crit: ['exp'], exp: 1 }],
      ['with members that nobody checks', { jku: 'https://example.org' }],
    ])('%s', async (_, header) => {
      const p = await makePublication(server, alice);
      await refused(await signWith(p, header), p.wrapped);
    });

    it('whose key in the header is private', async () => {
      const p = await makePublication(server, alice);
      const jwk = { ...p.identity.publicJwk, d: p.identity.publicJwk.x };
      await refused(await signWith(p, { jwk }), p.wrapped);
    });

    it('with no algorithm, or by a shared secret', async () => {
      const p = await makePublication(server, alice);
      const header = { typ: KEY_LIST_TYPE, kid: p.identity.kid, jwk: p.identity.publicJwk };
      await refused(`${encode({ ...header, alg: 'none' })}.${encode(p.list)}.`, p.wrapped);
      const mac = await new SignJWT(p.list)
        .setProtectedHeader({ ...header, alg: 'HS256' })
        .sign(Buffer.from(p.identity.publicJwk.x, 'base64url'));
      await refused(mac, p.wrapped);
    });

    it('over a payload or header that names a member twice', async () => {
      const p = await makePublication(server, alice);
      const payload = JSON.stringify(p.list).replace('{', '{"ver":1,');
      await refused(await signWith(p, {}, payload), p.wrapped);
      const skl = await signWith(p, {});
      const [header = '', ...rest] = skl.split('.');
      const text = Buffer.from(header, 'base64url').toString().replace('{', '{"alg":"EdDSA",');
      await refused([encode(text), ...rest].join('.'), p.wrapped);
    });

    it.each(['x', 'a.b', 'a.b.c', 'e30.e30.e30', 'e30.e30.e30.e30', '..', 'null'])(
      'in the malformed %s',
      async (skl) => refused(skl, {}),
    );
  });

  it.each<[string, object | string, number]>([
    ['no JSON', '{', 400],
    ['an array', [], 400],
    ['null', 'null', 400],
    ['missing members', {}, 400],
    ['wrong types', { skl: 1, wrapped: [] }, 400],
    ['a wrapped key under no kid', { skl: 'x', wrapped: { x: 'y' } }, 400],
    ['a list beyond 16 KiB', { skl: 'x'.repeat(16_385), wrapped: {} }, 400],
    ['a member twice', '{"skl":"x","skl":"y","wrapped":{}}', 400],
    ['a prototype', '{"skl":"x","wrapped":{},"__proto__":{}}', 400],
    ['more than the limit', { skl: 'x'.repeat(200_000), wrapped: {} }, 413],
  ])('refuses a body of %s', async (_, body, status) => {
    const answer = await put(alice, body);
    expect([answer.status, answer.text]).toEqual([status, expect.stringContaining('/problems/')]);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('refuses a body that is not JSON by its media type', async () => {
    const answer = await server
      .request()
      .put('/keys/v1/me')
      .set('authorization', await alice.authorization('keys'))
      .set('if-none-match', '*')
      .set('content-type', 'text/csv')
      .send('a,b');
    expect(answer.status).toBe(415);
  });
});

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
