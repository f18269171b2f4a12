import * as oauth from 'oauth4webapi';
import { AuthorityService } from '../../apps/server/src/oauth/authority.service.ts';
import { audiences } from '#lib/protocol';
import { type Account, authorizationUrl, passPage, signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

it('takes a request that the app pushed beforehand, once', async () => {
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
  const insecure = { [oauth.allowInsecureRequests]: true };
  const issuer = new URL(server.url);
  const found = await oauth.discoveryRequest(issuer, { ...insecure, algorithm: 'oauth2' });
  const authority = await oauth.processDiscoveryResponse(issuer, found);
  const client = { client_id: 'demo-app' };
  const redirectUri = 'http://127.0.0.1:42425/callback';
  const verifier = oauth.generateRandomCodeVerifier();
  const parameters = new URLSearchParams({
    response_type: 'code',
    redirect_uri: redirectUri,
    scope: 'files files:write',
    resource: audiences.files,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
  });
  const pushed = await oauth.processPushedAuthorizationResponse(
    authority,
    client,
    await oauth.pushedAuthorizationRequest(authority, client, oauth.None(), parameters, insecure),
  );
  const url = new URL(authority.authorization_endpoint ?? '');
  url.search = new URLSearchParams({ ...client, request_uri: pushed.request_uri }).toString();
  const back = oauth.validateAuthResponse(authority, client, await passPage(server, alice, url));
  const answer = await oauth.authorizationCodeGrantRequest(
    authority,
    client,
    oauth.None(),
    back,
    redirectUri,
    verifier,
    insecure,
  );
  const tokens = await oauth.processAuthorizationCodeResponse(authority, client, answer);
  expect(tokens).toMatchObject({ scope: 'files files:write', expires_in: 3600 });
  await expect(passPage(server, alice, url)).rejects.toThrow('No page');
});

it('keeps nothing that expired', async () => {
  server.clock.advance(401 * 86_400);
  await server.app.get(AuthorityService).purge();
  expect(await server.db.query(`SELECT model FROM oidc`)).toEqual([]);
});

it('lets a network ask only so often, pushed or not, in whatever spelling', async () => {
  const strict = await TestServer.start({
    BUDGETS: 'all=1000000/60,authorize.client=4/600',
    TRUSTED_PROXIES: '127.0.0.1,::1',
  });
  try {
    const asked = authorizationUrl(strict, { scope: 'keys:read' }).url;
    const { pathname, search } = asked;
    const from = (address: string, method: 'get' | 'head' | 'post', path: string) =>
      strict.request()[method](path).set('x-forwarded-for', address);
    const push = (address: string) =>
      from(address, 'post', '/oauth2/par').type('form').send(search.slice(1));
    await push('192.0.2.1').expect(201);
    await from('192.0.2.1', 'get', `${pathname}${search}`).expect(303);
    await from('192.0.2.1', 'get', `${pathname}${search}`).expect(303);
    await push('192.0.2.1').expect(201);
    const { body, headers } = await push('192.0.2.1').expect(429);
    expect(body.error).toBe('too_many_requests');
    expect(Number(headers['retry-after'])).toBeGreaterThan(0);
    await from('192.0.2.1', 'get', `${pathname}${search}`).expect(429);
    await from('192.0.2.1', 'head', `${pathname}${search}`).expect(429);
    await from('192.0.2.1', 'post', pathname).type('form').send(search.slice(1)).expect(404);
    const others = [
      `${pathname}/`,
      pathname.replace('a', '%61'),
      `/${pathname}`,
      '/OAUTH2/authorize',
    ];
    for (const path of others) {
      const { status } = await from('192.0.2.1', 'get', `${path}${search}`);
      expect([404, 429]).toContain(status);
    }
    const rows = await strict.db.query(
      `SELECT model, count(*)::int AS count FROM oidc GROUP BY model ORDER BY model`,
    );
    expect(rows).toEqual([
      { model: 'Interaction', count: 2 },
      { model: 'PushedAuthorizationRequest', count: 2 },
    ]);
    await push('192.0.2.2').expect(201);
  } finally {
    await strict.stop();
  }
});
