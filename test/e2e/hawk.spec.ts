import { randomBytes } from 'node:crypto';
import { type Account, signUp } from '../support/account.ts';
import { get, hawk, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

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
