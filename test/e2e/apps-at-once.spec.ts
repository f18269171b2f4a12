import { type Account, authorize, bearerOf, exchange, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp } from '../support/apps.ts';
import { TestServer } from '../support/test-server.ts';

const ROUNDS = 4;
const SESSIONS = 12;

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start({ BUDGETS: 'all=1000000/60' });
  alice = await signUp(server);
  await server.db.query(`INSERT INTO operator (uid, created_at) VALUES ($1, now())`, [alice.uid]);
});
afterAll(() => server.stop());

/** An app that hears of sign-outs, with so many grants of others that to end them takes a while. */
async function addBusyApp() {
  const app = await addApp(server, { backchannel_logout_uri: 'https://app.example/logout' });
  await server.db.query(
    `INSERT INTO oidc (model, id, grant_key, expires_at, payload)
     SELECT 'Grant', $1 || n, $1 || n, now() + interval '60 days',
            jsonb_build_object('clientId', $1::text, 'accountId', repeat('0', 32), 'sid', n::text,
              'iat', extract(epoch FROM now())::bigint, 'openid', '{"scope": "openid"}'::jsonb)
       FROM generate_series(1, 3000) AS n`,
    [app.clientId],
  );
  return app;
}

/** Another session of Alice, in which she let the app in; every second one was made for that. */
async function enter(
  { clientId, redirectUri }: { clientId: string; redirectUri: string },
  n: number,
) {
  const { body } = await post(server, 'session/duplicate', {}, alice.authorization).expect(200);
  const authorization = bearerOf((body as { sessionToken: string }).sessionToken);
  const asked = { clientId, redirectUri, scope: 'openid offline_access' };
  const authorized = await authorize(server, { ...alice, authorization }, asked);
  const answer = await exchange(server, authorized).expect(200);
  return { n, authorization, token: (answer.body as { refresh_token: string }).refresh_token };
}

it('an app is removed while its users sign out, and nobody is sent away', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    const app = await addBusyApp();
    const entered = await Promise.all(Array.from({ length: SESSIONS }, (_, n) => enter(app, n)));
    await server.db.query(
      `UPDATE oidc SET owns_session = true
        WHERE client_id = $1 AND session_id IS NOT NULL AND hashtext(id) % 2 = 0`,
      [app.clientId],
    );
    const remove = server
      .request()
      .delete(`/apps/v1/apps/${app.clientId}`)
      .set('authorization', alice.authorization);
    const outs = entered.map(({ n, authorization, token }) =>
      n % 4 === 3
        ? server
            .request()
            .post('/oauth2/revoke')
            .type('form')
            .send({ token, client_id: app.clientId })
        : post(server, 'session/destroy', {}, authorization),
    );
    const [removed, ...ended] = await Promise.all([remove, ...outs]);
    expect(removed.status).toBe(204);
    // A session, or the app, may have ended a moment before.
    expect(ended.filter(({ status }) => ![200, 401].includes(status))).toEqual([]);
    const left = await server.db.query(
      `SELECT FROM oidc WHERE client_id = $1 UNION ALL SELECT FROM consent WHERE client_id = $1`,
      [app.clientId],
    );
    expect(left).toEqual([]);
  }
});
