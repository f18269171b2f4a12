import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { signUp } from '../support/account.ts';
import { TestServer } from '../support/test-server.ts';

const COMMANDS = [
  ...['sign-up', 'verify', 'sign-in', 'sign-out', 'whoami', 'put', 'ls', 'get', 'rm', 'share'],
  ...['share-password', 'inbox', 'accept', 'shares', 'invite'],
  ...['keys publish', 'keys show', 'keys history', 'keys rotate', 'keys revoke', 'keys reset'],
  ...['keys print-revocation', 'keys find', 'keys verify', 'keys watch', 'keys audit'],
];
/** Nobody listens on port 1. */
const NOWHERE = 'http://127.0.0.1:1';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-cli-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
});

/** A server that tells its realm and refuses everything, in words that a terminal would obey. */
let realm = 'AAAAAAAAAAAAAAAAAAAAAA';
let url: string;
const refusing = createServer((request, response) => {
  if (request.url === '/.well-known/lockstep') {
    response.end(JSON.stringify({ name: 'lockstep', version: '1', realm }));
  } else {
    response.writeHead(400).end(JSON.stringify({ code: 400, errno: 107, message: '\u001b[2J' }));
  }
});
beforeAll(async () => {
  await new Promise<void>((done) => refusing.listen(0, '127.0.0.1', done));
  url = `http://127.0.0.1:${(refusing.address() as AddressInfo).port}`;
});
afterAll(() => {
  refusing.close();
});

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs the built command as a script would: no terminal, nothing on standard input. */
function lockstep(args: readonly string[], change: Record<string, string> = {}) {
  const env = { PATH: process.env.PATH, HOME: folder, XDG_CONFIG_HOME: folder, ...change };
  const program = join(process.cwd(), 'dist/apps/cli/src/main.js');
  const child = spawn(process.execPath, [program, ...args], {
    ...{ env, cwd: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const outcome: Outcome = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (outcome.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (outcome.stderr += chunk.toString()));
  return new Promise<Outcome>((done) => {
    child.once('close', (code) => {
      done({ ...outcome, code });
    });
  });
}

it('The help of every command has an example', async () => {
  const all = await Promise.all(COMMANDS.map((name) => lockstep([...name.split(' '), '--help'])));
  for (const [i, { code, stdout }] of all.entries()) {
    expect([COMMANDS[i], code]).toEqual([COMMANDS[i], 0]);
    expect(stdout).toContain('Examples:\n  $ lockstep');
  }
});

it.each([
  ['an unknown command', ['fly']],
  ['a missing argument', ['put']],
  ['an unknown option', ['ls', '--fast']],
  ['an address that is none', ['ls', '--url', 'nowhere']],
  ['a profile that leads elsewhere', ['ls', '--profile', '../x']],
])('Wrong usage has the exit code 2, also in JSON: %s', async (_, args) => {
  const [words, json] = [await lockstep(args), await lockstep([...args, '--json'])];
  expect([words.code, json.code]).toEqual([2, 2]);
  expect(words.stderr).not.toBe('');
  expect(JSON.parse(json.stderr)).toMatchObject({ message: expect.any(String) as string });
  expect(json.stdout).toBe('');
});

it('Wrong usage is one line, which says where the right one stands', async () => {
  const [unknown, choice] = await Promise.all([
    lockstep(['key']),
    lockstep(['keys', 'revoke', '--why', 'so']),
  ]);
  expect(unknown.stderr).toBe(
    "lockstep: unknown command 'key' (Did you mean keys?); see lockstep --help\n",
  );
  expect(choice.stderr).toMatch(
    /^lockstep: option .* superseded; see lockstep keys revoke --help\n$/,
  );
});

it('The help of a command has the options of every command', async () => {
  expect((await lockstep(['keys', 'show', '--help'])).stdout).toMatch(/--profile <name>/);
});

it('Says its version', async () => {
  expect((await lockstep(['--version'])).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

it('Secrets lie in no folder that a relative path leads to, and no password is empty', async () => {
  await writeFile(join(folder, 'empty'), '\n');
  const away = ['sign-in', 'a@example.org', '--url', url, '--password-file', 'empty'];
  const { code, stderr } = await lockstep(away, { XDG_CONFIG_HOME: 'here' });
  expect([code, stderr]).toEqual([2, 'lockstep: The password is empty.\n']);
  expect(await readdir(folder)).not.toContain('here');
  expect(await readdir(join(folder, '.config', 'lockstep', 'default'))).toEqual(['pins.json']);
});

it('Nobody signed in has the exit code 1, no answer the exit code 3', async () => {
  const { code, stderr } = await lockstep(['ls', '--json']);
  const message = 'Nobody is signed in here: lockstep sign-in EMAIL';
  expect([code, JSON.parse(stderr)]).toEqual([1, { error: 'error', message }]);
  const work = await lockstep(['ls', '--profile', 'work']);
  expect([work.code, work.stderr]).toEqual([
    1,
    'lockstep: Nobody is signed in as the profile work: lockstep --profile work sign-in EMAIL\n',
  ]);
  const away = await lockstep(['sign-in', 'a@example.org', '--url', NOWHERE, '--json']);
  expect([away.code, JSON.parse(away.stderr)]).toMatchObject([3, { error: 'network' }]);
});

it('What did not pass a check has the exit code 4', async () => {
  const args = ['verify', '0'.repeat(32), '0'.repeat(32), '--url', url];
  const refused = await lockstep(args);
  expect([refused.code, refused.stderr]).toEqual([1, 'lockstep: \\u{1b}[2J (errno-107)\n']);
  realm = 'BBBBBBBBBBBBBBBBBBBBBA';
  const { code, stderr } = await lockstep([...args, '--json']);
  expect([code, JSON.parse(stderr)]).toMatchObject([4, { error: 'REALM_CHANGED' }]);
});

describe('against a server', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.stop());

  it('A person signs in, stores, lists, fetches and deletes a file, and signs out', async () => {
    const { email, password: typed } = await signUp(server);
    await writeFile(join(folder, 'typed'), typed);
    const run = async (...args: string[]): Promise<unknown> => {
      const { code, stdout, stderr } = await lockstep(['--json', ...args]);
      expect([code, stderr]).toEqual([0, '']);
      return JSON.parse(stdout);
    };
    await run('sign-in', email, '--password-file', 'typed', '--url', server.url);
    const home = join(folder, 'lockstep', 'default');
    expect((await readdir(home)).sort()).toEqual(['credentials.json', 'pins.json']);
    for (const name of await readdir(home)) {
      expect((await stat(join(home, name))).mode & 0o777).toBe(0o600);
      expect(await readFile(join(home, name), 'utf8')).not.toContain(typed);
    }
    await writeFile(join(folder, 'note.txt'), 'a note');
    const { id } = (await run('put', 'note.txt')) as { id: string };
    expect(await run('ls')).toMatchObject([{ id, name: 'note.txt', size: 6 }]);
    expect(await run('get', '--', id, 'copy.txt')).toMatchObject({ path: 'copy.txt' });
    expect(await readFile(join(folder, 'copy.txt'), 'utf8')).toBe('a note');
    await run('rm', '--', id);
    expect(await run('ls')).toEqual([]);
    await run('sign-out');
    expect(await readdir(home)).toEqual(['pins.json']);
  });

  it('A person shares a password and a file, and the other finds, accepts and reads them', async () => {
    const run = async (profile: string, ...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await lockstep(['--profile', profile, ...args]);
      expect([code, stderr.replace(/^.*: first contact, identity remembered\n$/, '')]).toEqual([
        0,
        '',
      ]);
      return stdout;
    };
    await writeFile(join(folder, 'secret'), 'two\nlines');
    await writeFile(join(folder, 'photo.txt'), 'a photo');
    const [alice, bob] = [await signUp(server), await signUp(server)];
    await writeFile(join(folder, 'typed'), alice.password);
    for (const [profile, { email }] of [['alice', alice] as const, ['bob', bob] as const]) {
      await run(profile, 'sign-in', email, '--password-file', 'typed', '--url', server.url);
    }
    const title = 'Net\u001b[2Jflix';
    await run('alice', 'share-password', title, '--to', bob.email, '--secret-file', 'secret');
    await writeFile(join(folder, 'empty'), '\n');
    const secret = ['share-password', title, '--to', bob.email, '--secret-file', 'empty'];
    const none = await lockstep(['--profile', 'alice', ...secret]);
    expect([none.code, none.stderr]).toEqual([2, 'lockstep: The secret is empty.\n']);
    await run('alice', 'share', 'photo.txt', '--to', bob.email);
    const nobody = 'nobody@example.org';
    const sought = await lockstep(['--profile', 'alice', 'keys', 'find', bob.email, nobody]);
    expect([sought.code, sought.stdout.split('  ')[0]]).toEqual([1, bob.email]);
    expect(sought.stderr).toBe(`lockstep: Nobody uses this app at ${nobody}.\n`);
    const shown = (await run('bob', 'inbox')).trimEnd().split('\n');
    expect(shown.map((line) => line.slice(22))).toEqual([
      `  item  from ${alice.uid} (first contact)  Net\\u{1b}[2Jflix`,
      `  file  from ${alice.uid}  photo.txt`,
    ]);
    // Who was looked up by address is shown by it, beside the uid; in JSON it stands on its own.
    await run('bob', 'keys', 'find', alice.email);
    const known = (await run('bob', 'inbox')).trimEnd().split('\n');
    expect(known[1]?.slice(22)).toBe(`  file  from ${alice.email} (${alice.uid})  photo.txt`);
    const json = JSON.parse(await run('bob', 'inbox', '--json')) as { items: object[] };
    expect(json.items[0]).toMatchObject({ from: alice.uid, name: alice.email });
    const [item = '', file = ''] = shown.map((line) => line.slice(0, 22));
    await run('bob', 'accept');
    expect(await run('bob', 'shares')).toContain(`from ${alice.email} (${alice.uid})  photo.txt`);
    expect(await run('bob', 'get', '--', item)).toBe(
      'Net\\u{1b}[2Jflix\npassword: two\n    lines\n',
    );
    await run('bob', 'get', '--', file, 'received.txt');
    expect(await readFile(join(folder, 'received.txt'), 'utf8')).toBe('a photo');
  });
});
