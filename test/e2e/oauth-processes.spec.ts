import { type Account, askToken, signUp, tokenFor } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

let one: TestServer;
let other: TestServer;
let alice: Account;
beforeAll(async () => {
  one = await TestServer.start();
  other = await one.another();
  alice = await signUp(one);
});
afterAll(async () => {
  await other.stop();
  await one.stop();
});

/** 404 is a yes, for an account without keys. */
const tryKeys = (server: TestServer, token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);

describe('two processes on one database', () => {
  it('take the tokens of each other, and refuse at once what the other one revoked', async () => {
    const { access_token: token } = await tokenFor(one, alice, { scope: 'keys:read' });
    await tryKeys(other, token).expect(404);
    await tryKeys(one, token).expect(404);
    const form = { token, client_id: 'demo-app' };
    await other.request().post('/oauth2/revoke').type('form').send(form).expect(200);
    await tryKeys(one, token).expect(401);
    await tryKeys(other, token).expect(401);
  });

  it('end what a session gave in both, wherever somebody signs out', async () => {
    const bob = await signUp(one);
    const { access_token: token, refresh_token: next = '' } = await tokenFor(one, bob, {
      scope: 'keys:read',
    });
    await tryKeys(other, token).expect(404);
    await other
      .request()
      .post('/auth/v1/session/destroy')
      .set('authorization', bob.authorization)
      .send({})
      .expect(200);
    await tryKeys(one, token).expect(401);
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: next };
    await askToken(one, form).expect(400);
  });

  it('decide between them who redeems a refresh token: never both', async () => {
    const { refresh_token: next = '' } = await tokenFor(one, alice, { scope: 'keys:read' });
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: next };
    const servers = [one, other, one, other, one, other];
    const all = await Promise.all(servers.map((server) => askToken(server, form)));
    expect(all.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    for (const { body } of all) {
      if (body.access_token) await tryKeys(one, body.access_token).expect(401);
    }
  });
});
