import { type Account, signUp } from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import { type TestCaller, caller, join } from '../support/caller.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
let member: TestCaller;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  member = await caller(server);
  await join(server, member);
});
afterAll(() => server.stop());

describe('A cache', () => {
  it('keeps no refusal, not even of what it may keep', async () => {
    const nobody = await server
      .request()
      .get(`/keys/v1/users/${'0'.repeat(32)}`)
      .set('authorization', await member.authorization('keys'));
    expect([nobody.status, nobody.headers['cache-control']]).toEqual([404, 'no-store']);
    const away = await TestServer.start();
    await away.db.query('ALTER TABLE setting RENAME TO hidden');
    const config = await away.request().get('/keys/v1/config');
    expect([config.status, config.headers['cache-control']]).toEqual([500, 'no-store']);
    await away.stop();
  });

  it('keeps nothing of an account', async () => {
    const answers = [
      await get(server, 'session/status', alice.authorization),
      await get(server, 'recovery_email/status', alice.authorization),
      await get(server, 'account/keys', alice.authorization),
      await post(
        server,
        'oauth/token',
        { grant_type: 'fxa-credentials', client_id: 'demo-app', scope: 'storage' },
        alice.authorization,
      ),
    ];
    expect(answers.map(({ headers }) => headers['cache-control'])).toEqual(
      answers.map(() => 'no-store'),
    );
  });

  it('tells the keys that one caller sees from those that another sees', async () => {
    for (const path of ['me', `users/${member.uid}`]) {
      const { headers } = await server
        .request()
        .get(`/keys/v1/${path}`)
        .set('authorization', await member.authorization('keys'));
      expect(headers.vary).toBe('Authorization');
    }
  });
});
