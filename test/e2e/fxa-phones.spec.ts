import { createHash, randomBytes } from 'node:crypto';
import {
  deriveOldSyncKey,
  generateKeysJwk,
  openScopedKeys,
  sealScopedKeys,
  toBase64Url,
} from '#lib/crypto';
import { NEW_SESSION, OLD_SYNC, StorageToken } from '#lib/protocol';
import { type Account, bearerOf, signUp } from '../support/account.ts';
import { hawk, post } from '../support/account-api.ts';
import { storageClient } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const SCOPE = `profile ${OLD_SYNC} ${NEW_SESSION}`;
const SEND_TAB = 'https://identity.mozilla.com/cmd/open-uri';
const text = expect.any(String);

/** Every address that a phone knows comes from these two documents (accounts.md §12). */
async function addresses() {
  const at = (path: string) => server.request().get(`/.well-known/${path}`).expect(200);
  const fxa = (await at('fxa-client-configuration')).body as Record<string, string>;
  const openid = (await at('openid-configuration')).body as Record<string, string>;
  const path = (url = '') => url.slice(server.url.length);
  return {
    auth: `${path(fxa['auth_server_base_url'])}/v1`,
    oauth: `${path(fxa['oauth_server_base_url'])}/v1`,
    token: `${path(fxa['sync_tokenserver_base_url'])}/1.0/sync/1.5`,
    signIn: path(openid['authorization_endpoint']),
    introspection: path(openid['introspection_endpoint']),
    userinfo: path(openid['userinfo_endpoint']),
  };
}

/** The page's part: with kB it seals the key to the phone, and asks for the code. */
async function approve(query: URLSearchParams, account: Account): Promise<string> {
  const asked = Object.fromEntries(query);
  const { body: data } = await post(
    server,
    'account/scoped-key-data',
    { client_id: asked['client_id'], scope: asked['scope'] },
    account.authorization,
  ).expect(200);
  const { k, kid } = deriveOldSyncKey(account.kB, data[OLD_SYNC].keyRotationTimestamp as number);
  const jwk = JSON.parse(Buffer.from(asked['keys_jwk'] ?? '', 'base64url').toString());
  const keys = { [OLD_SYNC]: { kty: 'oct' as const, k: toBase64Url(k), kid, scope: OLD_SYNC } };
  const names = ['client_id', 'scope', 'state', 'access_type', 'response_type', 'redirect_uri'];
  const pkce = ['code_challenge', 'code_challenge_method'];
  const code = Object.fromEntries(
    [...names, ...pkce].flatMap((name) => (asked[name] ? [[name, asked[name]]] : [])),
  );
  const body = { ...code, keys_jwe: await sealScopedKeys(jwk, keys) };
  const answer = await post(server, 'oauth/authorization', body, account.authorization);
  expect([answer.status, answer.body.state]).toEqual([200, asked['state']]);
  return answer.body.code as string;
}

describe.each([
  ['Firefox for Android', 'a2270f727f45f648', {}],
  ['Firefox for iOS', '1b1a3e44c54fbb58', {}],
  ['the reference browser', '3c49430b43dfba77', { redirect: true }],
])('%s', (_, clientId, { redirect = false }: { redirect?: boolean }) => {
  it('signs in by the page, syncs, sends and takes tabs, and leaves', async () => {
    const { auth, oauth, token, signIn, introspection, userinfo } = await addresses();
    const send = (path: string, body: object, authorization?: string) => {
      const request = server.request().post(path).type('application/json');
      return (authorization ? request.set({ authorization }) : request).send(body);
    };
    const get = (path: string, authorization: string) =>
      server.request().get(path).set({ authorization });

    // The sign-in page is where discovery says that authorizations begin.
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const verifier = randomBytes(32).toString('base64url');
    const state = randomBytes(16).toString('base64url');
    const query = new URLSearchParams({
      ...{ action: 'email', response_type: 'code', entrypoint: 'toolbar', client_id: clientId },
      ...{ scope: SCOPE, state, code_challenge_method: 'S256', access_type: 'offline' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      keys_jwk: Buffer.from(JSON.stringify({ ...publicJwk, ext: true })).toString('base64url'),
      ...(redirect
        ? { redirect_uri: `${server.url}/oauth/success/${clientId}` }
        : { context: 'oauth_webchannel_v1' }),
    });
    const begun = await server.request().get(`${signIn}?${query.toString()}`).redirects(0);
    expect(begun.status).toBe(302);
    const page = new URL(begun.headers['location'] as string);
    expect([page.origin, page.pathname]).toEqual([server.url, '/']);
    const code = await approve(page.searchParams, alice);

    const redeemed = await send(`${auth}/oauth/token`, {
      ...{ grant_type: 'authorization_code', client_id: clientId, code, code_verifier: verifier },
    }).expect(200);
    const { access_token, refresh_token, session_token, keys_jwe } = redeemed.body as Record<
      string,
      string
    >;
    expect(redeemed.body).toMatchObject({
      ...{ access_token: text, refresh_token: text, session_token: text, keys_jwe: text },
      ...{ scope: SCOPE, expires_in: expect.any(Number) },
    });
    const keys = await openScopedKeys(keys_jwe ?? '', privateJwk);
    const { kid } = deriveOldSyncKey(alice.kB, Number(keys[OLD_SYNC]?.kid.split('-')[0]));
    expect(keys[OLD_SYNC]?.kid).toBe(kid);
    await send(`${oauth}/destroy`, { token: access_token }).expect(200);

    const tokenFor = async (scope: string) => {
      const { body } = await send(`${auth}/oauth/token`, {
        ...{ grant_type: 'refresh_token', client_id: clientId, refresh_token, scope, ttl: 600 },
      }).expect(200);
      expect(body.scope).toBe(scope);
      return `Bearer ${body.access_token as string}`;
    };
    const profile = await get(userinfo, await tokenFor('profile')).expect(200);
    expect(profile.body).toMatchObject({
      ...{ uid: alice.uid, email: alice.email, avatar: text, avatarDefault: true },
    });

    // From here on it works with the refresh token.
    const bearer = `Bearer ${refresh_token ?? ''}`;
    const { body: device } = await send(
      `${auth}/account/device`,
      { name: 'Alice’s phone', type: 'mobile', availableCommands: { [SEND_TAB]: 'keys' } },
      bearer,
    ).expect(200);
    expect(device).toMatchObject({ id: text, name: 'Alice’s phone', pushEndpointExpired: false });
    const { body: devices } = await get(
      `${auth}/account/devices?filterIdleDevicesTimestamp=${server.clock.now().getTime() - 60_000}`,
      bearer,
    ).expect(200);
    expect(devices.filter((each: { isCurrentDevice: boolean }) => each.isCurrentDevice)).toEqual([
      expect.objectContaining({ id: device.id, availableCommands: { [SEND_TAB]: 'keys' } }),
    ]);
    await send(
      `${auth}/account/devices/invoke_command`,
      { command: SEND_TAB, target: device.id, payload: { encrypted: 'tab' } },
      alice.authorization,
    ).expect(200);
    const { body: sent } = await get(`${auth}/account/device/commands?index=1`, bearer).expect(200);
    expect(sent).toMatchObject({
      index: 1,
      messages: [{ data: { payload: { encrypted: 'tab' } } }],
    });

    // And, where a session is needed, with the one it brought along, signed or not.
    const path = 'account/attached_clients';
    const header = await hawk(server, { token: session_token ?? '', path });
    const { body: clients } = await get(`${auth}/${path}`, header).expect(200);
    expect(clients.filter((each: { isCurrentSession: boolean }) => each.isCurrentSession)).toEqual([
      expect.objectContaining({ clientId, deviceId: device.id, name: 'Alice’s phone' }),
    ]);

    const visit = await get(token, await tokenFor(OLD_SYNC))
      .set('x-keyid', kid)
      .expect(200);
    expect(visit.headers['x-timestamp']).toBeDefined();
    const { id, key, uid } = StorageToken.parse(visit.body);
    const seconds = () => server.clock.seconds();
    const store = storageClient({ url: server.url, id, key, uid, seconds });
    const written = await store.put('/storage/tabs/phone', { payload: 'x' });
    expect([written.status, written.headers['x-last-modified']]).toEqual([200, text]);

    const status = { token_type_hint: 'refresh_token', token: refresh_token };
    expect((await send(introspection, status).expect(200)).body.active).toBe(true);

    // It leaves: first the device, then the token.
    await send(`${auth}/account/device/destroy`, { id: device.id }, bearer).expect(200);
    await send(`${oauth}/destroy`, { refresh_token }).expect(200);
    expect((await send(introspection, status).expect(200)).body).toEqual({ active: false });
    const gone = await get(`${auth}/account/devices`, bearer).expect(401);
    expect(gone.body).toMatchObject({ code: 401, errno: 110 });
    await get(`${auth}/session/status`, bearerOf(session_token ?? '')).expect(401);
    await get(`${auth}/session/status`, alice.authorization).expect(200);
  });
});

it('leads only browsers from the standard’s address to the page, and nobody elsewhere', async () => {
  const begin = (query: string) => server.request().get(`/oauth2/authorize?${query}`).redirects(0);
  const evil = encodeURIComponent('https://evil.example/');
  const browser = await begin(`client_id=a2270f727f45f648&redirect_uri=${evil}&next=${evil}`);
  expect(new URL(browser.headers['location'] as string).origin).toBe(server.url);
  for (const query of ['', 'client_id=nobody', 'client_id=%00', `redirect_uri=${evil}`]) {
    const answer = await begin(query);
    expect([answer.status, answer.headers['location']]).toEqual([400, undefined]);
  }
  const twice = await begin('client_id=a2270f727f45f648&client_id=a2270f727f45f648');
  expect(twice.status).toBe(400);
});
