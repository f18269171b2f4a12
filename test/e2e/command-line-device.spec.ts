import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, signUp } from '../support/account.ts';
import { CommandLine } from '../support/built-program.ts';
import { answerDevice } from '../support/device.ts';
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
function signIn(parameters: readonly string[], consent: boolean) {
  const program = ['dist/apps/cli/src/main.js', 'sign-in', '--url', server.url, ...parameters];
  const child = spawn(process.execPath, program, {
    env: { PATH: process.env.PATH, XDG_CONFIG_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  let answered: Promise<unknown> | undefined;
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
    const [userCode] = /[A-Z]{4}-[A-Z]{4}/.exec(stderr) ?? [];
    if (userCode === undefined || answered) return;
    answered = answerDevice(server, { account: alice, userCode, consent }).then();
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((done) => {
    child.once('close', (code) => {
      done({ code, stdout, stderr });
    });
  });
}
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
