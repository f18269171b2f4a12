import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { InvitationsService } from '../../apps/server/src/accounts/invitations.service.ts';
import { DeletionsService } from '../../apps/server/src/deletion/deletions.service.ts';
import { anAddress, get, post } from '../support/account-api.ts';
import { type Account, mails, signUp } from '../support/account.ts';
import { CommandLine } from '../support/built-program.ts';
import { halfSignIn, signUpTwoStep } from '../support/factors.ts';
import { at, filesApi } from '../support/files.ts';
import { caller, join, randomId } from '../support/caller.ts';
import { TestServer } from '../support/test-server.ts';

const folder = mkdtempSync(joinPath(tmpdir(), 'lockstep-admin-'));
let server: TestServer;
let operator: CommandLine;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  const { schema } = server.db.options as { schema?: string };
  const url = new URL(process.env.TEST_DATABASE_URL ?? '');
  url.searchParams.set('options', `-c search_path=${schema ?? ''}`);
  operator = new CommandLine(folder, { DATABASE_URL: url.href });
  alice = await signUp(server, { email: 'Alice@example.org' });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

/** What a command that must not work says, as one line of JSON. */
const refused = async (...words: string[]) => {
  const { code, stdout, stderr } = await operator.run('--json', ...words);
  expect([code, stdout]).toEqual([1, '']);
  return JSON.parse(stderr) as { error: string; message: string };
};

const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as string;

it('lists accounts and shows one, by numbers and times alone', async () => {
  const who = await caller(server, { uid: alice.uid });
  await join(server, who);
  const files = filesApi(() => server);
  await files.put(who, at(who, randomId()), Buffer.from('12345'), {
    ...{ 'if-none-match': '*', 'x-version-id': randomId() },
  });
  const device = { name: 'Alice’s desk', type: 'desktop' };
  await post(server, 'account/device', device, alice.authorization).expect(200);
  const row = {
    ...{ uid: alice.uid, email: 'Alice@example.org', verified: true },
    ...{ created: ISO, used: ISO, sessions: 1 },
  };
  const [found, none, shown, words, nobody] = await Promise.all([
    operator.json('admin', 'users', 'list', '--search', 'ALICE@'),
    operator.json('admin', 'users', 'list', '--search', 'nobody@'),
    operator.json('admin', 'users', 'show', alice.uid),
    operator.run('admin', 'users', 'show', 'alice@EXAMPLE.org'),
    refused('admin', 'users', 'show', 'nobody@example.org'),
  ]);
  expect(found).toEqual([row]);
  expect(none).toEqual([]);
  expect(shown).toEqual({
    ...{ ...row, passwordSet: ISO, keysChanged: ISO, devices: 1, keyLists: 1 },
    ...{ files: { count: 1, bytes: 5 }, stores: [] },
  });
  expect([words.code, words.stderr]).toEqual([0, '']);
  expect(words.stdout).toContain('files        1, 5 bytes');
  expect(nobody.error).toBe('not-found');
});

it('lists sessions, and ends one or all of an account', async () => {
  const bob = await signUp(server);
  await post(server, 'session/duplicate', {}, bob.authorization).expect(200);
  const listed = () =>
    operator.json<{ id: string; email: string }[]>('admin', 'sessions', 'list', bob.uid);
  const [first] = await listed();
  expect(await listed()).toHaveLength(2);
  expect(first).toEqual({
    ...{ id: expect.stringMatching(/^.{12}$/) as string, uid: bob.uid, email: bob.email },
    ...{ created: ISO, used: ISO, device: null },
  });
  const one = await operator.json('admin', 'sessions', 'revoke', '--', first?.id ?? '');
  expect(one).toEqual({ revoked: 1 });
  expect(await listed()).toHaveLength(1);
  await operator.json('admin', 'sessions', 'revoke', bob.email);
  await get(server, 'session/status', bob.authorization).expect(401);
  await get(server, 'session/status', alice.authorization).expect(200);
  expect(await refused('admin', 'sessions', 'revoke', bob.email)).toMatchObject({
    error: 'not-found',
  });
});

describe('who has lost the second factor and the backup codes', () => {
  const factors = (...words: string[]) => operator.run('admin', 'users', 'factors', ...words);
  const shown = (who: string) => operator.json('admin', 'users', 'factors', who);
  const eventsOf = async ({ authorization }: Account) =>
    (
      (await get(server, 'securityEvents', authorization).expect(200)).body as { name: string }[]
    ).map(({ name }) => name);

  it('is let in by the operator, by what the documents say, and is told', async () => {
    const account = await signUpTwoStep(server);
    const { uid, email } = account;
    await server.db.query(
      `INSERT INTO passkey (id, uid, public_key, counter, transports, is_synced, name, created_at)
       VALUES ('abc', $1, '', 0, '{}', false, E'my \\u001b[2J key', now())`,
      [uid],
    );
    const half = await halfSignIn(server, account);
    expect(await shown(email)).toEqual({
      ...{ uid, email, totp: true, backupCodes: 10 },
      passkeys: [{ name: 'my \u001b[2J key', created: ISO, used: null }],
    });
    const { stdout } = await factors(uid);
    expect(stdout).toContain('passkey        my \uFFFD[2J key, last used never\n');

    const text = await readFile('docs/operating.md', 'utf8');
    const [, words = ''] =
      /npx lockstep admin users factors alice@example\.org (--remove --yes)\n/.exec(text) ?? [];
    const removed = await operator.json('admin', 'users', 'factors', email, ...words.split(' '));
    expect(removed).toEqual({ uid, removed: 2 });
    expect(await shown(uid)).toEqual({ uid, email, totp: false, backupCodes: 0, passkeys: [] });
    await get(server, 'session/status', half.authorization).expect(401);
    expect(await halfSignIn(server, account)).toMatchObject({ verified: true });
    await post(server, 'totp/create', {}, account.authorization).expect(200);
    expect((await eventsOf(account)).sort().slice(-2)).toEqual([
      ...['account.two_factor_added', 'account.two_factor_removed'],
    ]);
    expect(await eventsOf(account)).toContain('account.passkey_removed');
    expect((await mails(server)).filter((mail) => mail.includes('were taken away'))).toHaveLength(
      1,
    );
  });

  it('keeps them unless it is meant, and there is nothing to take from others', async () => {
    const account = await signUpTwoStep(server);
    const unsure = await factors(account.email, '--remove');
    expect([unsure.code, unsure.stderr]).toEqual([2, expect.stringContaining('--yes')]);
    expect(await halfSignIn(server, account)).toMatchObject({ verified: false });
    // A secret that waits to be proven is no factor.
    await post(server, 'totp/create', {}, alice.authorization).expect(200);
    expect(await shown(alice.uid)).toMatchObject({ totp: false });
    const remove = (who: string) => refused('admin', 'users', 'factors', who, '--remove', '--yes');
    expect(await remove(alice.email)).toMatchObject({ error: 'no-factor' });
    expect(await remove('nobody@example.org')).toMatchObject({ error: 'not-found' });
    expect(await eventsOf(alice)).not.toContain('account.two_factor_removed');
  });
});

it('lists invitations, and takes them back', async () => {
  const invitations = server.app.get(InvitationsService);
  const [email, other] = [anAddress(), anAddress()];
  const invitation = await invitations.invite(email);
  const kept = await invitations.invite(other);
  const list = await operator.run('--json', 'admin', 'invites', 'list');
  expect(list.stdout).not.toContain(invitation);
  const rows = JSON.parse(list.stdout) as { id: string; email: string }[];
  expect(rows.map((row) => row.email).sort()).toEqual([email, other].sort());
  expect(await operator.json('admin', 'invites', 'revoke', email)).toEqual({ revoked: 1 });
  expect(await invitations.isOpen(invitation, email)).toBe(false);
  expect(await invitations.isOpen(kept, other)).toBe(true);
  expect(await refused('admin', 'invites', 'revoke', email)).toMatchObject({ error: 'not-found' });
});

it('deletes an account when it is meant, and tells how far that is', async () => {
  const carol = await signUp(server);
  const unsure = await operator.run('admin', 'users', 'delete', carol.email);
  expect([unsure.code, unsure.stderr]).toEqual([2, expect.stringContaining('--yes')]);
  await get(server, 'session/status', carol.authorization).expect(200);
  expect(await refused('users', 'deletion', carol.uid)).toMatchObject({ error: 'not-found' });

  const deleted = await operator.json('admin', 'users', 'delete', carol.email, '--yes');
  expect(deleted).toEqual({ uid: carol.uid });
  await get(server, 'session/status', carol.authorization).expect(401);
  server.app.get(DeletionsService).hurry();
  await server.app.get(DeletionsService).settled();
  expect(await operator.json('users', 'deletion', carol.uid)).toMatchObject({
    ...{ state: 'erased', finished: ISO, waiting: {}, tries: 1 },
  });
  const { stdout } = await operator.run('users', 'deletion', carol.uid);
  expect(stdout).toContain(`${carol.uid}: erased at `);
});

it('tells what a deletion waits for', async () => {
  const uid = 'f'.repeat(32);
  await server.db.query(
    `INSERT INTO deletion (uid, asked_at, tries, next_try_at, waiting)
     VALUES ($1, now(), 3, now() + interval '1 hour', '{"stores": "1 to be deleted on far"}')`,
    [uid],
  );
  const [told, { stdout }] = await Promise.all([
    operator.json('users', 'deletion', uid),
    operator.run('users', 'deletion', uid),
  ]);
  expect(told).toEqual({
    ...{ uid, state: 'erasing', asked: ISO, finished: null, next: ISO, tries: 3 },
    waiting: { stores: '1 to be deleted on far' },
  });
  expect(stdout).toContain(`${uid}: being erased, 3 tries\n  stores     1 to be deleted on far\n`);
});

it('lets another key sign, or ends those that were stolen', async () => {
  type Key = { kid: string; endsAt: string | null };
  const list = () => operator.json<Key[]>('admin', 'signing-keys', 'list');
  const [first] = await list();
  const { kid } = await operator.json<Key>('admin', 'signing-keys', 'rotate');
  expect((await list()).map((key) => [key.kid, key.endsAt])).toEqual([
    [kid, null],
    [first?.kid, ISO],
  ]);
  const { stdout } = await operator.run('admin', 'signing-keys', 'rotate', '--at-once');
  const [last, ...others] = await list();
  expect(stdout).toContain(`${last?.kid ?? ''} signs now.`);
  expect(others).toEqual([]);
});

it('has help with examples, and says what is wrong with a number', async () => {
  const { code, stdout } = await operator.run('admin', '--help');
  expect(code).toBe(0);
  expect(stdout).toContain('$ lockstep admin users list');
  const helped = [['users'], ['invites'], ['sessions'], ['users', 'list']].map((words) =>
    operator.run('admin', ...words, '--help'),
  );
  for (const { code: exit } of await Promise.all(helped)) expect(exit).toBe(0);
  expect((await operator.run('admin', 'users', 'list', '--limit', 'all')).code).toBe(2);
});

it('does not obey what somebody called a device', async () => {
  await server.db.query(`UPDATE device SET name = E'\\u001b[2Jdesk' WHERE uid = $1`, [alice.uid]);
  const { stdout } = await operator.run('admin', 'sessions', 'list', alice.uid);
  expect(stdout).toContain('\uFFFD[2Jdesk');
  expect(stdout).not.toContain('\u001b');
});
