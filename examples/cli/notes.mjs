// A program on the command line: a person lets it in with any browser, and it keeps notes that nobody else reads.
//   node notes.mjs add "buy milk"     node notes.mjs list     node notes.mjs sign-out
import { homedir } from 'node:os';
import { join } from 'node:path';
import { FileAppStore, Lockstep, Storage } from '../../dist/sdk/lockstep-node.js';

process.on('uncaughtException', ({ message }) => {
  console.error(`notes: ${message}`);
  process.exit(1);
});

const home = process.env.XDG_CONFIG_HOME ?? join(homedir(), '.config');
const lockstep = new Lockstep({
  server: process.env.LOCKSTEP_URL ?? 'http://localhost:8000',
  clientId: process.env.CLIENT_ID ?? 'demo-app',
  scopes: ['storage', 'profile'],
  resources: process.env.API ? [process.env.API] : [], // an API of the app's own, such as ../fastify-api
  store: new FileAppStore(join(home, 'lockstep-notes', 'sign-in.json')),
  now: () => Date.now(),
});

const [command, text] = process.argv.slice(2);
if (!['add', 'list', 'sign-out'].includes(command) || (command === 'add') !== Boolean(text)) {
  console.error('usage: node notes.mjs add TEXT | list | sign-out');
  process.exit(2);
}
if (command === 'sign-out') {
  await lockstep.signOut();
  process.exit();
}
const app =
  (await lockstep.app()) ??
  (await lockstep.signInOnDevice(({ userCode, verificationUriComplete }) => {
    console.error(`Open ${verificationUriComplete}\nIt shows the code ${userCode}.`);
  }));

const storage = new Storage(app);
if (command === 'add') await storage.put('notes', String(Date.now()), { text });
const { records } = await storage.records('notes');
for (const { value } of records) console.log(value.text);
if (process.env.API) {
  const answer = await app.fetchFor(process.env.API)(`${process.env.API}/me`);
  console.log(`the API says ${answer.status} ${await answer.text()}`);
}
