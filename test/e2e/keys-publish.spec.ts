import { CompactSign, generateKeyPair, SignJWT } from 'jose';
import { KEY_LIST_TYPE } from '#lib/protocol';
import {
  caller,
  digestOf,
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

const rows = async () =>
  (await server.db.query<{ n: number }[]>('SELECT count(*)::int AS n FROM key_list'))[0]?.n;

describe('publishing', () => {
  it('keeps the first list, byte for byte, and gives it back to its owner', async () => {
    const publication = await makePublication(server, alice);
    const published = await publish(server, alice, publication);
    expect(published.status).toBe(201);
    const own = await get(alice, 'me');
    expect(own.body).toEqual({
      skl: published.body.skl,
      wrapped: publication.wrapped,
      settings: { discoverable: 'app' },
    });
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
    ['of a kBr of the future', ({ list }) => (list.kbr = `999999999999-${'A'.repeat(22)}`)],
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

  it('refuses a first list with a key that has ended', async () => {
    const publication = await makePublication(server, alice);
    const ended = { kid: digestOf('x'), alg: 'HPKE-4-KE', st: 'retired', rev: now() };
    publication.list.keys.push({ ...ended, wsha: digestOf('gone') });
    expect((await publish(server, alice, publication)).status).toBe(422);
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
