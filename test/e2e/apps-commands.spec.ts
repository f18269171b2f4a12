import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { App } from '#lib/protocol';
import { type Account, askToken, authorize, exchange, signUp } from '../support/account.ts';
import { CommandLine } from '../support/built-program.ts';
import { TestServer } from '../support/test-server.ts';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-apps-'));
let server: TestServer;
let operator: CommandLine;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  const url = new URL(process.env.TEST_DATABASE_URL ?? '');
  url.searchParams.set('options', `-c search_path=${server.schema}`);
  operator = new CommandLine(folder, {
    DATABASE_URL: url.href,
    PUBLIC_URL: server.config.publicUrl.href,
  });
  alice = await signUp(server, { email: 'Alice@example.org' });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

type Made = App & { client_secret?: string };
const apps = <T = Made>(...words: string[]) => operator.json<T>('apps', ...words);
/** What a command that must not work says, as one line of JSON. */
const refused = async (...words: string[]) => {
  const { code, stdout, stderr } = await operator.run('--json', 'apps', ...words);
  expect(stdout).toBe('');
  return { code, ...(JSON.parse(stderr) as { error: string; message: string }) };
};
const NOTES = ['--id', 'notes', '--name', 'Notes', '--type', 'native'];
const AT = ['--redirect-uri', 'http://127.0.0.1/callback'];

it('registers an app, which signs people in; shows and lists it; removes it', async () => {
  const scope = 'openid offline_access keys:read';
  const made = await apps('register', ...NOTES, ...AT, '--scope', scope);
  expect(made).toMatchObject({
    client_id: 'notes',
    scope,
    owner: null,
    built_in: false,
    secrets: 0,
  });
  expect(made).not.toHaveProperty('client_secret');
  const authorized = await authorize(server, alice, { clientId: 'notes', scope: 'keys:read' });
  const { body } = await exchange(server, authorized).expect(200);
  const tryKeys = () =>
    server
      .request()
      .get('/keys/v1/me')
      .set('authorization', `Bearer ${body.access_token as string}`);
  await tryKeys().expect(404);
  const [shown, list, words] = await Promise.all([
    apps('show', 'notes'),
    apps<App[]>('list'),
    operator.run('apps', 'list'),
  ]);
  expect(shown).toEqual({ ...made, users: 1 });
  expect(list).toContainEqual(shown);
  expect(words.stdout).toMatch(/^notes +Notes +native +1 people +the operator$/m);
  expect(words.stdout).toMatch(/^demo-app .* comes with the server$/m);

  expect(await refused('remove', 'notes')).toMatchObject({ code: 2 });
  await tryKeys().expect(404);
  expect(await apps('remove', 'notes', '--yes')).toEqual({ client_id: 'notes', users: 1 });
  await tryKeys().expect(401);
  const again = await refused('register', ...NOTES, ...AT);
  expect(again).toEqual({
    ...{ code: 1, error: 'conflict' },
    message: '--id: notes is or was an app’s; a removed one is had again by --reuse.',
  });
  await apps('register', ...NOTES, ...AT, '--reuse');
  const inUse = await operator.run('apps', 'register', ...NOTES, ...AT, '--reuse');
  expect([inUse.code, inUse.stderr]).toEqual([1, 'lockstep: --id: notes is an app’s.\n']);
});

it('changes what is said, and leaves the rest', async () => {
  const uri = 'https://desk.example.org/callback';
  const made = await apps('register', '--name', 'Desk', '--redirect-uri', uri);
  const id = made.client_id;
  const changed = await apps(
    ...['update', id, '--name', 'The desk', '--homepage', 'https://desk.example.org'],
    ...[
      '--owner',
      'alice@EXAMPLE.org',
      '--device',
      '--contact',
      'a@desk.example',
      'b@desk.example',
    ],
  );
  expect(changed).toEqual({
    ...{ ...made, client_name: 'The desk', client_uri: 'https://desk.example.org' },
    grant_types: [...made.grant_types, 'urn:ietf:params:oauth:grant-type:device_code'],
    contacts: ['a@desk.example', 'b@desk.example'],
    owner: { uid: alice.uid, email: 'Alice@example.org' },
    changed_at: expect.any(String) as string,
  });
  const mine = await apps<App[]>('list', '--owner', alice.uid);
  expect(mine.map((one) => one.client_id)).toEqual([id]);
  const back = await apps('update', id, '--homepage', '', '--owner', '');
  expect(back).not.toHaveProperty('client_uri');
  expect(back).toMatchObject({ client_name: 'The desk', owner: null });
  const same = await apps('update', id, '--name', 'The desk', '--owner', '', '--homepage', '');
  expect(same).toEqual(back);
  const nothing = await operator.run('apps', 'update', id);
  expect([nothing.code, nothing.stdout, nothing.stderr]).toEqual([
    ...[2, '', 'lockstep: There is nothing to change: see lockstep apps update --help\n'],
  ]);
  expect(await apps('show', id)).toEqual(back);
  const noCode = await apps(
    ...['register', '--name', 'TV', '--type', 'native', '--device', '--no-code'],
  );
  expect(noCode).toMatchObject({ redirect_uris: [] });
});

it('shows whose API a name is, and takes it away from who should not have it', async () => {
  const API = 'https://api.bob.example/v1';
  const bob = await signUp(server);
  const take = ['--resource', API];
  await apps(
    'register',
    ...['--id', 'squatter', '--name', 'Squat', ...AT, '--type', 'native'],
    ...[...[...take, '--scope', 'openid offline_access', '--owner', alice.uid]],
  );
  const asked = { clientId: 'squatter', scope: 'openid offline_access', resource: API };
  const { body } = await exchange(server, await authorize(server, alice, asked), API).expect(200);
  const bobs = ['--name', 'Bob', ...AT, '--type', 'native', '--owner', bob.uid, ...take];
  expect(await refused('register', ...bobs)).toMatchObject({
    message: `--resource: ${API} is another developer’s.`,
  });
  const { stdout } = await operator.run('apps', 'list');
  expect(stdout).toMatch(/^squatter .* Alice@example\.org +https:\/\/api\.bob\.example\/v1$/m);
  expect((await operator.run('apps', 'show', 'squatter')).stdout).toMatch(
    /^resources +https:\/\/api\.bob\.example\/v1$/m,
  );
  expect(await apps('update', 'squatter', '--resource', '')).not.toHaveProperty('resources');
  const answer = await askToken(server, {
    ...{ grant_type: 'refresh_token', client_id: 'squatter', resource: API },
    refresh_token: (body as { refresh_token: string }).refresh_token,
  });
  expect([answer.status, answer.body]).toMatchObject([400, { error: 'invalid_target' }]);
  await apps('register', ...bobs);
  expect(await refused('update', 'squatter', ...take)).toMatchObject({ error: 'conflict' });
});

it('prints a secret once', async () => {
  const uri = 'https://web.example.org/callback';
  const words = ['--name', 'Web', '--id', 'web', '--redirect-uri', uri];
  const made = await operator.run('apps', 'register', ...words, '--secret', 'post');
  expect(made.stdout).toMatch(/^client_secret +[\w-]{43}$/m);
  const next = await apps<{ client_secret: string }>('rotate-secret', 'web');
  expect(next.client_secret).toMatch(/^[\w-]{43}$/);
  const shown = await apps('show', 'web');
  expect(shown).toMatchObject({
    ...{ secrets: 2, token_endpoint_auth_method: 'client_secret_post' },
  });
  const last = await apps<{ client_secret: string }>('rotate-secret', 'web', '--now');
  const all = JSON.stringify([await apps('show', 'web'), await apps('list')]);
  for (const secret of [next, last]) expect(all).not.toContain(secret.client_secret);
  const rows = await server.db.query(`SELECT FROM oauth_client WHERE metadata::text ~ 'secrets'`);
  expect(rows).toEqual([]);
});

it('says what is wrong', async () => {
  const uri = ['--redirect-uri', 'http://notes.example.org/'];
  expect(await refused('register', '--name', 'X', ...uri)).toEqual({
    ...{ code: 1, error: 'invalid-parameter' },
    message: '--redirect-uri: The address of a web app begins with https://.',
  });
  expect(await refused('register', '--name', 'Firefox', ...AT, '--type', 'native')).toMatchObject({
    ...{ code: 1, error: 'conflict', message: '--name: Another app looks the same.' },
  });
  // Each refusal names the option of the command, whatever the field is called.
  for (const [option, ...words] of [
    ['--id', '--id', 'no id'],
    ['--redirect-uri', '--redirect-uri', `https://notes.example.org/${'x'.repeat(2000)}`],
    ['--scope', ...AT, '--type', 'native', '--scope', 'everything'],
    ['--device, --no-code', '--no-code'],
    ['--secret', ...AT, '--type', 'native', '--secret', 'basic'],
    ['--homepage', '--device', '--no-code', '--homepage', 'http://desk.example.org'],
    ['--contact', '--device', '--no-code', '--contact', 'nobody'],
    ['--resource', '--device', '--no-code', '--resource', 'api'],
    ['--logout-uri', '--device', '--no-code', '--logout-uri', 'https://127.0.0.1/'],
  ]) {
    const { code, message } = await refused('register', '--name', 'Desk', ...words);
    expect([code, message]).toEqual([1, expect.stringMatching(`^${option}: `)]);
  }
  expect(await refused('register', ...AT)).toMatchObject({ code: 2, error: 'usage' });
  expect(await refused('show', 'nobody')).toMatchObject({ code: 1, error: 'not-found' });
  expect(await refused('remove', 'demo-app', '--yes')).toMatchObject({
    ...{ code: 1, error: 'forbidden' },
  });
  expect(await refused('update', '5882386c6d801776', '--name', 'Fox')).toMatchObject({ code: 1 });
  const stranger = ['--owner', 'nobody@example.org'];
  expect(await refused('register', '--name', 'X', '--device', ...stranger)).toMatchObject({
    ...{ code: 1, error: 'not-found' },
  });
});

it('makes an account an operator, and takes it away', async () => {
  const operators = () => operator.json<{ email: string }[]>('admin', 'users', 'operator');
  expect(await operators()).toEqual([]);
  await operator.json('admin', 'users', 'operator', 'alice@example.org');
  await operator.json('admin', 'users', 'operator', alice.uid);
  expect((await operators()).map(({ email }) => email)).toEqual(['Alice@example.org']);
  const mayRegister = async () => {
    const list = server.request().get('/apps/v1/apps').set('authorization', alice.authorization);
    return ((await list.expect(200)).body as { may_register: boolean }).may_register;
  };
  expect(await mayRegister()).toBe(true);
  await operator.json('admin', 'users', 'operator', alice.uid, '--remove');
  expect(await operators()).toEqual([]);
  expect(await mayRegister()).toBe(false);
});
