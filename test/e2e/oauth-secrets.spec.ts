import { audiences } from '#lib/protocol';
import { type Account, askToken, authorize, exchange, signUp } from '../support/account.ts';
import { addApp, basic, type TestApp } from '../support/apps.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
let shop: TestApp;
let post: TestApp;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  shop = await addApp(server, { token_endpoint_auth_method: 'client_secret_basic' });
  post = await addApp(server, { token_endpoint_auth_method: 'client_secret_post' });
});
afterAll(() => server.stop());

const form = async ({ clientId, redirectUri }: TestApp) => {
  const asked = { clientId, redirectUri, scope: 'keys:read', resource: audiences.keys };
  const { code, verifier } = await authorize(server, alice, asked);
  return {
    ...{ grant_type: 'authorization_code', code, code_verifier: verifier },
    redirect_uri: redirectUri,
  };
};
const ask = (body: object, authorization: string) =>
  server
    .request()
    .post('/oauth2/token')
    .type('form')
    .set('authorization', authorization)
    .send(body);

describe('an app with a secret', () => {
  it('proves to be itself by Basic, or in the form', async () => {
    await ask(await form(shop), basic(shop)).expect(200);
    const secret = { client_id: post.clientId, client_secret: post.secret };
    await askToken(server, { ...(await form(post)), ...secret }).expect(200);
  });

  it('takes either way, whichever it was registered with', async () => {
    const secret = { client_id: shop.clientId, client_secret: shop.secret };
    await askToken(server, { ...(await form(shop)), ...secret }).expect(200);
  });

  it('is refused without the secret, with a wrong one, and with another app’s', async () => {
    const body = await form(shop);
    const bare = { ...body, client_id: shop.clientId };
    expect((await askToken(server, bare).expect(401)).body.error).toBe('invalid_client');
    for (const secret of ['wrong', post.secret, 'hashed', '']) {
      const { status } = await ask(body, basic({ ...shop, secret }));
      expect([400, 401]).toContain(status);
    }
    const twice = { ...body, client_id: shop.clientId, client_secret: shop.secret };
    await ask(twice, basic(shop)).expect(400);
    await ask(body, basic(shop)).expect(200);
  });

  it('is refused with the hash of its secret, which the database has', async () => {
    const [{ secrets }] = await server.db.query(`SELECT secrets FROM oauth_client WHERE id = $1`, [
      shop.clientId,
    ]);
    expect(JSON.stringify(secrets)).not.toContain(shop.secret);
    await ask(await form(shop), basic({ ...shop, secret: secrets[0].sha256 })).expect(401);
  });

  it('has two while one takes over from the other, and then one', async () => {
    const next = await addApp(server, { token_endpoint_auth_method: 'client_secret_basic' });
    const until = server.clock.seconds() + 3600;
    await server.db.query(
      `UPDATE oauth_client SET secrets = (
         SELECT n.secrets || jsonb_build_array(
           (oauth_client.secrets->0) || jsonb_build_object('expires_at', $3::int))
           FROM oauth_client n WHERE n.id = $2) WHERE id = $1`,
      [shop.clientId, next.clientId, until],
    );
    const renewed = { ...shop, secret: next.secret };
    await ask(await form(shop), basic(shop)).expect(200);
    await ask(await form(shop), basic(renewed)).expect(200);
    server.clock.advance(3601);
    await ask(await form(shop), basic(shop)).expect(401);
    await ask(await form(shop), basic(renewed)).expect(200);
    shop = renewed;
  });

  it('cannot do without PKCE, either', async () => {
    const asked = { clientId: shop.clientId, redirectUri: shop.redirectUri, scope: 'openid' };
    const { verifier, ...authorized } = await authorize(server, alice, asked);
    const { code, redirectUri } = authorized;
    const body = { grant_type: 'authorization_code', code, redirect_uri: redirectUri };
    await ask(body, basic(shop)).expect(400);
    await ask({ ...body, code_verifier: `${verifier}x` }, basic(shop)).expect(400);
    await ask({ ...body, code_verifier: verifier }, basic(shop)).expect(200);
  });

  it('is no public app: a code of it is worth nothing without the secret', async () => {
    const asked = { clientId: shop.clientId, redirectUri: shop.redirectUri, scope: 'openid' };
    await exchange(server, await authorize(server, alice, asked)).expect(401);
  });

  it('cannot sign an assertion instead', async () => {
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { iss: shop.clientId, sub: shop.clientId, aud: server.url, jti: 'a' };
    for (const alg of ['none', 'HS256', 'ES256']) {
      const assertion = {
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion: `${encode({ alg })}.${encode(claims)}.${alg === 'none' ? '' : 'AAAA'}`,
      };
      const body = { ...(await form(shop)), client_id: shop.clientId, ...assertion };
      expect((await askToken(server, body).expect(401)).body.error).toBe('invalid_client');
    }
  });
});
