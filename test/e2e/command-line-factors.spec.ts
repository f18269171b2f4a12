import { mkdtempSync, rmSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Account as SignedInAccount, Server } from '#lib/client';
import { nodePlatform } from '#lib/client-node';
import { post } from '../support/account-api.ts';
import { type Account, signUp } from '../support/account.ts';
import { Authenticator, type Options } from '../support/authenticator.ts';
import { CommandLine } from '../support/built-program.ts';
import { nextCode, signUpTwoStep, type TwoStep, wrongCode } from '../support/factors.ts';
import { TestServer } from '../support/test-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-cli-factors-'));
let server: TestServer;
let alice: TwoStep;
beforeAll(async () => {
  // The server's clock is moved for every code, and the command's is not.
  server = await TestServer.start({ HAWK_SKEW_SECONDS: '600' });
  alice = await signUpTwoStep(server);
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const terminal = ({ password }: Account) =>
  new CommandLine(folder, { LOCKSTEP_PASSWORD: password, LOCKSTEP_URL: server.url });
const signIn = (who: Account, ...words: string[]) =>
  terminal(who).run('--json', 'sign-in', who.email, ...words);
const halves = async () =>
  (await server.db.query<unknown[]>(`SELECT FROM session WHERE awaits_factor`)).length;
const errorOf = (stderr: string) => JSON.parse(stderr) as { error: string; message: string };

describe('an account with an authenticator', () => {
  it('is told what is missing, and leaves no half sign-in behind', async () => {
    const { code, stdout, stderr } = await signIn(alice);
    expect([code, stdout]).toEqual([2, '']);
    expect(errorOf(stderr).message).toMatch(/^The account has a second factor: give --code, or /);
    const wrong = await signIn(alice, '--code', wrongCode(server, alice.secret));
    expect([wrong.code, errorOf(wrong.stderr).error]).toEqual([1, 'errno-183']);
    const unknown = await signIn(alice, '--code', 'AAAAA-AAAAA');
    expect([unknown.code, errorOf(unknown.stderr).error]).toEqual([1, 'errno-156']);
    expect((await signIn(alice, '--code', '12345')).code).toBe(2);
    expect(await halves()).toBe(0);
  });

  it('signs in with a code, and with another one derives the Sync key', async () => {
    const code = nextCode(server, alice.secret);
    const signedIn = await signIn(alice, '--code', code);
    expect([signedIn.code, signedIn.stderr]).toEqual([0, '']);
    expect(await terminal(alice).json('whoami')).toMatchObject({ email: alice.email });
    const records = join(folder, 'records');
    await mkdir(records);
    const lacking = await terminal(alice).run('sync', records);
    expect([lacking.code, lacking.stderr]).toEqual([2, expect.stringContaining('give --code')]);
    await terminal(alice).json('sync', records, '--code', nextCode(server, alice.secret));
    await terminal(alice).json('sync-store', 'show', records);
  });

  it('signs in with a backup code, however it is typed', async () => {
    const [code = ''] = alice.backupCodes;
    const signedIn = await signIn(alice, '--code', code.toLowerCase().replace('-', ' '));
    expect([signedIn.code, signedIn.stderr]).toEqual([0, '']);
  });

  it('gives its keys to who asks for the code by the library', async () => {
    const { email, password, secret } = alice;
    const there = await Server.at(server.url, nodePlatform);
    const account = await SignedInAccount.signIn(there, { email, password });
    expect(account.awaitsFactor).toBe(true);
    expect(await account.factors()).toMatchObject({ totp: true, passkeys: 0 });
    await expect(account.fetchKeys()).rejects.toMatchObject({ code: 'errno-138' });
    const wrong = wrongCode(server, secret);
    await expect(account.secondFactor(wrong)).rejects.toMatchObject({ code: 'errno-183' });
    expect(account.awaitsFactor).toBe(true);
    await account.secondFactor(nextCode(server, secret));
    expect(account.awaitsFactor).toBe(false);
    expect((await account.fetchKeys()).kB).toHaveLength(32);
  });
});

describe('an account with a passkey alone', () => {
  it('is sent to a browser, or signs in with a backup code', async () => {
    const bob = await signUp(server);
    const by = bob.authorization;
    const { body } = await post(server, 'passkey/registration/start', {}, by).expect(200);
    const response = new Authenticator(server.url).register(body as Options);
    const asked = { name: 'A key', response };
    const kept = await post(server, 'passkey/registration/finish', asked, by).expect(200);

    const { code, stderr } = await signIn(bob);
    expect(code).toBe(1);
    expect(errorOf(stderr).message).toMatch(
      /is a passkey: let a browser sign this computer in: lockstep sign-in, without an address\./,
    );
    expect((await signIn(bob, '--code', '123456')).code).toBe(1);
    expect(await halves()).toBe(0);
    const [backup = ''] = (kept.body as { recoveryCodes: string[] }).recoveryCodes;
    expect((await signIn(bob, '--code', backup)).code).toBe(0);
  });
});

it('An account without a second factor needs no code, and minds none', async () => {
  const carol = await signUp(server);
  expect((await signIn(carol, '--code', '123456')).code).toBe(0);
});
