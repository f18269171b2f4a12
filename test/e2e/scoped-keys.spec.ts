import { ScopedKeyData, ScopedKeyDataByScope } from '#lib/protocol';
import { type Account, authorize, exchange, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp } from '../support/apps.ts';
import { TestServer } from '../support/test-server.ts';

const SCOPE = 'app_key https://identity.mozilla.com/apps/oldsync';

describe('POST /auth/v1/account/scoped-key/rotate', () => {
  let server: TestServer;
  let alice: Account;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  beforeEach(async () => {
    alice = await signUp(server);
  });
  afterAll(() => server.stop());

  const call = (name: string, body: object, by = alice.authorization) =>
    post(server, `account/scoped-key${name}`, body, by);
  const rotate = (clientId = 'demo-app') => call('/rotate', { client_id: clientId });
  const finish = (keyRotationTimestamp: number) =>
    call('/rotated', { client_id: 'demo-app', keyRotationTimestamp });
  const data = async () => {
    const { body } = await call('-data', { client_id: 'demo-app', scope: SCOPE }).expect(200);
    return ScopedKeyDataByScope.parse(body)['app_key'];
  };

  it('gives another secret and a later time, and those before until it is finished', async () => {
    const before = await data();
    expect(before?.keyRotationSecret).toBe('0'.repeat(64));
    const now = ScopedKeyData.parse((await rotate().expect(200)).body);
    expect(now.former).toEqual({
      keyRotationSecret: before?.keyRotationSecret,
      keyRotationTimestamp: before?.keyRotationTimestamp,
    });
    expect(now.keyRotationSecret).toMatch(/^(?!0{64})[0-9a-f]{64}$/);
    expect(now.keyRotationTimestamp - (before?.keyRotationTimestamp ?? 0)).toBeGreaterThanOrEqual(
      1000,
    );
    expect(await data()).toEqual(now);
    await finish(now.keyRotationTimestamp - 1).expect(200);
    expect(await data()).toEqual(now);
    await finish(now.keyRotationTimestamp).expect(200);
    expect(await data()).toEqual({ ...now, former: undefined });
    const events = await server
      .request()
      .get('/auth/v1/securityEvents')
      .set('authorization', alice.authorization);
    expect(JSON.stringify(events.body)).toContain('app.key_rotated');
  });

  it('happens once of many at the same time, and not again before it is finished', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => rotate()));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(7).fill(409)]);
    const first = await data();
    await finish(first?.keyRotationTimestamp ?? 0);
    const second = ScopedKeyData.parse((await rotate().expect(200)).body);
    expect(second.former?.keyRotationSecret).toBe(first?.keyRotationSecret);
    expect(second.keyRotationTimestamp).toBeGreaterThan(first?.keyRotationTimestamp ?? Infinity);
  });

  it('ends what the app was granted to this account, and to no other', async () => {
    const bob = await signUp(server);
    const refresh: string[] = [];
    for (const who of [alice, bob]) {
      const authorized = await authorize(server, who, { scope: 'storage offline_access' });
      refresh.push((await exchange(server, authorized)).body.refresh_token as string);
    }
    await rotate().expect(200);
    const status = async (token: string | undefined) =>
      (
        await server
          .request()
          .post('/oauth2/token')
          .type('form')
          .send({
            ...{ grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: token },
          })
      ).status;
    expect([await status(refresh[0]), await status(refresh[1])]).toEqual([400, 200]);
  });

  it('never gives an earlier time, though kB becomes another in the same second', async () => {
    const now = ScopedKeyData.parse((await rotate().expect(200)).body);
    await server.db.query(
      `UPDATE account SET keys_changed_at = keys_changed_at + 1 WHERE uid = $1`,
      [alice.uid],
    );
    const later = await data();
    // Under another kB nothing is handed over.
    expect(later?.former).toBeUndefined();
    expect(later?.keyRotationTimestamp).toBe(now.keyRotationTimestamp + 1000);
  });

  it('wants an app that has a key', async () => {
    expect((await rotate('no-such-app').expect(400)).body).toMatchObject({ errno: 162 });
    const { clientId } = await addApp(server, { client_name: 'Other', scope: 'openid' });
    expect((await rotate(clientId).expect(400)).body).toMatchObject({ errno: 163 });
  });

  it('wants a session in which the password was just given', async () => {
    await call('/rotate', { client_id: 'demo-app' }, 'Bearer nothing').expect(401);
    server.clock.advance(301_000);
    expect((await rotate().expect(400)).body).toMatchObject({ errno: 164 });
    expect((await finish(0).expect(400)).body).toMatchObject({ errno: 164 });
  });
});
