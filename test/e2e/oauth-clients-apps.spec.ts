import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { DEVICE_GRANT } from '#lib/protocol';
import { type Account, passPage, signUp } from '../support/account.ts';
import { addApp, type TestApp } from '../support/apps.ts';
import { answerDevice } from '../support/device.ts';
import { TestServer } from '../support/test-server.ts';
import { Transcript } from '../support/transcript.ts';

/*
 * What the two client libraries do as apps that are registered: with secrets, on devices, with tokens that are
 * bound to a key, and at APIs of their own. What they say stands in docs/protocol/oauth-transcripts.md.
 */
const API = 'https://api.app.example/v1';
const REDIRECT_URI = 'http://127.0.0.1:42428/callback';

let server: TestServer;
let alice: Account;
let open: TestApp;
let secret: TestApp;
let posting: TestApp;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  const grants = ['authorization_code', 'refresh_token', DEVICE_GRANT];
  open = await addApp(server, {
    ...{ application_type: 'native', redirect_uris: ['http://127.0.0.1/callback'] },
    ...{ grant_types: grants, resources: [API] },
  });
  secret = await addApp(server, {
    token_endpoint_auth_method: 'client_secret_basic',
    resources: [API],
  });
  posting = await addApp(server, { token_endpoint_auth_method: 'client_secret_post' });
});
afterAll(() => server.stop());

describe('openid-client', () => {
  const transcript = new Transcript('openid-client, registered apps');
  afterAll(() => transcript.compare());

  const discover = (app: TestApp, authentication: openid.ClientAuth) =>
    openid.discovery(new URL(server.url), app.clientId, undefined, authentication, {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
      execute: [openid.allowInsecureRequests],
      [openid.customFetch]: transcript.fetch,
    });
  const signIn = async (
    config: openid.Configuration,
    more: Record<string, string> & { redirect_uri: string },
    dpop?: openid.DPoPHandle,
  ) => {
    const [verifier, state] = [openid.randomPKCECodeVerifier(), openid.randomState()];
    const url = openid.buildAuthorizationUrl(config, {
      ...{ scope: 'openid profile', state, ...more },
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const back = await passPage(server, alice, url);
    const checks = { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true };
    const { resource } = more;
    const parameters = new URLSearchParams(resource === undefined ? {} : { resource });
    return openid.authorizationCodeGrant(config, back, checks, parameters, dpop && { DPoP: dpop });
  };

  it('lets a device in, and waits as it is told', async () => {
    transcript.part('device grant');
    const config = await discover(open, openid.None());
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid profile' });
    expect(asked.verification_uri_complete).toContain(asked.user_code);
    const answered = { account: alice, userCode: asked.user_code };
    expect((await answerDevice(server, answered)).status).toBe(200);
    // The library waits before it asks; here nobody needs to.
    const tokens = await openid.pollDeviceAuthorizationGrant(config, { ...asked, interval: 0 });
    expect(tokens.claims()).toMatchObject({ sub: alice.uid, aud: open.clientId });
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
  });

  it('is told that the person refused', async () => {
    const config = await discover(open, openid.None());
    const asked = await openid.initiateDeviceAuthorization(config, { scope: 'openid' });
    await answerDevice(server, { account: alice, userCode: asked.user_code, consent: false });
    const refused = openid.pollDeviceAuthorizationGrant(config, { ...asked, interval: 0 });
    await expect(refused).rejects.toMatchObject({ error: 'access_denied' });
  });

  it.each([
    ['basic', () => [secret, openid.ClientSecretBasic] as const],
    ['post', () => [posting, openid.ClientSecretPost] as const],
  ])('has a secret, by %s', async (name, choose) => {
    transcript.part(`client secret, ${name}`);
    const [app, method] = choose();
    const config = await discover(app, method(app.secret));
    const tokens = await signIn(config, { redirect_uri: app.redirectUri });
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(await openid.tokenIntrospection(config, next.access_token)).toMatchObject({
      active: true,
    });
    const wrong = await discover(app, method('wrong'));
    const refused = await openid
      .refreshTokenGrant(wrong, next.refresh_token ?? '')
      .catch((error: unknown) => (error as { status?: number }).status);
    expect(refused).toBe(401);
    await openid.tokenRevocation(config, next.refresh_token ?? '');
  });

  it('binds its tokens to a key, refreshes them with it, and has a JWT for its API', async () => {
    transcript.part('DPoP, and a JWT by resource');
    const config = await discover(open, openid.None());
    const dpop = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
    const asked = { redirect_uri: REDIRECT_URI, resource: API };
    const tokens = await signIn(config, asked, dpop);
    expect(tokens.token_type).toBe('dpop');
    const { refresh_token: token = '' } = tokens;
    const other = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'));
    const stolen = openid.refreshTokenGrant(config, token, { resource: API }, { DPoP: other });
    await expect(stolen).rejects.toMatchObject({ error: 'invalid_grant' });
    // Who tried with another key has not used it up.
    const next = await openid.refreshTokenGrant(config, token, { resource: API }, { DPoP: dpop });
    expect(next.token_type).toBe('dpop');
    expect(next.refresh_token).not.toBe(token);
    const bound = await signIn(config, { redirect_uri: REDIRECT_URI }, dpop);
    const options = { DPoP: dpop };
    const info = await openid.fetchUserInfo(config, bound.access_token, alice.uid, options);
    expect(info.sub).toBe(alice.uid);
    const alone = openid.fetchUserInfo(config, bound.access_token, alice.uid);
    await expect(alone).rejects.toThrow();
  });
});

describe('oauth4webapi', () => {
  const transcript = new Transcript('oauth4webapi, registered apps');
  const options = {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: transcript.fetch,
  };
  let authority: oauth.AuthorizationServer;
  beforeAll(async () => {
    const issuer = new URL(server.url);
    const response = await oauth.discoveryRequest(issuer, options);
    authority = await oauth.processDiscoveryResponse(issuer, response);
  });
  afterAll(() => transcript.compare());

  it('lets a device in', async () => {
    transcript.part('device grant');
    const client = { client_id: open.clientId };
    const parameters = new URLSearchParams({ scope: 'openid profile' });
    const asked = await oauth.processDeviceAuthorizationResponse(
      ...([authority, client] as const),
      await oauth.deviceAuthorizationRequest(
        ...([authority, client, oauth.None(), parameters, options] as const),
      ),
    );
    const poll = async () => {
      const { device_code: code } = asked;
      const response = await oauth.deviceCodeGrantRequest(
        ...([authority, client, oauth.None(), code, options] as const),
      );
      return oauth.processDeviceCodeResponse(authority, client, response);
    };
    await expect(poll()).rejects.toMatchObject({ error: 'authorization_pending' });
    await answerDevice(server, { account: alice, userCode: asked.user_code });
    server.clock.advance(5);
    expect(oauth.getValidatedIdTokenClaims(await poll())).toMatchObject({ sub: alice.uid });
  });

  it('has a JWT for its API, bound to its key, which the API checks and asks about', async () => {
    transcript.part('JWT by resource, DPoP, introspection by the API');
    const client: oauth.Client = { client_id: open.clientId };
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
    const verifier = oauth.generateRandomCodeVerifier();
    const url = new URL(authority.authorization_endpoint ?? '');
    url.search = new URLSearchParams({
      ...{ client_id: open.clientId, response_type: 'code', redirect_uri: REDIRECT_URI },
      ...{ scope: 'openid profile', resource: API, code_challenge_method: 'S256' },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    }).toString();
    const back = await passPage(server, alice, url);
    const response = await oauth.authorizationCodeGrantRequest(
      ...([authority, client, oauth.None()] as const),
      oauth.validateAuthResponse(authority, client, back),
      ...([REDIRECT_URI, verifier] as const),
      { ...options, DPoP, additionalParameters: { resource: API } },
    );
    const tokens = await oauth.processAuthorizationCodeResponse(authority, client, response);
    expect(tokens.token_type).toBe('dpop');

    // The API, written with the same library.
    const requests: Request[] = [];
    await oauth.protectedResourceRequest(
      ...([tokens.access_token, 'GET', new URL(`${API}/me`)] as const),
      ...([undefined, undefined] as const),
      {
        ...options,
        DPoP,
        [oauth.customFetch]: (address, init) => {
          requests.push(new Request(address, init as RequestInit));
          return Promise.resolve(new Response());
        },
      },
    );
    const [request = new Request(API)] = requests;
    const claims = await oauth.validateJwtAccessToken(authority, request, API, options);
    expect(claims).toMatchObject({ sub: alice.uid, aud: API, client_id: open.clientId });
    const wrong = oauth.validateJwtAccessToken(
      authority,
      request,
      'https://other.example',
      options,
    );
    await expect(wrong).rejects.toThrow();

    const api = { client_id: secret.clientId };
    const introspect = async () => {
      const answer = await oauth.introspectionRequest(
        ...([authority, api, oauth.ClientSecretBasic(secret.secret)] as const),
        ...([tokens.access_token, options] as const),
      );
      return oauth.processIntrospectionResponse(authority, api, answer);
    };
    expect(await introspect()).toMatchObject({ active: true, sub: alice.uid, aud: API });
    const { refresh_token: token = '' } = tokens;
    await oauth.processRevocationResponse(
      await oauth.revocationRequest(authority, client, oauth.None(), token, options),
    );
    expect(await introspect()).toEqual({ active: false });
  });
});
