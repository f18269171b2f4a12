import { createHash, randomBytes } from 'node:crypto';
import type { Response } from 'supertest';
import { deriveOldSyncKey, deriveScopedKey, fromHex } from '#lib/crypto';
import { NEW_SESSION, OLD_SYNC, StorageToken, THUNDERBIRD_SYNC } from '#lib/protocol';
import { OAuthProfile1764000000015 } from '../../apps/server/src/migrations/1764000000015-oauth-profile.ts';
import { ClientsService } from '../../apps/server/src/oauth/clients.service.ts';
import { type Account, bearerOf, signUp } from '../support/account.ts';
import { anAddress, credentials, get, hawk, post } from '../support/account-api.ts';
import { changePassword } from '../support/passwords.ts';
import { storageClient } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const FIREFOX = '5882386c6d801776';
const FENIX = 'a2270f727f45f648';
const IOS = '1b1a3e44c54fbb58';
const THUNDERBIRD = '8269bacd7bbc7f80';
const WEB_CHANNEL = 'urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const REFRESH_TYPE = 'urn:ietf:params:oauth:token-type:refresh_token';
/** As long as one is, and of its form. */
const JWE = `eyJhbGciOiJFQ0RILUVTIn0..${'A'.repeat(16)}.${'c'.repeat(40)}.${'t'.repeat(22)}`;

const pkce = () => {
  const verifier = randomBytes(32).toString('base64url');
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') };
};

/** Asks for a code as the page does. */
const askCode = (body: object = {}, authorization = alice.authorization) =>
  post(
    server,
    'oauth/authorization',
    {
      ...{ client_id: FIREFOX, scope: `${OLD_SYNC} profile`, state: 'xyz', access_type: 'offline' },
      ...{ code_challenge: pkce().challenge, code_challenge_method: 'S256', ...body },
    },
    authorization,
  );

async function getCode(body: object = {}, authorization = alice.authorization) {
  const { verifier, challenge } = pkce();
  const answer = await askCode({ code_challenge: challenge, ...body }, authorization);
  expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
  return { code: answer.body.code as string, code_verifier: verifier };
}

const askToken = (body: object, authorization?: string) =>
  post(server, 'oauth/token', body, authorization);
const redeem = (grant: object, body: object = {}, authorization?: string) =>
  askToken(
    { grant_type: 'authorization_code', client_id: FIREFOX, ...grant, ...body },
    authorization,
  );
const refresh = (token: string, body: object = {}) =>
  askToken({ grant_type: 'refresh_token', client_id: FENIX, refresh_token: token, ...body });
const destroy = (body: object) => server.request().post('/oauth/v1/destroy').send(body);
const introspect = async (token: string) =>
  (await server.request().post('/oauth/v1/introspect').send({ token }).expect(200)).body;
const verify = (token: string) => server.request().post('/oauth/v1/verify').send({ token });
/** An account that another device of ours can sign in to without any stretching. */
async function anAccount() {
  const asked = credentials(anAddress());
  const { body } = await post(server, 'account/create', asked).expect(200);
  await server.db.query(`UPDATE account SET verified_at = now() WHERE uid = $1`, [body.uid]);
  const authorization = bearerOf(body.sessionToken as string);
  const another = async () =>
    bearerOf((await post(server, 'account/login', asked).expect(200)).body.sessionToken);
  return { uid: body.uid as string, authorization, another };
}
/** What a phone does after its page: redeems without a session. */
async function phone(scope = `profile ${OLD_SYNC} ${NEW_SESSION}`, authorization?: string) {
  const grant = await getCode({ client_id: FENIX, scope }, authorization);
  const { body } = await redeem(grant, { client_id: FENIX }).expect(200);
  return body as Record<'access_token' | 'refresh_token' | 'session_token' | 'scope', string>;
}

describe('discovery', () => {
  it('tells browsers where everything is', async () => {
    const { body } = await server
      .request()
      .get('/.well-known/fxa-client-configuration')
      .set('host', 'evil.example')
      .expect(200);
    expect(body).toEqual({
      auth_server_base_url: `${server.url}/auth`,
      oauth_server_base_url: `${server.url}/oauth`,
      profile_server_base_url: `${server.url}/profile`,
      sync_tokenserver_base_url: `${server.url}/token`,
      pairing_server_base_uri: server.url.replace(/^http/, 'ws'),
    });
  });

  it('has the addresses that phones insist on, as text', async () => {
    const { body } = await server.request().get('/.well-known/openid-configuration').expect(200);
    for (const name of [
      ...['authorization_endpoint', 'introspection_endpoint', 'issuer', 'jwks_uri'],
      ...['token_endpoint', 'userinfo_endpoint'],
    ]) {
      expect([name, body[name]]).toEqual([name, expect.stringContaining(server.url)]);
    }
  });

  it('keeps what the operator made of a browser, also at the next start', async () => {
    const name = async () => (await get(server, `oauth/client/${IOS}`).expect(200)).body.name;
    await server.db.query(
      `UPDATE oauth_client SET metadata = jsonb_set(metadata, '{client_name}', '"Foxes"')
        WHERE id = $1`,
      [IOS],
    );
    await server.app.get(ClientsService).seed();
    expect(await name()).toBe('Foxes');
    await server.db.query(`DELETE FROM oauth_client WHERE id = $1`, [IOS]);
    await server.app.get(ClientsService).seed();
    expect(await name()).toBe('Firefox for iOS');
  });

  it('gives the Firefox of the first version what it may have now', async () => {
    const old = await TestServer.start();
    try {
      const migration = new OAuthProfile1764000000015();
      const runner = old.db.createQueryRunner();
      await migration.down(runner);
      const scope = `profile offline_access ${OLD_SYNC}`;
      await old.db.query(
        `UPDATE oauth_client SET metadata = metadata - 'trusted' || $2 WHERE id = $1`,
        [FIREFOX, { scope }],
      );
      await migration.up(runner);
      await runner.release();
      await old.app.get(ClientsService).seed();
      const { body } = await old.request().get(`/oauth/v1/client/${FIREFOX}`).expect(200);
      expect(body.trusted).toBe(true);
    } finally {
      await old.stop();
    }
  });

  it('knows the browsers', async () => {
    const client = async (id: string) =>
      (await server.request().get(`/oauth/v1/client/${id}`).expect(200)).body;
    expect(await client(FIREFOX)).toEqual({
      ...{ id: FIREFOX, name: 'Firefox', trusted: true, image_uri: '' },
      redirect_uri: WEB_CHANNEL,
    });
    for (const id of [FENIX, IOS, THUNDERBIRD, '3c49430b43dfba77', '3332a18d142636cb']) {
      expect(await client(id)).toMatchObject({ id, trusted: true });
    }
    expect(await client('demo-app')).toMatchObject({ trusted: false });
    const gone = await server.request().get('/oauth/v1/client/nobody').expect(400);
    expect(gone.body).toMatchObject({ errno: 101, clientId: 'nobody' });
    expect((await get(server, 'oauth/client/nobody').expect(400)).body.errno).toBe(162);
  });
});

describe('a desktop', () => {
  it('signs in: a code with keys, exchanged with Hawk, its refresh token thrown away', async () => {
    const answer = await askCode({ keys_jwe: JWE, redirect_uri: WEB_CHANNEL }).expect(200);
    const { code, state, redirect } = answer.body as Record<string, string>;
    expect(state).toBe('xyz');
    expect(redirect).toBe(`${WEB_CHANNEL}?code=${code}&state=xyz`);

    const { verifier, challenge } = pkce();
    const second = (await askCode({ code_challenge: challenge, keys_jwe: JWE }).expect(200)).body;
    const body = {
      ...{ grant_type: 'authorization_code', client_id: FIREFOX },
      ...{ code: second.code as string, code_verifier: verifier },
    };
    const signing = { method: 'POST', path: 'oauth/token', token: alice.sessionToken, body };
    const token = await askToken(body, await hawk(server, signing)).expect(200);
    expect(token.body).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.any(String),
      token_type: 'bearer',
      scope: `${OLD_SYNC} profile`,
      expires_in: 3600,
      auth_at: expect.any(Number),
      keys_jwe: JWE,
    });
    const thrown = { client_id: FIREFOX, token: token.body.refresh_token };
    await post(server, 'oauth/destroy', thrown).expect(200, {});
    expect(await introspect(token.body.refresh_token as string)).toEqual({ active: false });
    await get(server, 'session/status', alice.authorization).expect(200);
  });

  it('opens its store with a token of its session, under its key’s id', async () => {
    const { body } = await askToken(
      { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: OLD_SYNC, ttl: 21_600 },
      alice.authorization,
    ).expect(200);
    const data = await post(
      server,
      'account/scoped-key-data',
      { client_id: FIREFOX, scope: OLD_SYNC },
      alice.authorization,
    ).expect(200);
    const { kid } = deriveOldSyncKey(alice.kB, data.body[OLD_SYNC].keyRotationTimestamp as number);
    const visit = await server
      .request()
      .get('/token/1.0/sync/1.5')
      .set({ authorization: `Bearer ${body.access_token as string}`, 'x-keyid': kid })
      .expect(200);
    const { id, key, uid } = StorageToken.parse(visit.body);
    const seconds = () => server.clock.seconds();
    const store = storageClient({ url: server.url, id, key, uid, seconds });
    expect((await store.put('/storage/meta/global', { payload: '{}' })).status).toBe(200);
  });

  it('needs no grant_type, and may send a form', async () => {
    const grant = await getCode();
    const form = new URLSearchParams({ client_id: FIREFOX, ...grant, ttl: '60' });
    const code = await server
      .request()
      .post('/auth/v1/oauth/token')
      .type('form')
      .send(form.toString())
      .expect(200);
    expect(code.body).toMatchObject({ expires_in: 60 });
    const asked = { client_id: FIREFOX, scope: 'profile' };
    const own = await askToken(asked, alice.authorization).expect(200);
    expect(own.body).toMatchObject({ scope: 'profile' });
    expect((await askToken(asked).expect(401)).body.errno).toBe(110);
  });

  it('gets no refresh token unless it asks for one', async () => {
    const online = await redeem(await getCode({ access_type: 'online' })).expect(200);
    expect(online.body).not.toHaveProperty('refresh_token');
    const body = { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: 'profile' };
    const offline = { ...body, access_type: 'offline' };
    const answer = await askToken(offline, alice.authorization).expect(200);
    expect(await introspect(answer.body.refresh_token as string)).toMatchObject({ active: true });
  });
});

describe('a phone', () => {
  it('keeps a refresh token that never changes, and gets tokens with less', async () => {
    const { access_token, refresh_token, scope } = await phone();
    expect(scope).toBe(`profile ${OLD_SYNC} ${NEW_SESSION}`);
    await destroy({ token: access_token }).expect(200, {});
    for (const wanted of ['profile', OLD_SYNC, 'profile:email']) {
      const { body } = await refresh(refresh_token, { scope: wanted, ttl: 300 }).expect(200);
      expect(body).toMatchObject({ scope: wanted, expires_in: 300, token_type: 'bearer' });
      expect(body).not.toHaveProperty('refresh_token');
      expect(await introspect(body.access_token as string)).toMatchObject({ active: true });
    }
    const all = await refresh(refresh_token).expect(200);
    expect(all.body.scope).toBe(`profile ${OLD_SYNC}`);
  });

  it('has a session of its own, and stays when the browser it was approved in leaves', async () => {
    const bob = await anAccount();
    const { refresh_token, session_token } = await phone(undefined, bob.authorization);
    const session = bearerOf(session_token);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    const { body } = await get(server, 'session/status', session).expect(200);
    expect(body).toMatchObject({ uid: bob.uid, state: 'verified' });
    await refresh(refresh_token, { scope: 'profile' }).expect(200);
    await post(server, 'session/destroy', {}, session).expect(200);
    expect((await refresh(refresh_token).expect(401)).body.errno).toBe(110);
  });

  it('takes its session along when it throws the refresh token away', async () => {
    const { refresh_token, session_token } = await phone();
    await destroy({ refresh_token }).expect(200, {});
    await get(server, 'session/status', bearerOf(session_token)).expect(401);
  });

  it('keeps its session when it gets a wider refresh token in it, and throws the first away', async () => {
    const { refresh_token, session_token } = await phone();
    const session = bearerOf(session_token);
    const scope = `profile ${OLD_SYNC}`;
    const asked = {
      grant_type: 'fxa-credentials',
      client_id: FENIX,
      access_type: 'offline',
      scope,
    };
    const wider = (await askToken(asked, session).expect(200)).body.refresh_token as string;
    await destroy({ refresh_token }).expect(200, {});
    await get(server, 'session/status', session).expect(200);
    await refresh(wider).expect(200);
    await destroy({ refresh_token: wider }).expect(200, {});
    await get(server, 'session/status', session).expect(401);
  });

  it('asks whether its refresh token is good at the address that discovery names', async () => {
    const { refresh_token } = await phone();
    const ask = (token: string) =>
      server.request().post('/oauth2/introspect').send({ token_type_hint: 'refresh_token', token });
    await refresh(refresh_token, { scope: 'profile' }).expect(200);
    const { body } = await ask(refresh_token).expect(200);
    expect(body).toEqual({
      active: true,
      scope: `profile ${OLD_SYNC} ${NEW_SESSION}`,
      client_id: FENIX,
      token_type: 'refresh_token',
      iat: expect.any(Number),
      exp: expect.any(Number),
      sub: alice.uid,
      jti: expect.stringMatching(/^[\w-]{43}$/),
      'fxa-lastUsedAt': expect.any(Number),
    });
    expect(body.exp - body.iat).toBeGreaterThan(300 * 86_400_000);
    expect((await ask('nothing').expect(200)).body).toEqual({ active: false });
    for (const broken of ['{', '{}', '[]', '{"token":1}', 'null']) {
      const request = server.request().post('/oauth2/introspect').type('json').send(broken);
      expect((await request.expect(400)).body.error).toBe('invalid_request');
    }
  });

  it('lives on as long as it is used', async () => {
    const { refresh_token, session_token } = await phone();
    const day = 86_400;
    for (const days of [360, 360]) {
      server.clock.advance(days * day);
      await refresh(refresh_token, { scope: 'profile' }).expect(200);
      await get(server, 'session/status', bearerOf(session_token)).expect(200);
    }
    server.clock.advance(366 * day);
    expect((await refresh(refresh_token).expect(401)).body.errno).toBe(110);
    alice = await signUp(server); // the one from before has not been here for three years
  });

  it('exchanges its refresh token for a wider one, and may throw the old one away', async () => {
    const { refresh_token } = await phone('profile:email');
    const exchange = (scope: string) =>
      askToken({
        ...{ grant_type: EXCHANGE, client_id: FENIX, subject_token: refresh_token },
        ...{ subject_token_type: REFRESH_TYPE, scope },
      });
    const { body } = await exchange('profile').expect(200);
    expect(body).toMatchObject({ scope: 'profile:email profile', token_type: 'bearer' });
    await destroy({ refresh_token }).expect(200, {});
    const wide = await refresh(body.refresh_token as string, { scope: 'profile:uid' }).expect(200);
    expect(wide.body.scope).toBe('profile:uid');
    expect((await exchange('profile').expect(401)).body.errno).toBe(110);
  });

  it.each([OLD_SYNC, NEW_SESSION, 'profile:write', 'files'])(
    'cannot exchange its way to %s',
    async (scope) => {
      const { refresh_token } = await phone('profile');
      const { body } = await askToken({
        ...{ grant_type: EXCHANGE, client_id: FENIX, subject_token: refresh_token },
        ...{ subject_token_type: REFRESH_TYPE, scope },
      }).expect(400);
      expect(body).toMatchObject({ errno: 163, invalidScopes: [scope] });
    },
  );
});

describe('Thunderbird', () => {
  it('has a scope, a key and a store of its own', async () => {
    const grant = await getCode({ client_id: THUNDERBIRD, scope: THUNDERBIRD_SYNC, keys_jwe: JWE });
    const { body } = await redeem(grant, { client_id: THUNDERBIRD }).expect(200);
    expect(body).toMatchObject({ scope: THUNDERBIRD_SYNC, keys_jwe: JWE });
    const scope = `${THUNDERBIRD_SYNC} ${OLD_SYNC}`;
    const data = await post(
      server,
      'account/scoped-key-data',
      { client_id: THUNDERBIRD, scope },
      alice.authorization,
    ).expect(200);
    expect(Object.keys(data.body as object)).toEqual([THUNDERBIRD_SYNC]);
    const { identifier, keyRotationSecret, keyRotationTimestamp } = data.body[THUNDERBIRD_SYNC];
    expect(identifier).toBe(THUNDERBIRD_SYNC);
    const { kid } = deriveScopedKey({
      ...{ kB: alice.kB, uid: fromHex(alice.uid), identifier, keyRotationTimestamp },
      keyRotationSecret: fromHex(keyRotationSecret as string),
    });
    const visit = async (token: string, keyId: string) => {
      const answer = await server
        .request()
        .get('/token/1.0/sync/1.5')
        .set({ authorization: `Bearer ${token}`, 'x-keyid': keyId })
        .expect(200);
      return StorageToken.parse(answer.body);
    };
    const first = await visit(body.access_token as string, kid);
    const next = await refresh(body.refresh_token as string, { client_id: THUNDERBIRD });
    expect((await visit(next.body.access_token as string, kid)).uid).toBe(first.uid);
    const firefox = await askToken(
      { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: OLD_SYNC },
      alice.authorization,
    );
    const sync = deriveOldSyncKey(alice.kB, keyRotationTimestamp as number);
    const other = await visit(firefox.body.access_token as string, sync.kid);
    expect(other.uid).not.toBe(first.uid);
  });
});

describe('a code is not given', () => {
  it.each([
    ['to an unknown app', { client_id: 'nobody' }, 162],
    ['to an app of others', { client_id: 'demo-app', scope: 'profile' }, 107],
    ['without a challenge', { code_challenge: undefined }, 169],
    ['without a method', { code_challenge_method: undefined }, 169],
    ['for plain', { code_challenge_method: 'plain' }, 107],
    ['for a challenge of another length', { code_challenge: 'short' }, 107],
    ['for a scope that the browser may not have', { scope: 'profile:write' }, 163],
    ['for our APIs', { scope: 'keys:read' }, 163],
    ['for the scope of Thunderbird', { scope: THUNDERBIRD_SYNC }, 163],
    ['for no scope', { scope: '' }, 107],
    ['for a blank scope', { scope: ' ' }, 163],
    ['for a token in the address', { response_type: 'token' }, 168],
    ['for a second factor', { acr_values: 'AAL2' }, 170],
    ['without a state', { state: undefined }, 108],
    ['for a state without end', { state: 'x'.repeat(513) }, 107],
    ['with keys that are none', { keys_jwe: 'a.b.c' }, 107],
    ['with keys without end', { keys_jwe: `${JWE}${'t'.repeat(4096)}` }, 107],
    ['for another kind of access', { access_type: 'always' }, 107],
    ['for U+0000', { state: 'a\u0000', scope: 'profile\u0000' }, 163],
  ])('%s', async (_, body, errno) => {
    expect((await askCode(body).expect(400)).body.errno).toBe(errno);
  });

  it.each([
    'https://evil.example/',
    'urn:ietf:wg:oauth:2.0:oob',
    `${WEB_CHANNEL}/`,
    `${WEB_CHANNEL}?a`,
    WEB_CHANNEL.toUpperCase(),
    `https://evil.example/oauth/success/${FIREFOX}`,
    '',
    'javascript:alert(1)',
  ])('to be sent to %p', async (redirect_uri) => {
    const { body } = await askCode({ redirect_uri }).expect(400);
    expect(body).toMatchObject({ errno: 167, redirectUri: redirect_uri });
    expect(body).not.toHaveProperty('redirect');
  });

  it('to be sent to the page of another browser, nor beside it', async () => {
    const page = `${server.url}/oauth/success/`;
    const { body } = await askCode({ redirect_uri: page + FIREFOX }).expect(200);
    expect(body.redirect).toBe(`${page}${FIREFOX}?code=${body.code as string}&state=xyz`);
    for (const redirect_uri of [
      page + FENIX,
      `${page}${FIREFOX}/../../evil`,
      `${page}${FIREFOX}#`,
      `${page.replace('//', '//user@')}${FIREFOX}`,
      `${server.url}:1/oauth/success/${FIREFOX}`,
    ]) {
      expect((await askCode({ redirect_uri }).expect(400)).body.errno).toBe(167);
    }
  });

  it('without a session, nor for an address that is not verified', async () => {
    expect((await askCode({}, '').expect(401)).body.errno).toBe(110);
    const { body } = await post(server, 'account/create', credentials(anAddress()));
    const unverified = bearerOf(body.sessionToken as string);
    expect((await askCode({}, unverified).expect(400)).body.errno).toBe(104);
  });
});

describe('when the end of a session and that of a token are in the way of each other', () => {
  const SESSION = `SELECT 1 FROM session WHERE uid = $1 FOR UPDATE`;
  const GRANT = `SELECT 1 FROM oidc WHERE payload ->> 'accountId' = $1 FOR UPDATE`;

  /** Has a request wait for what is held first, and then waits for it in turn: the request is undone. */
  async function meeting(
    uid: string,
    [first, second]: readonly [string, string],
    { start, query }: { start: () => PromiseLike<Response>; query: string },
  ): Promise<Response> {
    const change = server.db.createQueryRunner();
    await change.startTransaction();
    await change.query(`SET LOCAL deadlock_timeout = '20s'`);
    await change.query(first, [uid]);
    const answer = Promise.resolve(start());
    await until(async () => {
      const waiting = await server.db.query<unknown[]>(
        `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ $1`,
        [query],
      );
      return waiting.length > 0;
    });
    await change.query(second, [uid]);
    await change.rollbackTransaction();
    await change.release();
    return answer;
  }

  it('ends the token all the same', async () => {
    const { authorization, uid } = await anAccount();
    const { refresh_token } = await phone(undefined, authorization);
    const start = () => destroy({ refresh_token });
    const query = 'DELETE FROM session USING gone';
    expect((await meeting(uid, [SESSION, GRANT], { start, query })).status).toBe(200);
    await refresh(refresh_token).expect(401);
  });

  it('asks whoever signs out to come again', async () => {
    const { authorization, uid } = await anAccount();
    const { session_token: own } = await phone(undefined, authorization);
    const start = () => post(server, 'session/destroy', {}, bearerOf(own));
    const query = '^DELETE FROM session WHERE id';
    const { status, headers } = await meeting(uid, [GRANT, SESSION], { start, query });
    expect([status, headers['retry-after']]).toEqual([503, '1']);
    await start().expect(200);
  });
});

describe('a code is worth nothing', () => {
  it.each([
    ['to another app', { client_id: FENIX }, 173],
    ['with the verifier of another', { code_verifier: pkce().verifier }, 175],
    ['with its own challenge as the verifier', { code_verifier: 'A'.repeat(43) }, 175],
    ['with a short verifier', { code_verifier: 'A'.repeat(42) }, 107],
    ['without a verifier', { code_verifier: undefined }, 108],
    ['with another address', { redirect_uri: 'https://evil.example/' }, 167],
    ['when it is another', { code: 'nothing' }, 172],
    ['with U+0000', { code: 'a\u0000' }, 172],
    ['for an unknown app', { client_id: 'nobody' }, 162],
    ['for a life of more than a day', { ttl: 86_401 }, 107],
    ['with another grant', { grant_type: 'password' }, 107],
  ])('%s, and stays good', async (_, body, errno) => {
    const grant = await getCode();
    const refused = await redeem(grant, body).expect(400);
    expect([refused.body.errno, refused.body.code]).toEqual([errno, 400]);
    await redeem(grant).expect(200);
  });

  it('to the session of another account', async () => {
    const bob = await anAccount();
    const grant = await getCode();
    expect((await redeem(grant, {}, bob.authorization).expect(400)).body.errno).toBe(173);
    await redeem(grant, {}, alice.authorization).expect(200);
  });

  it('with credentials that are no session’s', async () => {
    const grant = await getCode();
    for (const authorization of [`Bearer fxs_${'0'.repeat(64)}`, 'Bearer x', 'Basic eDp4']) {
      expect((await redeem(grant, {}, authorization).expect(401)).body.errno).toBe(110);
    }
    await redeem(grant).expect(200);
  });

  it('a second time, and then neither is what the first time gave', async () => {
    const grant = await getCode({ client_id: FENIX, scope: `profile ${NEW_SESSION}` });
    const { body } = await redeem(grant, { client_id: FENIX }).expect(200);
    // Who has the code but not the verifier cannot end anything.
    const stranger = { client_id: FENIX, code_verifier: pkce().verifier };
    expect((await redeem(grant, stranger).expect(400)).body.errno).toBe(175);
    await verify(body.access_token as string).expect(200);
    expect((await redeem(grant, { client_id: FENIX }).expect(400)).body.errno).toBe(172);
    await verify(body.access_token as string).expect(400);
    expect((await refresh(body.refresh_token as string).expect(401)).body.errno).toBe(110);
    await get(server, 'session/status', bearerOf(body.session_token as string)).expect(401);
  });

  it('for a session, while a new password ends the one it was asked for in', async () => {
    const { uid, authorization } = await anAccount();
    const asked = { client_id: FENIX, scope: `profile ${NEW_SESSION}` };
    const grant = await getCode(asked, authorization);
    const change = server.db.createQueryRunner();
    await change.startTransaction();
    await change.query(`SELECT 1 FROM account WHERE uid = $1 FOR UPDATE`, [uid]);
    const answer = redeem(grant, { client_id: FENIX }).then(({ status }) => status);
    await until(async () => {
      const waiting = await server.db.query<unknown[]>(
        `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'FOR SHARE OF'`,
      );
      return waiting.length > 0;
    });
    await change.query(`DELETE FROM session WHERE uid = $1`, [uid]);
    await change.commitTransaction();
    await change.release();
    expect(await answer).toBe(401);
  });

  it('to more than one of ten at once', async () => {
    const grant = await getCode({ client_id: FENIX, keys_jwe: JWE });
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => redeem(grant, { client_id: FENIX })),
    );
    const won = answers.filter(({ status }) => status === 200);
    expect(won.length).toBeLessThanOrEqual(1);
    for (const { status } of answers) expect([200, 400, 401]).toContain(status);
    for (const { body } of won) await verify(body.access_token as string).expect(400);
  });

  it('after ten minutes', async () => {
    const grant = await getCode();
    server.clock.advance(601);
    expect((await redeem(grant).expect(400)).body.errno).toBe(174);
  });

  it('when the session ended in which it was given', async () => {
    const bob = await anAccount();
    const grant = await getCode({}, bob.authorization);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    expect((await redeem(grant).expect(400)).body.errno).toBe(172);
  });

  it('at the endpoint of the standard without its verifier', async () => {
    const { code } = await getCode();
    const form = { grant_type: 'authorization_code', client_id: FIREFOX, code };
    const ask = (verifier: string) =>
      server
        .request()
        .post('/oauth2/token')
        .type('form')
        .send({ ...form, redirect_uri: WEB_CHANNEL, code_verifier: verifier });
    expect((await ask(pkce().verifier).expect(400)).body.error).toBe('invalid_grant');
  });
});

describe('a refresh token is worth nothing', () => {
  it.each([
    ['to another app', { client_id: IOS }, 401, 110],
    ['to an app of others', { client_id: 'demo-app' }, 400, 107],
    ['for a scope it does not have', { scope: OLD_SYNC }, 400, 163],
    ['for a wider scope', { scope: 'profile:write' }, 400, 163],
    ['for a session', { scope: NEW_SESSION }, 400, 163],
    ['when it is another', { refresh_token: 'nothing' }, 401, 110],
  ])('%s', async (_, body, status, errno) => {
    const { refresh_token } = await phone(`profile ${NEW_SESSION}`);
    expect((await refresh(refresh_token, body).expect(status)).body.errno).toBe(errno);
    await refresh(refresh_token).expect(200);
  });

  it('when it is an access token, and an access token refreshes nothing', async () => {
    const { access_token, refresh_token } = await phone();
    expect((await refresh(access_token).expect(401)).body.errno).toBe(110);
    expect((await verify(refresh_token).expect(400)).body.errno).toBe(108);
  });

  it('is not changed at the endpoint of the standard either', async () => {
    const { refresh_token } = await phone('profile');
    const form = { grant_type: 'refresh_token', client_id: FENIX, refresh_token };
    const ask = () => server.request().post('/oauth2/token').type('form').send(form);
    expect((await ask().expect(200)).body.refresh_token).toBe(refresh_token);
    await ask().expect(200);
  });
});

describe('a resource server', () => {
  it('learns from an access token who, what and since when', async () => {
    const { access_token } = await phone();
    const [{ generation }] = await server.db.query(
      `SELECT verifier_set_at AS generation FROM account WHERE uid = $1`,
      [alice.uid],
    );
    const expected = {
      ...{ user: alice.uid, client_id: FENIX, generation },
      scope: ['profile', OLD_SYNC, NEW_SESSION],
    };
    expect((await verify(access_token).expect(200)).body).toEqual(expected);
    const inside = { token: access_token };
    expect((await post(server, 'verify', inside).expect(200)).body).toEqual(expected);
    expect(await introspect(access_token)).toMatchObject({
      ...{ active: true, token_type: 'access_token', sub: alice.uid, client_id: FENIX },
    });
  });

  it('is told by each server’s own number that a token is none', async () => {
    expect((await verify('nothing').expect(400)).body).toMatchObject({ code: 400, errno: 108 });
    const inside = await post(server, 'oauth/verify', { token: 'nothing' }).expect(401);
    expect(inside.body).toMatchObject({ code: 401, errno: 110 });
    expect((await verify('x'.repeat(257)).expect(400)).body.errno).toBe(109);
    await destroy({ token: 'nothing' }).expect(200, {});
    await destroy({}).expect(200, {});
    await destroy({ token: 'a\u0000' }).expect(200, {});
  });

  it('finds the keys that sign, without their secrets', async () => {
    const { body } = await server.request().get('/oauth/v1/jwks').expect(200);
    const standard = await server.request().get('/oauth2/jwks').expect(200);
    expect(body).toEqual(standard.body);
    expect(JSON.stringify(body)).not.toContain('"d"');
  });

  it('is not told about a token that expired', async () => {
    const { access_token } = await phone();
    server.clock.advance(3601);
    expect(await introspect(access_token)).toEqual({ active: false });
    await verify(access_token).expect(400);
  });
});

it('opens the profile and the store with one token that has both scopes', async () => {
  const bob = await signUp(server);
  const { access_token } = await phone(undefined, bob.authorization);
  const authorization = `Bearer ${access_token}`;
  const ask = (path: string) => server.request().get(path).set({ authorization });
  await ask('/profile/v1/profile').expect(200);
  const { kid } = deriveOldSyncKey(bob.kB, 1_700_000_000_000);
  await ask('/token/1.0/sync/1.5').set('x-keyid', kid).expect(200);
  // And nothing of ours.
  await ask('/keys/v1/me').expect(401);
});

describe('the token server', () => {
  it('refuses a token that is older than the password that another device has given', async () => {
    const bob = await anAccount();
    const token = async () => {
      const body = { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: OLD_SYNC };
      return (await askToken(body, bob.authorization).expect(200)).body.access_token as string;
    };
    const keyId = `${server.clock.now().getTime() - 60_000}-${'A'.repeat(22)}`;
    const visit = (access: string) =>
      server
        .request()
        .get('/token/1.0/sync/1.5')
        .set({ authorization: `Bearer ${access}`, 'x-keyid': keyId });
    const old = await token();
    await visit(old).expect(200);
    await server.db.query(
      `UPDATE account SET verifier_set_at = verifier_set_at + 1000 WHERE uid = $1`,
      [bob.uid],
    );
    await visit(old).expect(200);
    await visit(await token()).expect(200);
    expect((await visit(old).expect(401)).body.status).toBe('invalid-generation');
  });
});

describe('key data', () => {
  const ask = (authorization: string) =>
    post(
      server,
      'account/scoped-key-data',
      { client_id: FENIX, scope: `${OLD_SYNC} ${OLD_SYNC}/bookmarks ${NEW_SESSION} profile` },
      authorization,
    );

  it('is of the scopes alone that have a key', async () => {
    const { body } = await ask(alice.authorization).expect(200);
    expect(Object.keys(body as object)).toEqual([OLD_SYNC]);
  });

  it('is refused to a session from before the keys changed', async () => {
    const bob = await anAccount();
    await ask(bob.authorization).expect(200);
    const later = server.clock.now().getTime() + 2000;
    await server.db.query(`UPDATE account SET keys_changed_at = $2 WHERE uid = $1`, [
      bob.uid,
      later,
    ]);
    const { body } = await ask(bob.authorization).expect(400);
    expect(body).toMatchObject({ errno: 164, authAt: expect.any(Number) });
    // Nor does a session that a code brings along make the password fresher than it is.
    server.clock.advance(3);
    const { session_token } = await phone(undefined, bob.authorization);
    expect((await ask(bearerOf(session_token)).expect(400)).body.errno).toBe(164);
    await ask(await bob.another()).expect(200);
  });
});

describe('a new password', () => {
  it('ends what phones hold, also what is being redeemed', async () => {
    const bob = await signUp(server);
    const held = await phone(undefined, bob.authorization);
    const grant = await getCode({ client_id: FENIX, scope: 'profile' }, bob.authorization);
    const changed = await changePassword(server, bob, 'another password');
    expect((await refresh(held.refresh_token).expect(401)).body.errno).toBe(110);
    await verify(held.access_token).expect(400);
    await get(server, 'session/status', bearerOf(held.session_token)).expect(401);
    expect((await redeem(grant, { client_id: FENIX }).expect(400)).body.errno).toBe(172);
    // The page hands the new session on, and the phone gets new tokens by it.
    const asked = { grant_type: 'fxa-credentials', client_id: FENIX, access_type: 'offline' };
    const session = bearerOf(changed.sessionToken);
    const again = await askToken({ ...asked, scope: `profile ${OLD_SYNC}` }, session).expect(200);
    await refresh(again.body.refresh_token as string).expect(200);
  });

  it('never leaves a session that was brought along while it was set', async () => {
    const bob = await signUp(server);
    const grants = await Promise.all(
      Array.from({ length: 6 }, () =>
        getCode({ client_id: FENIX, scope: `profile ${NEW_SESSION}` }, bob.authorization),
      ),
    );
    const { sessionToken } = await (async () => {
      const redeemed = Promise.all(grants.map((grant) => redeem(grant, { client_id: FENIX })));
      const changed = await changePassword(server, bob, 'another password');
      for (const { status } of await redeemed) expect([200, 400, 401]).toContain(status);
      return changed;
    })();
    const left = await server.db.query(`SELECT id FROM session WHERE uid = $1`, [bob.uid]);
    const { body } = await get(server, 'account/sessions', bearerOf(sessionToken)).expect(200);
    expect(left).toHaveLength((body as unknown[]).length);
    const tokens = `SELECT 1 FROM oidc WHERE payload->>'accountId' = $1 AND model <> 'Grant'`;
    expect(await server.db.query(tokens, [bob.uid])).toEqual([]);
  });
});

describe('a body that is none', () => {
  const routes = ['oauth/authorization', 'oauth/token', 'oauth/destroy', 'oauth/verify'];
  it.each(routes.flatMap((route) => [`/auth/v1/${route}`, `/${route.replace('/', '/v1/')}`]))(
    'is refused at %s, in whatever way it is none',
    async (path) => {
      for (const text of [
        ...['', '{', 'null', '[]', '"x"', '1', '[{"token":"x"}]', '{"token":{}}', '{"token":[]}'],
        ...['{"grant_type":null}', '{"grant_type":["refresh_token"]}', '{"client_id":5}'],
        '{"__proto__":{"grant_type":"refresh_token"}}',
        JSON.stringify({ grant_type: 'refresh_token', client_id: FENIX, refresh_token: {} }),
        JSON.stringify({ grant_type: 'authorization_code', client_id: 'a\u0000', code: 'x' }),
        JSON.stringify({ token: 'x'.repeat(200_000) }),
      ]) {
        const request = server.request().post(path).set('authorization', alice.authorization);
        const { status, body } = await request.type('application/json').send(text);
        // Nothing to destroy is destroyed.
        const isNothing = path.endsWith('destroy') && status === 200;
        const shown = isNothing || status === 413 ? 400 : status;
        expect([path, text.slice(0, 60), shown]).toEqual([path, text.slice(0, 60), 400]);
        if (!isNothing) expect(body).toMatchObject({ code: status, errno: expect.any(Number) });
      }
      const type = 'text/plain';
      const other = await server.request().post(path).type(type).send('grant_type=x');
      expect([400, 401, 415]).toContain(other.status);
    },
  );

  it('is refused as a form wherever forms are not taken', async () => {
    const request = server.request().post('/auth/v1/oauth/authorization').type('form');
    const form = request.set('authorization', alice.authorization).send({ client_id: FIREFOX });
    expect((await form.expect(415)).body.errno).toBe(107);
  });
});

it('decides who ends, refreshes and exchanges one token at once without a fault', async () => {
  const { refresh_token } = await phone('profile:email');
  const exchange = () =>
    askToken({
      ...{ grant_type: EXCHANGE, client_id: FENIX, subject_token: refresh_token },
      ...{ subject_token_type: REFRESH_TYPE, scope: 'profile' },
    });
  const answers = await Promise.all([
    ...Array.from({ length: 4 }, () => refresh(refresh_token)),
    ...Array.from({ length: 4 }, exchange),
    ...Array.from({ length: 2 }, () => destroy({ refresh_token })),
  ]);
  for (const { status } of answers) expect([200, 401]).toContain(status);
  await refresh(refresh_token).expect(401);
});

it('leaves nothing of a grant that is revoked while it is widened', async () => {
  const bob = await anAccount();
  const { refresh_token } = await phone('profile:email', bob.authorization);
  await Promise.all([
    askToken({
      ...{ grant_type: EXCHANGE, client_id: FENIX, subject_token: refresh_token },
      ...{ subject_token_type: REFRESH_TYPE, scope: 'profile' },
    }),
    post(server, 'session/destroy', {}, bob.authorization),
  ]);
  const rows = `SELECT model FROM oidc WHERE payload->>'accountId' = $1`;
  expect(await server.db.query(rows, [bob.uid])).toEqual([]);
});

it('gives an account so many codes, and then says when to come again', async () => {
  const strict = await TestServer.start({ BUDGETS: 'authorize.account=2/60' });
  try {
    const { authorization } = await signUp(strict);
    const ask = () =>
      post(
        strict,
        'oauth/authorization',
        {
          ...{ client_id: FIREFOX, scope: 'profile', state: 'xyz' },
          ...{ code_challenge: pkce().challenge, code_challenge_method: 'S256' },
        },
        authorization,
      );
    await ask().expect(200);
    await ask().expect(200);
    expect((await ask().expect(429)).body).toMatchObject({
      ...{ errno: 114, retryAfter: expect.any(Number) },
    });
  } finally {
    await strict.stop();
  }
});

it('does not ask the sessions of another device', async () => {
  const bob = await anAccount();
  const other = await bob.another();
  const { refresh_token } = await phone('profile', bob.authorization);
  await post(server, 'session/destroy', {}, other).expect(200);
  await refresh(refresh_token).expect(200);
});
