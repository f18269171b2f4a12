import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { CommandLine } from '../support/built-program.ts';
import { forget, stretch, typedBearer } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

interface Shown {
  version: number;
  keys: { kid: string; alg: string; state: string }[];
}

// Every command is a process of its own.

const folder = mkdtempSync(join(tmpdir(), 'lockstep-keys-'));
let server: TestServer;
let alice: Account;
let bob: Account;

beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await Promise.all([signUp(server), signUp(server)]);
  for (const [who, devices] of [
    [alice, ['alice', 'alice-phone']],
    [bob, ['bob']],
  ] as const) {
    for (const profile of devices) {
      const { code, stderr } = await device(profile, who).run('sign-in', who.email);
      expect([code, stderr]).toEqual([0, '']);
    }
  }
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const device = (profile: string, { password } = alice) =>
  new CommandLine(join(folder, profile), {
    ...{ LOCKSTEP_URL: server.url, LOCKSTEP_PASSWORD: password },
  });

it('compares numbers, remembers that on the other device, and refuses wrong ones', async () => {
  const { number } = await device('bob').json<{ number: string }>('keys', 'verify', alice.email);
  const other = number.slice(1) + number.slice(0, 1);
  const wrong = await device('alice').run('keys', 'verify', bob.email, '--number', other);
  expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringContaining('differ')]);
  const cut = await device('alice').run('keys', 'verify', bob.email, '--number', number.slice(1));
  expect([cut.code, cut.stderr]).toEqual([2, expect.stringContaining('60 digits')]);
  const nobody = await device('alice').run('keys', 'verify', 'bob');
  expect([nobody.code, nobody.stderr]).toEqual([2, expect.stringContaining('neither')]);
  const oneself = await device('alice').run('keys', 'verify', alice.email);
  expect([oneself.code, oneself.stderr]).toEqual([2, expect.stringContaining('That is you')]);
  const right = await device('alice').run('keys', 'verify', bob.email, '--number', number);
  expect([right.code, right.stdout]).toEqual([0, `${bob.email} was compared.\n`]);
  const there = await device('alice-phone').run('keys', 'verify', bob.email);
  expect(there.stdout).toContain(number.match(/.{5}/g)?.join(' '));
  expect(there.stdout).toContain(`${bob.email} was compared.`);
});

it('rotates, revokes by what was printed, replaces, and says so in history and audit', async () => {
  const rotated = await device('bob').json<Shown>('keys', 'rotate', '--hybrid');
  expect([rotated.version, rotated.keys.map(({ state }) => state)]).toEqual([
    ...[2, ['active', 'active', 'retired']],
  ]);
  const tokens = await device('bob').json<{ kid: string; token: string }[]>(
    ...['keys', 'print-revocation'],
  );
  const token = tokens.find(({ kid }) => kid === rotated.keys[0]?.kid)?.token ?? '';
  const paper = await device('bob').run('keys', 'print-revocation');
  expect(paper.stdout.replaceAll('\n', '')).toContain(token);
  expect(paper.stdout).toContain(`--url ${server.url} `);
  const typed = token.toLowerCase().replaceAll('-', ' ');
  expect((await device('nobody').run('keys', 'revoke', '--token', typed)).code).toBe(0);
  const spoilt = await device('nobody').run('keys', 'revoke', '--token', token.slice(1));
  expect([spoilt.code, spoilt.stderr]).toEqual([1, expect.stringContaining('mistake')]);
  const after = await device('bob').json<Shown>('keys', 'show');
  expect(after.keys[0]?.state).toBe('revoked by token');
  const second = tokens.find(({ kid }) => kid === rotated.keys[1]?.kid)?.token ?? '';
  expect((await device('nobody').run('keys', 'revoke', '--token', second)).code).toBe(0);
  const without = await device('alice').json<{ isSound: boolean }>('keys', 'audit');
  expect([without.isSound, JSON.stringify(without)]).toEqual([
    ...[true, expect.stringContaining('revoked the key')],
  ]);
  const replaced = await device('bob').json<Shown>('keys', 'revoke', '--why', 'lost');
  expect(replaced.keys.filter(({ state }) => state === 'active')).toHaveLength(2);
  const unknown = await device('bob').run('keys', 'revoke', 'nothing');
  expect(unknown.code).toBe(1);
  const lists = await device('bob').json<{ version: number; step: string }[]>('keys', 'history');
  expect(lists.map(({ version, step }) => [version, step])).toEqual([
    ...[
      [1, 'first'],
      [2, 'same'],
      [3, 'same'],
    ],
  ]);
  const audit = await device('alice').json<{ isSound: boolean; checks: object[] }>('keys', 'audit');
  expect([audit.isSound, audit.checks.length]).toEqual([true, 5]);
  expect((await device('alice').run('keys', 'audit', '--restore')).code).toBe(0);
});

it('tells who changed their keys, and begins nothing anew unasked', async () => {
  await device('alice').json('keys', 'find', bob.email);
  const first = await device('alice').json<{ cursor: string }>('keys', 'watch');
  // A cursor tells the last ten seconds again; one of later than all of them tells nothing.
  const later = await device('alice').json<{ changed: object[] }>(
    ...['keys', 'watch', '--since', String(Number(first.cursor) + 3_600_000)],
  );
  expect(later.changed).toEqual([]);
  const { version } = await device('bob').json<Shown>('keys', 'rotate');
  const now = await device('alice').json<{ changed: object[] }>(
    ...['keys', 'watch', '--since', first.cursor],
  );
  expect(now.changed).toMatchObject([{ uid: bob.uid, version }]);
  const asked = await device('bob').run('keys', 'reset');
  expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining('--yes')]);
  const needless = await device('bob').run('keys', 'reset', '--yes');
  expect([needless.code, needless.stderr]).toEqual([
    1,
    expect.stringContaining('nothing to begin'),
  ]);
  expect((await device('bob').json<Shown>('keys', 'show')).version).toBe(version);
});

it('says what to do when keys are of the time before a password reset, on both sides', async () => {
  const dan = await signUp(server);
  expect((await device('dan', dan).run('sign-in', dan.email)).code).toBe(0);
  expect((await device('alice').run('keys', 'find', dan.email)).code).toBe(0);
  const password = 'another password';
  const { authPW } = await stretch(dan.email, password);
  const token = typedBearer('accountResetToken', await forget(server, dan));
  await post(server, 'account/reset', { authPW }, token).expect(200);
  const anew = device('dan', { ...dan, password });
  const { code, stdout, stderr } = await anew.run('sign-in', dan.email);
  const hint = expect.stringMatching(/See lockstep keys reset --help\n$/) as unknown;
  expect([code, stdout, stderr]).toEqual([4, `Signed in as ${dan.email}.\n`, hint]);
  const whoami = await anew.run('whoami');
  expect([whoami.code, whoami.stderr]).toEqual([4, hint]);
  expect(whoami.stdout).toMatch(`${dan.uid}\n`);
  expect(whoami.stdout).not.toContain('identity');
  const audit = await anew.run('keys', 'audit');
  expect([audit.code, audit.stdout]).toEqual([
    ...[4, expect.stringMatching(/^ASK {2}your key list: .*See lockstep keys reset --help\n/)],
  ]);
  expect(audit.stdout).not.toContain('LIE');
  expect((await anew.run('keys', 'reset', '--yes')).code).toBe(0);
  expect((await anew.run('keys', 'audit')).code).toBe(0);
  const other = await device('alice').run('keys', 'find', dan.email);
  expect([other.code, other.stderr]).toEqual([
    ...[4, expect.stringMatching(/: lockstep keys verify WHO --accept\n$/)],
  ]);
  expect(other.stderr).toContain(`lockstep: ${dan.email} (${dan.uid}) began anew`);
  const accepted = await device('alice').run('keys', 'verify', dan.email, '--accept');
  expect([accepted.code, accepted.stderr]).toEqual([0, '']);
});

it('locks a lost device out: it is signed out, and this computer has everything', async () => {
  const carol = await signUp(server);
  const [lost, other] = [device('carol-lost', carol), device('carol-new', carol)];
  expect((await lost.run('sign-in', carol.email)).code).toBe(0);
  await lost.run('keys', 'verify', bob.email);
  const secret = join(folder, 'secret.txt');
  writeFileSync(secret, 'of the time before');
  expect((await lost.run('put', secret)).code).toBe(0);
  const asked = await other.run('keys', 'device-lost', carol.email);
  expect([asked.code, asked.stderr]).toEqual([1, expect.stringContaining('--yes')]);
  expect((await lost.run('keys', 'show')).code).toBe(0);
  const command = ['keys', 'device-lost', carol.email, '--yes'];
  const done = await other.json<{ wasBegun: boolean; version: number; moved: number }>(...command);
  // The file's reference, and the people she met.
  expect(done).toMatchObject({ wasBegun: false, version: 2, moved: 1, refused: [] });
  expect((await lost.run('keys', 'show')).code).not.toBe(0);
  expect((await other.run('ls')).stdout).toContain('secret.txt');
  expect((await other.run('keys', 'audit')).code).toBe(0);
  const lists = await other.json<{ step: string }[]>('keys', 'history');
  expect(lists.map(({ step }) => step)).toEqual(['first', 'link']);
});
