import { randomBytes } from 'node:crypto';
import { EventsService } from '../../apps/server/src/events/events.service.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import { bearerOf, mailedCode, mails, signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start({ TRUSTED_PROXIES: '127.0.0.1,::1' });
});
afterAll(() => server.stop());

const AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';

const from = (client: string, path: string, body: object) =>
  post(server, path, body).set('x-forwarded-for', client).set('user-agent', AGENT);

const events = async (authorization: string) =>
  (await get(server, 'securityEvents', authorization).expect(200)).body as object[];

/** Signed up, verified, and wrong once, from the same place. */
const aLife = async (client: string) => {
  const known = credentials(anAddress());
  const { body } = await from(client, 'account/create', known).expect(200);
  const code = await mailedCode(server, body.uid);
  await from(client, 'recovery_email/verify_code', { uid: body.uid, code }).expect(200);
  const authPW = randomBytes(32).toString('hex');
  await from(client, 'account/login', { ...known, authPW }).expect(400);
  const signedIn = await from(client, 'account/login', known).expect(200);
  return { ...known, uid: body.uid as string, authorization: bearerOf(signedIn.body.sessionToken) };
};

it('tells an account’s owner what happened, newest first, and roughly from where', async () => {
  const { authorization } = await aLife('203.0.113.77');
  const common = { ipAddr: '203.0.113.0/24', userAgent: 'Firefox on Linux' };
  const createdAt = expect.any(Number) as number;
  expect(await events(authorization)).toEqual([
    { name: 'account.login', verified: true, createdAt, ...common },
    { name: 'account.login.failure', verified: true, createdAt, ...common },
    { name: 'account.email_verified', verified: true, createdAt, ...common },
    { name: 'account.create', verified: false, createdAt, ...common },
  ]);
});

it('says once that an address was confirmed', async () => {
  const { uid, authorization } = await aLife('203.0.113.77');
  const before = await events(authorization);
  const code = await mailedCode(server, uid);
  await from('203.0.113.77', 'recovery_email/verify_code', { uid, code }).expect(200);
  expect(await events(authorization)).toEqual(before);
});

it('keeps no whole address and no whole header', async () => {
  await aLife('2001:db8:aaaa:bbbb:cccc::1');
  const rows = JSON.stringify(await server.db.query(`SELECT e::text FROM security_event e`));
  expect(rows).toContain('2001:db8:aaaa::/48');
  expect(rows).not.toContain('bbbb');
  expect(rows).not.toContain('Mozilla');
});

it('shows nobody the events of another', async () => {
  const [one, other] = [await signUp(server), await aLife('203.0.113.1')];
  await get(server, 'securityEvents').expect(401);
  const names = (await events(one.authorization)).map((event) => (event as { name: string }).name);
  expect(names).toEqual(['account.email_verified', 'account.create']);
  expect(await events(other.authorization)).toHaveLength(4);
});

it('mails a notice of a new sign-in to a verified address, and to no other', async () => {
  const { uid } = await aLife('203.0.113.1');
  const known = credentials(anAddress());
  const { body } = await post(server, 'account/create', known).expect(200);
  await post(server, 'account/login', known).expect(200);
  const notices = (await mails(server)).filter((mail) => mail.includes('A new sign-in'));
  const of = (account: string) => notices.filter((mail) => mail.includes(`X-Uid: ${account}`));
  expect(of(uid)).toEqual([expect.stringContaining('Firefox on Linux')]);
  expect(of(body.uid)).toEqual([]);
});

it('shows the rest, however many wrong passwords strangers tried', async () => {
  const { authorization, uid } = await aLife('203.0.113.1');
  await server.db.query(
    `INSERT INTO security_event (uid, name, verified, created_at)
     SELECT $1, 'account.login.failure', true, $2 FROM generate_series(1, 300)`,
    [uid, server.clock.now()],
  );
  const names = (await events(authorization)).map((event) => (event as { name: string }).name);
  expect(names).toHaveLength(53);
  expect(names).toEqual(expect.arrayContaining(['account.login', 'account.create']));
});

it('notes nothing of an address that nobody has', async () => {
  const count = async () => (await server.db.query<unknown[]>(`SELECT FROM security_event`)).length;
  const before = await count();
  await post(server, 'account/login', credentials(anAddress())).expect(400);
  expect(await count()).toBe(before);
});

it('forgets after 90 days', async () => {
  const { uid } = await aLife('203.0.113.1');
  const service = server.app.get(EventsService);
  server.clock.advance(89 * 86_400);
  await service.purge();
  expect(await service.list(uid)).toHaveLength(4);
  server.clock.advance(86_401);
  expect(await service.list(uid)).toEqual([]);
  await service.purge();
  const left = await server.db.query<unknown[]>(`SELECT FROM security_event WHERE uid = $1`, [uid]);
  expect(left).toEqual([]);
});
