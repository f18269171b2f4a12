import { randomBytes } from 'node:crypto';
import { type Account, signUp } from '../support/account.ts';
import { get, hawk, post } from '../support/account-api.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { database } from '../../apps/server/src/platform/database.ts';
import { createServer } from '../../apps/server/src/server.ts';
import { freePort, TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const sign = (signing: Partial<Parameters<typeof hawk>[1]> = {}) =>
  hawk(server, { token: alice.sessionToken, path: 'session/status', ...signing });
const errno = async (authorization: string) =>
  (await get(server, 'session/status', authorization).expect(401)).body.errno as number;

it('refuses a request that was made before', async () => {
  const signed = await sign();
  await get(server, 'session/status', signed).expect(200);
  expect(await errno(signed)).toBe(115);
});

it('refuses at one process what another one took, and what ten are sent at once', async () => {
  const url = process.env.TEST_DATABASE_URL ?? '';
  const { schema } = server.db.options as { schema: string };
  const config = Config.from({
    ...{ PORT: String(await freePort()), PUBLIC_URL: server.url, DATABASE_URL: url },
    DATA_DIR: server.config.dataDir,
  });
  const other = await createServer({
    ...{ config, clock: server.clock, database: database(url, { schema }) },
  });
  await other.listen(config.port, config.host);
  const origins = [server.url, config.internalUrl];
  const statuses = async (authorization: string) => {
    const asked = Array.from({ length: 10 }, (_, i) =>
      fetch(`${origins[i % 2]}/auth/v1/session/status`, { headers: { authorization } }),
    );
    return (await Promise.all(asked)).map(({ status }) => status).sort();
  };
  expect(await statuses(await sign())).toEqual([200, ...Array<number>(9).fill(401)]);
  // Whoever sends the id itself is not asked for a nonce.
  expect(await statuses(alice.authorization)).toEqual(Array<number>(10).fill(200));
  await other.close();
});

it('remembers a nonce no longer than its request is good, and none of a stranger', async () => {
  const count = async () =>
    (await server.db.query<[{ n: number }]>(`SELECT count(*)::int AS n FROM hawk_nonce`))[0].n;
  server.clock.advance(200);
  await get(server, 'session/status', await sign()).expect(200);
  expect(await count()).toBe(1);
  const stranger = await sign({ token: randomBytes(32).toString('hex') });
  await get(server, 'session/status', stranger).expect(401);
  await get(server, 'session/status', await sign({ ts: 1 })).expect(401);
  expect(await count()).toBe(1);
  const nonce = 'again';
  await get(server, 'session/status', await sign({ nonce })).expect(200);
  server.clock.advance(121);
  await get(server, 'session/status', await sign({ nonce })).expect(200);
  expect(await count()).toBe(1);
});

it.each([-61, 62])(
  'refuses a request signed %s seconds from now, and tells the time',
  async (s) => {
    const signed = await sign({ ts: server.clock.seconds() + s });
    const { body } = await get(server, 'session/status', signed).expect(401);
    expect(body.errno).toBe(111);
    expect(Math.abs(body.serverTime - server.clock.seconds())).toBeLessThan(5);
  },
);

it('refuses what was signed for another path, method, host or port', async () => {
  expect(await errno(await sign({ path: 'session/status?x' }))).toBe(109);
  expect(await errno(await sign({ method: 'POST' }))).toBe(109);
  expect(await errno(await sign({ origin: 'http://evil.example' }))).toBe(109);
  expect(await errno(await sign({ origin: 'http://localhost:1' }))).toBe(109);
});

it('refuses a MAC that was changed, and a token that nobody has', async () => {
  const signed = await sign();
  const changed = signed.replace(/mac="(.)/, (_, c: string) => `mac="${c === 'A' ? 'B' : 'A'}`);
  expect(await errno(changed)).toBe(109);
  expect(await errno(await sign({ token: randomBytes(32).toString('hex') }))).toBe(110);
});

it('checks the hash of a body when it is signed', async () => {
  const path = 'recovery_email/resend_code';
  const signing = { path, method: 'POST', body: {} };
  await post(server, path, {}, await sign(signing)).expect(200);
  const { body } = await post(server, path, { other: 1 }, await sign(signing)).expect(401);
  expect(body.errno).toBe(109);
});

it.each(['', 'Hawk', 'Hawk id="x"', 'Basic abc', 'Bearer fxs_1', `Bearer ${'a'.repeat(64)}`])(
  'refuses the header %j',
  async (header) => {
    expect(await errno(header)).toBe(110);
  },
);
