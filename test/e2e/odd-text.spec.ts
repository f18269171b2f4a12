import { type Account, authorizationUrl, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

/** What PostgreSQL keeps in no text. */
const NUL = '\u0000';

describe('U+0000, which no table holds,', () => {
  it.each<[string, object]>([
    ['oauth/token', { grant_type: 'fxa-credentials', client_id: NUL, scope: 'storage' }],
    ['account/scoped-key-data', { client_id: `demo-app${NUL}`, scope: 'app_key' }],
  ])('names no app at %s', async (path, body) => {
    const answer = await post(server, path, body, alice.authorization).expect(400);
    expect(answer.body.errno).toBe(162);
  });

  it.each(['authorize', 'par', 'token', 'revoke', 'introspect'])(
    'names no app at /oauth2/%s',
    async (path) => {
      const { url } = authorizationUrl(server, { scope: 'files' });
      url.searchParams.set('client_id', NUL);
      url.searchParams.set('grant_type', 'authorization_code');
      const address = `/oauth2/${path}`;
      const answer =
        path === 'authorize'
          ? await server.request().get(address + url.search)
          : await server.request().post(address).type('form').send(url.search.slice(1));
      expect([400, 401]).toContain(answer.status);
      expect(answer.text).toContain('invalid_client');
    },
  );

  it.each(['state', 'nonce', 'login_hint', 'ui_locales', 'acr_values', 'display'])(
    'is refused in the %s of an authorization, of which nothing is kept',
    async (name) => {
      const { url } = authorizationUrl(server, { scope: 'openid' });
      url.searchParams.set(name, `a${NUL}b`);
      const kept = () => server.db.query(`SELECT count(*) FROM oidc`);
      const before = await kept();
      const answer = await server.request().get(url.pathname + url.search);
      expect(answer.status).toBe(400);
      expect(answer.body.error).toBe('invalid_request');
      expect(answer.headers['cache-control']).toBe('no-store');
      expect(await kept()).toEqual(before);
    },
  );
});
