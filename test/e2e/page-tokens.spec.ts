import { APP_KEY, PageToken } from '#lib/protocol';
import { type Account, authorize, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp } from '../support/apps.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

describe('POST /auth/v1/account/connected_apps/token', () => {
  let server: TestServer;
  let alice: Account;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  beforeEach(async () => {
    alice = await signUp(server);
  });
  afterAll(() => server.stop());

  const letIn = (scope: string) => authorize(server, alice, { scope });
  const ask = (api: string, clientId = 'demo-app', by = alice.authorization) =>
    post(server, 'account/connected_apps/token', { client_id: clientId, api }, by);
  const me = (token: string) =>
    server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);

  it('gives what the account let the app do at this API, for five minutes', async () => {
    await letIn('keys:read storage');
    const { body } = await ask('keys').expect(200).expect('cache-control', 'no-store');
    expect(body).toEqual({ access_token: expect.any(String), expires_in: 300, scope: 'keys:read' });
    const { access_token: token } = PageToken.parse(body);
    await me(token).expect(404); // nothing is published, but it was let in
    const put = server.request().put('/keys/v1/me').set('authorization', `Bearer ${token}`);
    await put.send({}).expect(403);
    const files = server.request().get('/files/v1/').set('authorization', `Bearer ${token}`);
    expect((await files).status).not.toBe(200);
    server.clock.advance(301_000);
    await me(token).expect(401);
  });

  it('gives nothing for an app that was not let in, or not to this API', async () => {
    await ask('keys').expect(400);
    await letIn('keys:read');
    await ask('storage').expect(400);
    await ask('keys', 'no-such-app').expect(400);
    const { clientId } = await addApp(server, { client_name: 'Other', scope: `openid ${APP_KEY}` });
    await ask('keys', clientId).expect(400);
    await ask('files').expect(400);
  });

  it('wants a session in which the password was just given', async () => {
    await letIn('keys:read');
    await ask('keys', 'demo-app', 'Bearer nothing').expect(401);
    server.clock.advance(301_000);
    expect((await ask('keys').expect(400)).body).toMatchObject({ errno: 164 });
  });

  it('gives nothing when the app is revoked at the same time', async () => {
    await letIn('keys:read');
    const { answer } = await server.db.transaction(async (tx) => {
      await tx.query(`LOCK TABLE oidc IN SHARE ROW EXCLUSIVE MODE`);
      const asked = ask('keys').then((one) => one);
      await until(async () => {
        const waiting = await tx.query<object[]>(
          `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return waiting.length > 0;
      });
      await tx.query(`DELETE FROM consent WHERE uid = $1`, [alice.uid]);
      await tx.query(`DELETE FROM oidc WHERE model = 'Grant'`);
      return { answer: asked };
    });
    expect((await answer).status).toBe(400);
    expect(await server.db.query(`SELECT FROM oidc WHERE model = 'Grant'`)).toEqual([]);
  });

  it('gives a token that ends with the app, and with the session', async () => {
    await letIn('keys:read');
    const first = PageToken.parse((await ask('keys')).body).access_token;
    await post(
      server,
      'account/connected_apps/revoke',
      { client_id: 'demo-app' },
      alice.authorization,
    ).expect(200);
    await me(first).expect(401);
    await letIn('keys:read');
    const second = PageToken.parse((await ask('keys')).body).access_token;
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    await me(second).expect(401);
  });
});
