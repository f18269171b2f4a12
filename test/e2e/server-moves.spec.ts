import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mailedCode } from '../../apps/demo/src/mailbox.ts';
import { DEMO_APP, Person } from '../../apps/demo/src/person.ts';
import {
  Account,
  App,
  authorize,
  type FileReference,
  Files,
  Keys,
  MemoryPinStore,
  Server,
  Sharing,
  Storage,
} from '#lib/client';
import { LaunchedServer } from '../support/launched-server.ts';
import { freePort } from '../support/test-server.ts';

const PHOTO = 'the only copy of a wedding photo';
const platform = { now: () => Date.now() };
const folder = mkdtempSync(join(tmpdir(), 'lockstep-moves-'));
afterAll(() => {
  LaunchedServer.killAll();
  rmSync(folder, { recursive: true, force: true });
});

/** One person's app with a memory of others that outlives the move. */
function device(app: App, pins: MemoryPinStore) {
  const storage = new Storage(app);
  const keys = new Keys(app, pins);
  const parts = { app, keys, storage, files: new Files(app, storage) };
  return { ...parts, sharing: new Sharing(app, parts) };
}

interface Member {
  person: Person;
  pins: MemoryPinStore;
  connected: ReturnType<typeof device>;
}

async function read(files: Files, file: FileReference): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of files.download(file)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

async function start(data: string, host: string) {
  const port = String(await freePort());
  const url = `http://${host}:${port}`;
  const server = LaunchedServer.start({ PORT: port, PUBLIC_URL: url, DATA_DIR: data });
  await server.event('listening');
  return { server, url };
}

it('A server moves with its data to another address: every key, pin, record and file still opens', async () => {
  const [here, there] = [join(folder, 'here'), join(folder, 'there')];
  const before = await start(here, 'localhost');
  const people: Member[] = [];
  for (const name of ['Alice', 'Bob']) {
    const person = new Person(name, before.url, platform);
    await person.signUp((uid) => mailedCode(here, uid));
    const pins = new MemoryPinStore();
    const connected = device((await person.connect()).app, pins);
    await connected.keys.publish();
    people.push({ person, pins, connected });
  }
  const [alice, bob] = people;
  if (!alice || !bob) throw new Error('Nobody came.');
  const found = await alice.connected.keys.discover([bob.person.email]);
  const contact = found.get(bob.person.email);
  if (!contact) throw new Error('Bob was not found.');
  const own = await alice.connected.keys.own();
  const file = await alice.connected.files.upload(new Blob([PHOTO]).stream(), {
    name: 'photo.jpg',
    mime: 'image/jpeg',
    size: PHOTO.length,
  });
  await alice.connected.storage.put('notes', 'first', { text: 'hello' });
  await alice.connected.sharing.shareFile(file, [contact]);

  expect(await before.server.stop()).toBe(0);
  // With owners and modes: as root, the embedded PostgreSQL runs under another account.
  expect(spawnSync('cp', ['-a', here, there]).status).toBe(0);
  rmSync(here, { recursive: true });
  const after = await start(there, '127.0.0.1');
  expect(after.url).not.toBe(before.url);
  const moved = ({ connected: { app }, pins }: Member) =>
    device(App.restore({ ...app.export(), server: after.url }, platform), pins);

  const [aliceThere, bobThere] = [moved(alice), moved(bob)];
  expect((await aliceThere.keys.own()).privateJwk).toEqual(own.privateJwk);
  const again = await aliceThere.keys.discover([bob.person.email]);
  expect(again.get(bob.person.email)).toMatchObject({ isNew: false, uid: contact.uid });
  expect(await aliceThere.storage.get('notes', 'first')).toMatchObject({
    value: { text: 'hello' },
  });
  expect(await read(aliceThere.files, file)).toBe(PHOTO);

  const { items, refused } = await bobThere.sharing.inbox();
  expect(refused).toEqual([]);
  for (const item of items) await bobThere.sharing.accept(item);
  const [shared] = (await bobThere.sharing.accepted()).shares;
  if (shared?.body.typ !== 'file') throw new Error('Bob got no file.');
  expect(await read(bobThere.files, shared.body)).toBe(PHOTO);

  // A device that comes after the move has nothing but address and password.
  const met = await Server.at(after.url, platform);
  const started = await App.start(met, DEMO_APP);
  const account = await Account.signIn(met, alice.person);
  const app = await started.finish((await authorize(account, started.url)).redirect);
  expect(app.kBr).toEqual(alice.connected.app.kBr);
  expect(await after.server.stop()).toBe(0);
});
