import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, bearerOf, mailedCode, signUp } from '../support/account.ts';
import { anAddress, get } from '../support/account-api.ts';
import { CommandLine, runProgram } from '../support/built-program.ts';
import { lettingIn } from '../support/device.ts';
import { signInForKeys } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
let home: string;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  home = await mkdtemp(join(tmpdir(), 'lockstep-device-'));
});
afterAll(async () => {
  await rm(home, { recursive: true });
  await server.stop();
});

/** Runs `lockstep sign-in` without an address, and answers it in a browser. */
const signIn = (parameters: readonly string[], consent: boolean) =>
  runProgram(
    'dist/apps/cli/src/main.js',
    ['sign-in', '--url', server.url, ...parameters],
    { XDG_CONFIG_HOME: home },
    lettingIn(server, alice, consent),
  );
const lockstep = (...parameters: string[]) => new CommandLine(home).run(...parameters);

it('lets this computer in by a browser, with no password here, and out again', async () => {
  const { code, stdout, stderr } = await signIn([], true);
  expect([code, stdout]).toEqual([0, `Signed in as ${alice.email}.\n`]);
  expect(stderr).toContain(`Open ${server.url}/device?user_code=`);
  expect(stderr).toContain(`or ${server.url}/device and type the code.`);
  const path = join(home, 'lockstep', 'default', 'credentials.json');
  const kept = JSON.parse(await readFile(path, 'utf8'));
  expect(kept).not.toHaveProperty('sessionToken');
  const { stdout: who } = await lockstep('whoami', '--json');
  expect(JSON.parse(who)).toMatchObject({ email: alice.email, uid: alice.uid });
  const { code: refused, stderr: why } = await lockstep('sync', home);
  expect([refused, why]).toEqual([1, expect.stringContaining('lockstep sign-in EMAIL')]);
  await lockstep('sign-out');
  const refresh = await server
    .request()
    .post('/oauth2/token')
    .type('form')
    .send({
      ...{ grant_type: 'refresh_token', client_id: 'demo-app' },
      refresh_token: kept.app.tokens.refreshToken,
    });
  expect(refresh.body.error).toBe('invalid_grant');
});

it('says so when the person refuses, for programs as JSON', async () => {
  const { code, stdout, stderr } = await signIn(['--json'], false);
  expect([code, stdout]).toEqual([1, '']);
  const [prompt, error] = stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(prompt).toMatchObject({
    url: `${server.url}/device?user_code=${prompt.userCode}`,
    expiresAt: expect.any(Number),
  });
  expect(error).toMatchObject({ error: 'access_denied' });
});

it('is known by its name, and leaves no session behind at sign-up that nobody keeps', async () => {
  const [email, password] = [anAddress(), 'correct horse'];
  const program = new CommandLine(home, { LOCKSTEP_URL: server.url, LOCKSTEP_PASSWORD: password });
  const { uid } = await program.json<{ uid: string }>('sign-up', email);
  expect((await program.run('verify', uid, await mailedCode(server, uid))).code).toBe(0);
  const { sessionToken } = await signInForKeys(server, email, password);
  const sessions = await get(server, 'account/sessions', bearerOf(sessionToken)).expect(200);
  expect(sessions.body).toHaveLength(1);
  const events = await get(server, 'securityEvents', bearerOf(sessionToken)).expect(200);
  const made = { name: 'account.create', userAgent: 'lockstep' };
  expect(events.body).toContainEqual(expect.objectContaining(made));
});
