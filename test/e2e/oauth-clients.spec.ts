import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import * as oauth from 'oauth4webapi';
import * as openid from 'openid-client';
import { audiences } from '#lib/protocol';
import { type Account, passPage, signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';
import { Transcript } from '../support/transcript.ts';

/*
 * Two client libraries that know nothing of us but the address: everything else they discover. What
 * they say stands in docs/protocol/oauth-transcripts.md.
 */
const REDIRECT_URI = 'http://127.0.0.1:42426/callback';
const CLIENT_ID = 'demo-app';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

describe('openid-client', () => {
  const transcript = new Transcript('openid-client');
  let config: openid.Configuration;
  afterAll(() => transcript.compare());

  /** Asks with everything that the library can check, and comes back to where the app is sent. */
  const ask = async (more: Record<string, string> = {}, isPushed = false) => {
    const [verifier, state, nonce] = [
      openid.randomPKCECodeVerifier(),
      openid.randomState(),
      openid.randomNonce(),
    ];
    const parameters = {
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile',
      ...{ state, nonce },
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    };
    const url = isPushed
      ? await openid.buildAuthorizationUrlWithPAR(config, parameters)
      : openid.buildAuthorizationUrl(config, parameters);
    const back = await passPage(server, alice, url);
    const checks = { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce };
    return { url, back, checks: { ...checks, idTokenExpected: true } };
  };

  it('discovers everything by the issuer alone', async () => {
    transcript.part('discovery');
    config = await openid.discovery(new URL(server.url), CLIENT_ID, undefined, openid.None(), {
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
      execute: [openid.allowInsecureRequests],
      [openid.customFetch]: transcript.fetch,
    });
    const found = config.serverMetadata();
    expect(found).toMatchObject({
      issuer: server.url,
      authorization_response_iss_parameter_supported: true,
      code_challenge_methods_supported: ['S256'],
    });
    const named = Object.entries(found).filter(([name]) => /_(?:endpoint|uri)$/.test(name));
    for (const [, url] of named) expect(url).toMatch(new RegExp(`^${server.url}/oauth2/`));
    expect(named.map(([name]) => name)).toEqual(
      expect.arrayContaining([
        ...['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint'],
        ...['introspection_endpoint', 'revocation_endpoint'],
        'pushed_authorization_request_endpoint',
      ]),
    );
  });

  it('gets a code with PKCE, validates the ID token, and reads who it is', async () => {
    transcript.part('code with PKCE, ID token, userinfo');
    openid.enableNonRepudiationChecks(config); // the signature, too, though TLS would vouch for it
    const { back, checks } = await ask();
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    expect(tokens.claims()).toMatchObject({ iss: server.url, aud: CLIENT_ID, sub: alice.uid });
    const info = await openid.fetchUserInfo(config, tokens.access_token, alice.uid);
    expect(info).toMatchObject({ sub: alice.uid, email: alice.email, email_verified: true });
  });

  it('pushes its request beforehand', async () => {
    transcript.part('pushed request');
    const { url, back, checks } = await ask({}, true);
    expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'request_uri']);
    const { access_token: token } = await openid.authorizationCodeGrant(config, back, checks);
    await openid.fetchUserInfo(config, token, alice.uid);
  });

  it('refreshes, and an old refresh token ends what came of it', async () => {
    transcript.part('rotation and reuse');
    const { back, checks } = await ask();
    const { refresh_token: first = '' } = await openid.authorizationCodeGrant(config, back, checks);
    const second = await openid.refreshTokenGrant(config, first);
    expect(second.claims()).toMatchObject({ sub: alice.uid });
    expect(second.refresh_token).not.toBe(first);
    const refused = { error: 'invalid_grant' };
    await expect(openid.refreshTokenGrant(config, first)).rejects.toMatchObject(refused);
    const next = openid.refreshTokenGrant(config, second.refresh_token ?? '');
    await expect(next).rejects.toMatchObject(refused);
    const told = await openid.tokenIntrospection(config, second.access_token);
    expect(told).toEqual({ active: false });
  });

  it('asks what its token is good for, and ends it', async () => {
    transcript.part('introspection and revocation');
    const resource = audiences.files;
    const { back, checks } = await ask({ scope: 'openid files', resource });
    const tokens = await openid.authorizationCodeGrant(config, back, checks, { resource });
    const told = await openid.tokenIntrospection(config, tokens.access_token);
    expect(told).toMatchObject({
      ...{ active: true, client_id: CLIENT_ID, sub: alice.uid },
      ...{ aud: resource, scope: 'files', iss: server.url },
    });
    await openid.tokenRevocation(config, tokens.access_token);
    expect(await openid.tokenIntrospection(config, tokens.access_token)).toEqual({ active: false });
    await openid.refreshTokenGrant(config, tokens.refresh_token ?? '', { resource });
  });

  it('takes no answer of another authorization, or of another server', async () => {
    const { back, checks } = await ask();
    const refused = async (at: URL, change: object) => {
      const answer = openid.authorizationCodeGrant(config, at, { ...checks, ...change });
      return answer.catch((error: unknown) => ((error as Error).cause as Error).message);
    };
    const elsewhere = new URL(back);
    elsewhere.searchParams.set('iss', 'https://another.example');
    expect(await refused(back, { expectedState: openid.randomState() })).toContain('"state"');
    expect(await refused(elsewhere, {})).toContain('"iss"');
    expect(await refused(back, { expectedNonce: openid.randomNonce() })).toContain('"nonce"');
  });
});

describe('oauth4webapi', () => {
  const transcript = new Transcript('oauth4webapi');
  const client: oauth.Client = { client_id: CLIENT_ID };
  const none = oauth.None();
  const options = {
    // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
    [oauth.allowInsecureRequests]: true,
    [oauth.customFetch]: transcript.fetch,
  };
  let authority: oauth.AuthorizationServer;
  afterAll(() => transcript.compare());

  const ask = async (more: Record<string, string> = {}) => {
    const [verifier, state, nonce] = [
      oauth.generateRandomCodeVerifier(),
      oauth.generateRandomState(),
      oauth.generateRandomNonce(),
    ];
    const parameters = new URLSearchParams({
      client_id: CLIENT_ID,
      response_type: 'code',
      redirect_uri: REDIRECT_URI,
      scope: 'openid profile',
      ...{ state, nonce },
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...more,
    });
    return { verifier, state, nonce, parameters };
  };
  const walk = async (parameters: URLSearchParams) => {
    const url = new URL(authority.authorization_endpoint ?? '');
    url.search = parameters.toString();
    return passPage(server, alice, url);
  };
  const exchange = async (asked: Awaited<ReturnType<typeof ask>>, back: URL, resource?: string) => {
    const answer = oauth.validateAuthResponse(authority, client, back, asked.state);
    const response = await oauth.authorizationCodeGrantRequest(
      ...([authority, client, none, answer, REDIRECT_URI, asked.verifier] as const),
      { ...options, ...(resource !== undefined && { additionalParameters: { resource } }) },
    );
    const tokens = await oauth.processAuthorizationCodeResponse(
      ...([authority, client, response] as const),
      { expectedNonce: asked.nonce, requireIdToken: true },
    );
    await oauth.validateApplicationLevelSignature(authority, response, options);
    return tokens;
  };

  it.each(['oidc', 'oauth2'] as const)('discovers as %s', async (algorithm) => {
    transcript.part(`discovery, ${algorithm}`);
    const issuer = new URL(server.url);
    const response = await oauth.discoveryRequest(issuer, { ...options, algorithm });
    authority = await oauth.processDiscoveryResponse(issuer, response);
    expect(authority.issuer).toBe(server.url);
  });

  it('gets a code with PKCE, validates the ID token by the keys, and reads who it is', async () => {
    transcript.part('code with PKCE, ID token, userinfo');
    const asked = await ask();
    const tokens = await exchange(asked, await walk(asked.parameters));
    expect(oauth.getValidatedIdTokenClaims(tokens)).toMatchObject({ sub: alice.uid });
    const response = await oauth.userInfoRequest(authority, client, tokens.access_token, options);
    const info = await oauth.processUserInfoResponse(authority, client, alice.uid, response);
    expect(info).toMatchObject({ email: alice.email });
  });

  it('finds the key of the ID token among those published', async () => {
    const asked = await ask();
    const { id_token: idToken = '' } = await exchange(asked, await walk(asked.parameters));
    const response = await transcript.fetch(authority.jwks_uri ?? '');
    const keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
    const { protectedHeader } = await jwtVerify(idToken, keys, {
      ...{ issuer: server.url, audience: CLIENT_ID },
      algorithms: ['ES256'],
    });
    expect(protectedHeader.kid).toEqual(expect.any(String));
  });

  it('pushes its request beforehand', async () => {
    transcript.part('pushed request');
    const asked = await ask();
    const pushed = await oauth.processPushedAuthorizationResponse(
      ...([authority, client] as const),
      await oauth.pushedAuthorizationRequest(authority, client, none, asked.parameters, options),
    );
    const { request_uri } = pushed;
    const back = await walk(new URLSearchParams({ client_id: CLIENT_ID, request_uri }));
    expect((await exchange(asked, back)).token_type).toBe('bearer');
  });

  it('refreshes for one API after the other', async () => {
    transcript.part('resources and rotation');
    const asked = await ask({ scope: 'openid files keys:read', resource: audiences.files });
    asked.parameters.append('resource', audiences.keys);
    const first = await exchange(asked, await walk(asked.parameters), audiences.files);
    expect(first.scope).toBe('files');
    const refresh = async (token = '') => {
      const response = await oauth.refreshTokenGrantRequest(authority, client, none, token, {
        ...options,
        additionalParameters: { resource: audiences.keys },
      });
      return oauth.processRefreshTokenResponse(authority, client, response);
    };
    const second = await refresh(first.refresh_token);
    expect(second.scope).toBe('keys:read');
    await expect(refresh(first.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' });
    await expect(refresh(second.refresh_token)).rejects.toMatchObject({ error: 'invalid_grant' });
  });

  it('asks what its token is good for, and ends it', async () => {
    transcript.part('introspection and revocation');
    const asked = await ask();
    const tokens = await exchange(asked, await walk(asked.parameters));
    const introspect = async () => {
      const { refresh_token: token = '' } = tokens;
      const response = await oauth.introspectionRequest(authority, client, none, token, options);
      return oauth.processIntrospectionResponse(authority, client, response);
    };
    expect(await introspect()).toMatchObject({ active: true, sub: alice.uid });
    const { refresh_token: token = '' } = tokens;
    const response = await oauth.revocationRequest(authority, client, none, token, options);
    await oauth.processRevocationResponse(response);
    expect(await introspect()).toEqual({ active: false });
  });

  it('cannot redeem a code that it injects: PKCE', async () => {
    const [stolen, own] = [await ask(), await ask()];
    const back = await walk(stolen.parameters);
    // The attacker's client gets the victim's code into an authorization of its own.
    back.searchParams.set('state', own.state);
    await expect(exchange(own, back)).rejects.toMatchObject({ error: 'invalid_grant' });
  });
});
