import { OLD_SYNC } from '#lib/protocol';
import { AuthorityService } from '../../apps/server/src/oauth/authority.service.ts';
import { type Account, bearerOf, signUp } from '../support/account.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const FIREFOX = '5882386c6d801776';
const ask = (body: object = {}, authorization = alice.authorization) =>
  post(
    server,
    'oauth/token',
    { grant_type: 'fxa-credentials', client_id: FIREFOX, scope: OLD_SYNC, ...body },
    authorization,
  );
const keyData = (body: object, authorization = alice.authorization) =>
  post(server, 'account/scoped-key-data', body, authorization);
const unverified = async () =>
  bearerOf((await post(server, 'account/create', credentials(anAddress()))).body.sessionToken);

it('gives Firefox a token for its store, for as long as it asks', async () => {
  const { body } = await ask({ ttl: 21_600 }).expect(200);
  expect(body).toMatchObject({ token_type: 'bearer', scope: OLD_SYNC, expires_in: 21_600 });
  const rows = await server.db.query(
    `SELECT payload, expires_at FROM oidc WHERE model = 'AccessToken'`,
  );
  expect(rows).toHaveLength(1);
  expect(rows[0].payload).toMatchObject({ aud: 'urn:lockstep:storage', scope: OLD_SYNC });
  const left = rows[0].expires_at.getTime() - server.clock.now().getTime();
  expect(Math.abs(left / 1000 - 21_600)).toBeLessThan(10);
});

it('keeps no grant longer than the one token that it was made for', async () => {
  const grants = () => server.db.query(`SELECT id FROM oidc WHERE model = 'Grant' ORDER BY id`);
  const before = await grants();
  await ask({ ttl: 60 }).expect(200);
  server.clock.advance(61);
  await server.app.get(AuthorityService).purge();
  expect(await grants()).toEqual(before);
});

it('ends a token when asked, and forgives an unknown one', async () => {
  const { body } = await ask();
  const count = async () =>
    (await server.db.query(`SELECT 1 FROM oidc WHERE model = 'AccessToken'`)).length as number;
  const before = await count();
  await post(server, 'oauth/destroy', { token: body.access_token }).expect(200, {});
  expect(await count()).toBe(before - 1);
  await post(server, 'oauth/destroy', { token: body.access_token }).expect(200, {});
});

it.each([
  ['an unknown app', { client_id: 'nobody' }, 162],
  ['a scope the app may not have', { scope: 'keys:read' }, 163],
  ['another grant', { grant_type: 'password' }, 107],
  ['a life of more than a day', { ttl: 86_401 }, 107],
])('refuses %s', async (_, body, errno) => {
  expect((await ask(body).expect(400)).body.errno).toBe(errno);
});

it('refuses tokens without a session, and for an address that is not verified', async () => {
  expect((await ask({}, '').expect(401)).body.errno).toBe(110);
  expect((await ask({}, await unverified()).expect(400)).body.errno).toBe(104);
});

it.each([
  ['a grant', 'AFTER', 'Grant', 0],
  // The trigger's own work is undone with the insert that fails.
  ['a token', 'BEFORE', 'AccessToken', 1],
])('gives nothing to who signs out while %s is written', async (_, when, model, left) => {
  const bob = await signUp(server);
  await server.db.query(`
    CREATE FUNCTION sign_out() RETURNS trigger LANGUAGE plpgsql AS
      'BEGIN DELETE FROM session WHERE uid = ''${bob.uid}''; RETURN NEW; END'`);
  await server.db.query(`
    CREATE TRIGGER sign_out ${when} INSERT ON oidc FOR EACH ROW WHEN (NEW.model = '${model}')
      EXECUTE FUNCTION sign_out()`);
  try {
    const { body } = await ask({}, bob.authorization).expect(401);
    expect(body.errno).toBe(110);
  } finally {
    await server.db.query(`DROP FUNCTION sign_out CASCADE`);
  }
  const rows = `SELECT model FROM oidc WHERE payload->>'accountId' = $1`;
  expect(await server.db.query(rows, [bob.uid])).toHaveLength(left);
});

it('tells from what to derive the keys that an app may have, and leaves out the rest', async () => {
  const [{ keys_changed_at: keyRotationTimestamp }] = await server.db.query(
    `SELECT keys_changed_at FROM account WHERE uid = $1`,
    [alice.uid],
  );
  const common = { keyRotationSecret: '0'.repeat(64), keyRotationTimestamp };
  const scope = `${OLD_SYNC} app_key profile`;
  const app = await keyData({ client_id: 'demo-app', scope }).expect(200);
  expect(app.body).toEqual({ app_key: { identifier: 'app:demo-app', ...common } });
  const firefox = await keyData({ client_id: FIREFOX, scope }).expect(200);
  expect(firefox.body).toEqual({ [OLD_SYNC]: { identifier: OLD_SYNC, ...common } });
});

it('refuses key data of an unknown app, and for an address that is not verified', async () => {
  const body = { client_id: 'nobody', scope: 'app_key' };
  expect((await keyData(body).expect(400)).body).toMatchObject({ errno: 162, clientId: 'nobody' });
  const mine = { client_id: 'demo-app', scope: 'app_key' };
  expect((await keyData(mine, await unverified()).expect(400)).body.errno).toBe(104);
});
