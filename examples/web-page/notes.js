import { BrowserAppStore, Lockstep, Storage } from './lockstep.js';
import { clientId, server } from './settings.js';

const lockstep = new Lockstep({
  server,
  clientId,
  scopes: ['storage', 'profile'],
  store: new BrowserAppStore('notes'), // all tabs share it
  session: sessionStorage, // where the sign-in waits while the page is away
  now: () => Date.now(),
});
const byId = (id) => document.getElementById(id);

/** The sign-in may end elsewhere at any time: then the page begins anew, without it. */
const tell = async (error) => {
  const isOver = error.code === 'invalid_grant' || error.code === 'signed-out';
  if (isOver && (await lockstep.app()) === undefined) location.reload();
  else byId('trouble').textContent = error.message;
};

// After the sign-in the server sends the browser back here, with a code in the address.
const came = lockstep.finishRedirect(location.href).finally(() => {
  history.replaceState(null, '', location.pathname);
});
const app =
  (await came.catch((error) => byId('who').append(`${error.message} `))) ?? (await lockstep.app());

const signIn = async () => {
  location.href = await lockstep.startRedirect(location.origin + location.pathname);
};
const signOut = async () => {
  await lockstep.signOut();
  location.reload();
};
byId('sign-in').onclick = () => signIn().catch(tell);
byId('sign-out').onclick = () => signOut().catch(tell);
byId('sign-in').hidden = app !== undefined;
byId('add').hidden = app === undefined;
byId('who').append(app ? `Signed in as ${app.email}` : 'Nobody is signed in.');

if (app) {
  const storage = new Storage(app);
  const show = (text) => {
    const line = document.createElement('li');
    line.textContent = text;
    byId('notes').append(line);
  };
  const add = async () => {
    const text = byId('text').value;
    await storage.put('notes', String(Date.now()), { text });
    show(text);
    byId('add').reset();
  };
  byId('add').onsubmit = (event) => {
    event.preventDefault();
    add().catch(tell);
  };
  const list = async () => {
    for (const { value } of (await storage.records('notes')).records) show(value.text);
  };
  await list().catch(tell);
}
