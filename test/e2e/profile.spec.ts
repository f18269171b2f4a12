import { deflateSync } from 'node:zlib';
import { AVATAR_BYTES_MAX } from '#lib/protocol';
import { type Account, signUp, tokenFor } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { device } from '../support/devices.ts';
import { Subscriber, TestPushService } from '../support/push-service.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const FIREFOX = '5882386c6d801776';
const PAGES = 'ea3ca969f8c6bb0d';

/** A token of this server's own pages, which may have every scope of the profile. */
async function tokenOf(scope: string, account = alice): Promise<string> {
  const asked = { grant_type: 'fxa-credentials', client_id: PAGES, scope };
  const { body } = await post(server, 'oauth/token', asked, account.authorization).expect(200);
  return `Bearer ${body.access_token as string}`;
}
const call = (method: 'get' | 'post' | 'delete', path: string, authorization?: string) => {
  const request = server.request()[method](`/profile/v1/${path}`);
  return authorization === undefined ? request : request.set('authorization', authorization);
};
const get = async (path: string, scope: string, account?: Account) =>
  call('get', path, await tokenOf(scope, account));
const rename = (authorization: string, displayName: unknown) =>
  call('post', 'display_name', authorization).send({ displayName });

/** The beginning of a picture, and as much of it as is wished. */
const png = (size = 64) =>
  Buffer.concat([
    Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'),
    deflateSync('x'),
    Buffer.alloc(size),
  ]).subarray(0, size);
const JPEG = Buffer.from('ffd8ffe000104a4649460001', 'hex');
const WEBP = Buffer.from('RIFF\x24\x00\x00\x00WEBPVP8 rest', 'latin1');
const upload = (authorization: string, picture: Buffer, type = 'image/png') =>
  call('post', 'avatar/upload', authorization).type(type).send(picture);
const see = (url: string) => fetch(url, { redirect: 'error' });

describe('the profile', () => {
  it('says what a browser needs', async () => {
    const { status, body, headers } = await get('profile', 'profile');
    expect(status).toBe(200);
    expect(body).toEqual({
      ...{ uid: alice.uid, email: alice.email },
      ...{ amrValues: ['pwd', 'email'], twoFactorAuthentication: false },
      ...{ avatar: `${server.url}/profile/avatars/default`, avatarDefault: true },
    });
    expect(headers['cache-control']).toBe('private, no-cache');
    expect(headers['content-type']).toMatch(/^application\/json/);
  });

  it.each([
    ['profile:uid', ['uid']],
    ['profile:email', ['email']],
    ['profile:email:write', ['email']],
    ['profile:avatar', ['avatar', 'avatarDefault']],
    ['profile:amr profile:uid', ['amrValues', 'twoFactorAuthentication', 'uid']],
    ['profile:display_name profile:uid', ['uid']],
  ])('says with the scope %s no more than that', async (scope, members) => {
    const { status, body } = await get('profile', scope);
    expect([status, Object.keys(body as object).sort()]).toEqual([200, members]);
  });

  it('is not sent again to who has it, in whatever form a client says so', async () => {
    const token = await tokenOf('profile');
    const first = await call('get', 'profile', token).expect(200);
    const etag = first.headers['etag'] as string;
    expect(etag).toMatch(/^"[\w-]{22}"$/);
    for (const known of [etag, `"${etag}"`, `W/${etag}`, `"other", ${etag}`, '*']) {
      const again = await call('get', 'profile', token).set('if-none-match', known).expect(304);
      expect([again.text, again.headers['etag']]).toEqual(['', etag]);
    }
    await call('get', 'profile', token).set('if-none-match', '"other"').expect(200);
    const bob = await signUp(server);
    const bobs = await tokenOf('profile', bob);
    await call('get', 'profile', bobs).set('if-none-match', etag).expect(200);
    await rename(await tokenOf('profile:write'), 'Alice').expect(200);
    const changed = await call('get', 'profile', token).set('if-none-match', etag).expect(200);
    expect(changed.body.displayName).toBe('Alice');
  });

  it('is where phones look for it, with the number that makes them ask for a new token', async () => {
    const discovery = await server.request().get('/.well-known/openid-configuration');
    const { pathname } = new URL(discovery.body.userinfo_endpoint as string);
    const ask = (authorization: string) =>
      server.request().get(pathname).set('authorization', authorization);
    const token = await tokenOf('profile');
    const { body, headers } = await ask(token).expect(200);
    expect(body).toMatchObject({ uid: alice.uid, email: alice.email, avatarDefault: true });
    const known = `"${headers['etag'] as string}"`;
    await ask(token).set('if-none-match', known).expect(304);
    const refused = await ask('Bearer nothing-that-was-issued').expect(401);
    expect(refused.body).toMatchObject({ error: 'invalid_token', code: 401, errno: 110 });
    expect(refused.headers['www-authenticate']).toContain('invalid_token');
  });

  it('answers apps of others there as the standard has it', async () => {
    const { access_token } = await tokenFor(server, alice, { scope: 'openid profile' });
    const ask = server.request().get('/oauth2/userinfo');
    const { body } = await ask.set('authorization', `Bearer ${access_token}`).expect(200);
    expect(body).toEqual({ sub: alice.uid, email: alice.email, email_verified: true });
    const both = await call('get', 'profile', `Bearer ${access_token}`).expect(200);
    expect(both.body).toMatchObject({ sub: alice.uid, uid: alice.uid });
  });

  it('has each member by itself', async () => {
    expect((await get('email', 'profile:email')).body).toEqual({ email: alice.email });
    expect((await get('uid', 'profile')).body).toEqual({ uid: alice.uid });
    expect((await get('_core_profile', 'profile')).body).toEqual({
      ...{ email: alice.email, amrValues: ['pwd', 'email'], twoFactorAuthentication: false },
    });
    const bob = await signUp(server);
    const avatar = await get('avatar', 'profile:avatar', bob);
    const url = `${server.url}/profile/avatars/default`;
    expect(avatar.body).toEqual({ id: 'default', url, avatar: url, avatarDefault: true });
    expect((await get('display_name', 'profile', bob)).status).toBe(204);
  });
});

describe('a token', () => {
  it.each([
    ['profile', 'get', ''],
    ['profile', 'get', 'Bearer short'],
    ['profile', 'get', 'Bearer nothing-that-was-issued'],
    ['email', 'get', ''],
    ['display_name', 'post', ''],
    ['avatar/upload', 'post', ''],
    ['avatar', 'delete', ''],
  ] as const)('is needed for %s by %s (%p)', async (path, method, authorization) => {
    const { body, headers } = await call(method, path, authorization).expect(401);
    expect(body).toMatchObject({ code: 401, errno: 100 });
    expect(headers['www-authenticate']).toMatch(/^Bearer/);
  });

  it('of a session is none', async () => {
    await call('get', 'profile', alice.authorization).expect(401);
  });

  it.each([
    ['get', 'email', 'profile:uid'],
    ['get', 'uid', 'profile:email'],
    ['get', 'avatar', 'profile:uid'],
    ['get', 'display_name', 'profile:uid'],
    ['post', 'display_name', 'profile'],
    ['post', 'display_name', 'profile:avatar:write'],
    ['post', 'avatar/upload', 'profile'],
    ['delete', 'avatar', 'profile'],
    ['delete', 'avatar/x', 'profile:display_name:write'],
  ] as const)('does not %s %s with %s', async (method, path, scope) => {
    const { body, headers } = await call(method, path, await tokenOf(scope)).expect(403);
    expect(body).toMatchObject({ code: 403, errno: 100 });
    expect(headers['www-authenticate']).toContain('insufficient_scope');
  });

  it('without any scope of the profile sees nothing', async () => {
    const { access_token } = await tokenFor(server, alice, { scope: 'keys:read' });
    const { body } = await call('get', 'profile', `Bearer ${access_token}`).expect(403);
    expect(body.errno).toBe(100);
    await call('get', '_core_profile', `Bearer ${access_token}`).expect(403);
  });

  it('that ended is refused at once, and Firefox may not change anything', async () => {
    const bob = await signUp(server);
    const token = await tokenOf('profile', bob);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    await call('get', 'profile', token).expect(401);
    const asked = { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: 'profile:write' };
    expect((await post(server, 'oauth/token', asked, alice.authorization)).body.errno).toBe(163);
  });
});

describe('a display name', () => {
  it.each([
    ['Zoë', 'Zoë'],
    ['  two  words ', 'two  words'],
    ['Zoe\u0308', 'Zoë'],
    ['田中さん', '田中さん'],
    ['👩‍🚀', '👩‍🚀'],
    ['<script>alert(1)</script>', '<script>alert(1)</script>'],
    ['x'.repeat(256), 'x'.repeat(256)],
  ])('may be %p', async (name, kept) => {
    const token = await tokenOf('profile:write');
    await rename(token, name).expect(200, {});
    expect((await call('get', 'display_name', token).expect(200)).body.displayName).toBe(kept);
  });

  it.each([
    ['a line feed', 'a\nb'],
    ['U+0000', 'a\u0000b'],
    ['a control character', 'a\u009fb'],
    ['a line separator', 'a\u2028b'],
    ['half a character', 'a\ud800b'],
    ['private use', 'a\ue000b'],
    ['a turned direction', 'a\u202eb'],
    ['more than 256 characters', 'x'.repeat(257)],
    ['a number', 5],
    ['null', null],
  ])('may not have %s, and then stays as it was', async (_, name) => {
    const token = await tokenOf('profile:write');
    await rename(token, 'before').expect(200);
    const { body } = await rename(token, name).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 101 });
    expect((await call('get', 'display_name', token)).body).toEqual({ displayName: 'before' });
  });

  it('goes when it is empty', async () => {
    const token = await tokenOf('profile:write');
    await rename(token, 'Alice').expect(200);
    await rename(token, ' ').expect(200);
    await call('get', 'display_name', token).expect(204);
    expect((await call('get', 'profile', token)).body).not.toHaveProperty('displayName');
  });

  it('is refused as no JSON, and as a form', async () => {
    const token = await tokenOf('profile:write');
    const send = (type: string, text: string) =>
      call('post', 'display_name', token).type(type).send(text);
    expect((await send('application/json', '{').expect(400)).body.errno).toBe(101);
    expect((await send('image/png', '{"displayName":"x"}').expect(400)).body.errno).toBe(102);
    await send('application/x-www-form-urlencoded', 'displayName=x').expect(400);
  });
});

describe('a picture', () => {
  it.each([
    ['a PNG', png(), 'image/png', 'image/png'],
    ['a JPEG', JPEG, 'image/jpeg', 'image/jpeg'],
    ['a WebP', WEBP, 'image/webp', 'image/webp'],
    ['a JPEG that is called a PNG', JPEG, 'image/png', 'image/jpeg'],
    ['as large as it may be', png(AVATAR_BYTES_MAX), 'image/png', 'image/png'],
  ])('is %s', async (_, picture, called, type) => {
    const token = await tokenOf('profile:write');
    const { body } = await upload(token, picture, called).expect(201);
    expect(body).toMatchObject({ avatarDefault: false, avatar: body.url });
    expect(body.url).toBe(`${server.url}/profile/avatars/${body.id as string}`);
    const profile = await call('get', 'profile', token).expect(200);
    expect(profile.body).toMatchObject({ avatar: body.url, avatarDefault: false });

    const shown = await see(body.url as string);
    expect(Buffer.from(await shown.arrayBuffer()).equals(picture)).toBe(true);
    expect(Object.fromEntries(shown.headers)).toMatchObject({
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'content-security-policy': expect.stringMatching(/^sandbox; default-src 'none'/),
      'cache-control': 'public, max-age=31536000, immutable',
    });
  });

  it.each([
    ['an SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'image/svg+xml'],
    ['a GIF', Buffer.from('GIF89a\x01\x00\x01\x00', 'latin1'), 'image/gif'],
    ['HTML that is called a PNG', Buffer.from('<!doctype html><script>'), 'image/png'],
    ['the first bytes of a PNG', png(7), 'image/png'],
    ['RIFF of another kind', Buffer.from('RIFF\x00\x00\x00\x00WAVEfmt ', 'latin1'), 'image/webp'],
    ['a PNG that is called a text', png(), 'text/html'],
    ['a PNG that is called JSON', Buffer.from('{}'), 'application/json'],
  ])('is not %s', async (_, picture, type) => {
    const { body } = await upload(await tokenOf('profile:write'), picture, type).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 102 });
  });

  it('is not empty, nor too large, nor without a type', async () => {
    const token = await tokenOf('profile:write');
    expect((await upload(token, Buffer.alloc(0)).expect(400)).body.errno).toBe(102);
    const large = await upload(token, png(AVATAR_BYTES_MAX + 1)).expect(413);
    expect(large.body.errno).toBe(101);
    expect((await call('post', 'avatar/upload', token).expect(400)).body.errno).toBe(102);
  });

  it('is one of an account: the next takes its place, at an address that nobody guesses', async () => {
    const token = await tokenOf('profile:write');
    const first = (await upload(token, png()).expect(201)).body;
    const second = (await upload(token, png()).expect(201)).body;
    expect(second.url).not.toBe(first.url);
    expect((await see(first.url as string)).status).toBe(404);
    expect((await see(second.url as string)).status).toBe(200);
  });

  it('is taken away by its owner alone', async () => {
    const bob = await signUp(server);
    const bobs = await tokenOf('profile:write', bob);
    const token = await tokenOf('profile:write');
    const { id, url } = (await upload(token, png()).expect(201)).body as Record<string, string>;
    await call('delete', `avatar/${id}`, bobs).expect(404);
    await call('delete', 'avatar', bobs).expect(404);
    expect((await see(url ?? '')).status).toBe(200);
    await call('delete', `avatar/${id}`, token).expect(200, {});
    expect((await see(url ?? '')).status).toBe(404);
    expect((await call('get', 'profile', token)).body.avatarDefault).toBe(true);
    await upload(token, png()).expect(201);
    await call('delete', 'avatar', token).expect(200, {});
    await call('delete', 'avatar', token).expect(404);
  });

  it('is there for everybody who has none', async () => {
    const shown = await see(`${server.url}/profile/avatars/default`);
    expect(shown.status).toBe(200);
    expect(Object.fromEntries(shown.headers)).toMatchObject({
      'content-type': expect.stringMatching(/^image\/svg\+xml/),
      'content-security-policy': expect.stringMatching(/^sandbox; default-src 'none'/),
    });
    for (const odd of ['nothing', '%00', 'a%2Fb', '..%2f..', 'x'.repeat(255)]) {
      expect((await see(`${server.url}/profile/avatars/${odd}`)).status).toBeLessThan(500);
    }
  });

  it('changes when the profile is said to have changed', async () => {
    const token = await tokenOf('profile:write');
    const ask = async () => {
      const body = { token: token.replace('Bearer ', '') };
      return (await server.request().post('/oauth/v1/verify').send(body).expect(200)).body;
    };
    await upload(token, png()).expect(201);
    const { profile_changed_at: before } = await ask();
    server.clock.advance(5);
    await call('delete', 'avatar', token).expect(200);
    expect((await ask()).profile_changed_at).toBeGreaterThanOrEqual((before as number) + 5000);
  });

  it('goes with the account', async () => {
    const bob = await signUp(server);
    const { body } = await upload(await tokenOf('profile:write', bob), png()).expect(201);
    await server.db.query(`DELETE FROM account WHERE uid = $1`, [bob.uid]);
    expect((await see(body.url as string)).status).toBe(404);
  });
});

it('tells the devices of the account what changed, and nobody else', async () => {
  const service = await TestPushService.start();
  const told = await TestServer.start({ PUSH_HOSTS_ALLOWED: '127.0.0.1' });
  try {
    const bob = await signUp(told);
    const subscribers = await Promise.all(
      [bob, await signUp(told)].map(async (account) => {
        const subscriber = new Subscriber();
        await device(told, account, subscriber.subscription(service.at()));
        return subscriber;
      }),
    );
    const asked = { grant_type: 'fxa-credentials', client_id: PAGES, scope: 'profile:write' };
    const { body } = await post(told, 'oauth/token', asked, bob.authorization).expect(200);
    const authorization = `Bearer ${body.access_token as string}`;
    const at = (path: string) => `/profile/v1/${path}`;
    const changes = [
      () => told.request().post(at('display_name')).send({ displayName: 'Bob' }),
      () => told.request().post(at('avatar/upload')).type('image/png').send(png()),
      () => told.request().delete(at('avatar')),
    ];
    for (const change of changes) {
      expect((await change().set({ authorization })).status).toBeLessThan(300);
      const message = await service.next();
      expect(JSON.parse(subscribers[0]?.open(message.body) ?? '')).toEqual({
        ...{ version: 1, command: 'fxaccounts:profile_updated' },
      });
    }
    expect(service.got).toHaveLength(changes.length);
  } finally {
    await told.stop();
    await service.close();
  }
});

it('answers with the profile server’s errors where there is nothing', async () => {
  const { body } = await call('get', 'nothing').expect(404);
  expect(body).toMatchObject({ code: 404, errno: 999 });
});
