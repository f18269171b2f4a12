import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sealFormat5 } from '#lib/crypto';
import { CommandLine } from '../support/built-program.ts';
import { Syncer } from '../support/sync-people.ts';
import { TestServer } from '../support/test-server.ts';

interface Synced {
  dryRun: boolean;
  commands: { command: string; args: string[] }[];
  collections: { collection: string; sent: string[]; received: string[]; conflicts: string[] }[];
}

describe('lockstep sync', () => {
  let server: TestServer;
  let alice: Syncer;
  let home: string;
  let phone: { cli: CommandLine; folder: string };
  let laptop: typeof phone;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await Syncer.signUp(server);
    home = await mkdtemp(join(tmpdir(), 'lockstep-sync-'));
    [phone, laptop] = [await device('phone'), await device('laptop')];
  });
  afterAll(async () => {
    await server.stop();
    await rm(home, { recursive: true, force: true });
  });

  async function device(name: string) {
    const { email, password } = alice.credentials;
    const cli = new CommandLine(join(home, name), {
      LOCKSTEP_URL: server.url,
      LOCKSTEP_PASSWORD: password,
    });
    await cli.json('sign-in', email);
    const folder = join(home, name, 'records');
    await mkdir(folder, { recursive: true });
    return { cli, folder };
  }

  const write = async ({ folder }: typeof phone, path: string, value: unknown) => {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), typeof value === 'string' ? value : JSON.stringify(value));
  };
  const read = async ({ folder }: typeof phone, path: string): Promise<unknown> =>
    JSON.parse(await readFile(join(folder, path), 'utf8'));
  const files = async ({ folder }: typeof phone, path: string) =>
    (await readdir(join(folder, path))).sort();
  const sync = ({ cli, folder }: typeof phone, ...options: string[]) =>
    cli.json<Synced>('sync', folder, ...options);

  it('brings two folders into step through the server', async () => {
    const early = await phone.cli.run('--json', 'sync', phone.folder, '--tier', '2');
    expect(early.code).toBe(1);
    expect(JSON.parse(early.stderr)).toMatchObject({ error: 'not-set-up' });
    const show = await phone.cli.run('sync-store', 'show', phone.folder);
    expect(show).toMatchObject({ code: 1, stderr: expect.stringContaining('set up') });
    await write(phone, 'notes/one.json', { text: 'ein Brief' });
    await write(phone, 'tasks/buy%20milk.json', { done: false });
    const first = await sync(phone, '--dry-run');
    expect(first).toMatchObject({
      dryRun: true,
      collections: [
        { collection: 'notes', sent: ['one'] },
        { collection: 'tasks', sent: ['buy milk'] },
      ],
    });
    expect((await (await alice.store()).times()).size).toBe(0);
    await sync(phone);
    expect(await sync(laptop)).toMatchObject({
      collections: [
        { collection: 'notes', received: ['one'] },
        { collection: 'tasks', received: ['buy milk'] },
      ],
    });
    expect(await read(laptop, 'notes/one.json')).toEqual({ id: 'one', text: 'ein Brief' });
    expect(await files(laptop, 'tasks')).toEqual(['buy%20milk.json']);
    await write(laptop, 'notes/two.json', { text: 'zwei' });
    await rm(join(laptop.folder, 'tasks/buy%20milk.json'));
    await sync(laptop);
    await sync(phone);
    expect(await files(phone, 'notes')).toEqual(['one.json', 'two.json']);
    expect(await files(phone, 'tasks')).toEqual([]);
  });

  it('keeps both versions of a conflict, and what it cannot read', async () => {
    await write(phone, 'notes/one.json', { text: 'of the phone' });
    await write(laptop, 'notes/one.json', { text: 'of the laptop' });
    await write(laptop, 'notes/two.json', '{ "half": ');
    await sync(phone);
    const report = await sync(laptop, '--collection', 'notes');
    expect(report.collections).toMatchObject([
      { conflicts: ['one'], skipped: [{ id: 'two', why: 'It is no JSON.' }], deleted: [] },
    ]);
    expect(await read(laptop, 'notes/one.json')).toMatchObject({ text: 'of the phone' });
    const [copy] = await files(laptop, '.lockstep/set-aside/notes');
    expect(copy).toMatch(/^one\.conflict-[0-9a-f]{8}\.json$/);
    expect(await read(laptop, `.lockstep/set-aside/notes/${copy ?? ''}`)).toEqual({
      text: 'of the laptop',
    });
    await write(laptop, 'notes/two.json', { text: 'zwei' });
    expect((await sync(laptop)).collections[0]).toMatchObject({ conflicts: [], skipped: [] });
  });

  it('keeps no secret in the folder, and only its own in the profile', async () => {
    const state = await readFile(join(phone.folder, '.lockstep/state.json'), 'utf8');
    const [key, hex] = [alice.key.k, Buffer.from(alice.key.k).toString('hex')];
    const base64 = Buffer.from(key).toString('base64url');
    expect(state.includes(base64) || state.includes(hex)).toBe(false);
    const saved = join(home, 'phone', 'lockstep', 'default', 'sync-key.json');
    expect(await readFile(saved, 'utf8')).toContain(base64);
    expect(state).not.toContain('ein Brief');
  });

  it('asks for the password again when its key is not the one of the account any more', async () => {
    const path = join(home, 'phone', 'lockstep', 'default', 'sync-key.json');
    const saved = JSON.parse(await readFile(path, 'utf8')) as { kid: string };
    const kid = saved.kid.replace(/^\d+/, '1');
    await writeFile(path, JSON.stringify({ ...saved, kid }));
    const { code, stderr } = await phone.cli.run('sync', phone.folder);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('The keys of the account have changed.'),
    });
    await sync(phone);
    expect(JSON.parse(await readFile(path, 'utf8'))).toEqual(saved);
  });

  it('does not take a folder that is gone for deleted records', async () => {
    await rm(join(laptop.folder, 'notes'), { recursive: true });
    const { code, stderr } = await laptop.cli.run('sync', laptop.folder);
    expect(code).toBe(1);
    expect(stderr).toContain('The folder notes is gone.');
    await rm(join(laptop.folder, '.lockstep'), { recursive: true });
    await sync(laptop);
    expect(await files(laptop, 'notes')).toEqual(['one.json', 'two.json']);
  });

  it('changes keys, reads them as tier 2, and empties a collection everywhere', async () => {
    expect(await phone.cli.json('sync-store', 'rotate-keys', phone.folder)).toMatchObject({
      unreadable: [],
    });
    expect(await sync(laptop, '--tier', '2')).toMatchObject({
      collections: [{ conflicts: [] }, {}],
    });
    const shown = await phone.cli.json('sync-store', 'show', phone.folder);
    expect(shown).toMatchObject({ storageVersion: 5, engines: ['clients', 'notes', 'tasks'] });
    await phone.cli.json('sync-store', 'decline', phone.folder, 'tasks');
    expect((await sync(laptop)).collections).toMatchObject([{}, { status: 'declined' }]);
    await phone.cli.json('sync-store', 'accept', phone.folder, 'tasks');
    expect(await phone.cli.json('sync-store', 'wipe', phone.folder, 'notes')).toEqual({
      collection: 'notes',
      told: 2, // the laptop was two devices: its memory was removed
    });
    expect(await sync(laptop)).toMatchObject({
      commands: [{ command: 'wipeEngine', args: ['notes'] }],
    });
    expect(await files(laptop, 'notes')).toEqual([]);
    expect(await files(laptop, '.lockstep/set-aside/notes')).toHaveLength(2);
    await phone.cli.json('sync-store', 'reset', phone.folder, '--yes');
    await sync(phone);
    expect(await sync(laptop)).toMatchObject({ collections: [{ refused: [] }, {}] });
  });

  it.each([
    ['a folder that is none', () => ['sync', join(home, 'nowhere')], 2, 'is no folder'],
    ['another tier', () => ['sync', phone.folder, '--tier', '3'], 2, 'The tier is 1 or 2'],
    [
      'a collection of the store itself',
      () => ['sync', phone.folder, '--collection', 'clients'],
      2,
      'no collection that can be synced',
    ],
    [
      'a collection that leads out of the folder',
      () => ['sync', phone.folder, '--collection', '..'],
      2,
      'no collection that can be synced',
    ],
    ['a reset that is not meant', () => ['sync-store', 'reset', phone.folder], 2, '--yes'],
    ['to wipe the keys', () => ['sync-store', 'wipe', phone.folder, 'crypto'], 2, 'no collection'],
  ])('refuses %s', async (_, parameters, expected, words) => {
    const { code, stderr } = await phone.cli.run(...parameters());
    expect({ code, stderr }).toEqual({ code: expected, stderr: expect.stringContaining(words) });
  });

  it('refuses a folder of another account', async () => {
    const bob = await Syncer.signUp(server, 'Bob');
    const { email, password } = bob.credentials;
    const cli = new CommandLine(join(home, 'bob'), {
      LOCKSTEP_URL: server.url,
      LOCKSTEP_PASSWORD: password,
    });
    await cli.json('sign-in', email);
    const { code, stderr } = await cli.run('sync', phone.folder);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: expect.stringContaining('belongs to another account'),
    });
  });

  it('writes ids that look like paths into its folder alone', async () => {
    const keys = await alice.keys();
    const store = await alice.store();
    const bundle = keys.collections.get('tasks') ?? keys.default;
    const ids = ['../../escaped', '.hidden', 'a/b', 'CON%2F', '..', '__proto__', 'constructor'];
    const records = ids.map((id) => ({ id, payload: sealFormat5({ id, text: id }, bundle) }));
    const unmodifiedSince = (await store.times()).get('tasks') ?? 0;
    await store.post('tasks', records, { unmodifiedSince });
    await sync(phone);
    expect((await files(phone, 'tasks')).filter((name) => name !== 'buy%20milk.json')).toEqual(
      [
        '%2E..json',
        '%2E.%2F..%2Fescaped.json',
        '%2Ehidden.json',
        'CON%252F.json',
        'a%2Fb.json',
        'constructor.json',
      ].sort(),
    );
    await write(phone, 'tasks/__proto__.json', {});
    expect(await sync(phone)).toMatchObject({
      collections: [{}, { sent: [], deleted: [], skipped: [{ id: '__proto__' }] }],
    });
  });

  it('leaves no key behind when the person signs out', async () => {
    const folder = join(home, 'laptop', 'lockstep', 'default');
    expect(await readdir(folder)).toContain('sync-key.json');
    await laptop.cli.json('sign-out');
    expect(await readdir(folder)).not.toContain('sync-key.json');
  });

  it('ends with 4 when a record does not pass a check', async () => {
    const store = await alice.store();
    const unmodifiedSince = (await store.times()).get('tasks') ?? 0;
    await store.post('tasks', [{ id: 'forged', payload: '{}' }], { unmodifiedSince });
    const { code, stdout } = await phone.cli.run('sync', phone.folder);
    expect(code).toBe(4);
    expect(stdout).toContain(
      'forged: refused. tasks/forged is not under the key of its collection.',
    );
  });
});
