import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { StoreHoldsService } from '../../apps/server/src/sync/store-holds.service.ts';
import { MovesService } from '../../apps/server/src/token/moves.service.ts';
import { bearerOf, mailedCode } from '../support/account.ts';
import { Cluster } from '../support/cluster.ts';
import { Device } from '../support/firefox/device.ts';
import { findFirefox, Firefox } from '../support/firefox/firefox.ts';
import { Recording } from '../support/firefox/recording.ts';
import { freePort, TestServer } from '../support/test-server.ts';

const isHere = findFirefox() !== undefined;
const withFirefox = isHere ? describe : describe.skip;
if (!isHere) {
  process.stderr.write(
    'Firefox: skipped, since none is installed. `apt install firefox-esr`, or set FIREFOX_BIN.\n',
  );
}

// Two browsers, a server and a database on two processors that others use as well.
jest.setTimeout(240_000);

const person = { email: 'Zoë.O’Hara@example.org', password: 'correct horse bättery' };
const SITE = 'https://library.example';
/** Of one collection: far more than the story needs. */
const QUOTA_BYTES = 400_000;
const SYNC_MASTER_SECRET = 'a secret that the server and its node share';

withFirefox('Firefox', () => {
  let server: TestServer;
  let recording: Recording;
  let a: Device;
  let b: Device;

  beforeAll(async () => {
    const port = String(await freePort());
    server = await TestServer.start({
      ...{ HOST: '127.0.0.1', PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}` },
      ...{ SYNC_MASTER_SECRET, STORAGE_QUOTA_BYTES: String(QUOTA_BYTES) },
    });
    recording = new Recording(server.app.getHttpServer());
    const start = () => Device.start(server.url, codeFor);
    [a, b] = await Promise.all([start(), start()]);
  });
  afterAll(async () => {
    const { transcript } = recording;
    const [summary = ''] = transcript.split('\n');
    process.stderr.write(`${process.env['FIREFOX_TRANSCRIPT'] ? transcript : summary}\n`);
    await Firefox.killAll();
    await server.stop();
  });

  it('signs up on our page, and uploads what the person has', async () => {
    await a.library.addBookmark({ title: 'Catalogue', url: `${SITE}/catalogue` });
    await a.library.saveLogin({ origin: SITE, username: 'zoe', password: 'reader’s ticket' });
    await a.library.visit(`${SITE}/hours`, 'Opening hours');
    const { email, kid } = await a.signUp(person);
    // Our pages stretch the password with the address in lower case.
    expect(email).toBe(person.email.toLowerCase());
    expect(kid).toMatch(/^\d{13}-[\w-]{22}$/);
    expect(await a.account.state()).toBe('signed_in');
  });

  it('signs in on another device, and gets all of it', async () => {
    await b.signIn(person);
    expect(await b.library.bookmarks(`${SITE}/catalogue`)).toEqual([
      { title: 'Catalogue', url: `${SITE}/catalogue` },
    ]);
    expect(await b.library.logins(SITE)).toEqual([
      { origin: SITE, username: 'zoe', password: 'reader’s ticket' },
    ]);
    expect(await b.library.visits(`${SITE}/hours`)).toBe(1);
  });

  it('carries what the second adds back to the first', async () => {
    await b.library.addBookmark({ title: 'New books', url: `${SITE}/new` });
    await b.library.saveLogin({ origin: `${SITE}:8443`, username: 'zoe', password: 'staff' });
    await b.library.visit(`${SITE}/map`, 'How to find us');
    await b.exchange();
    await a.exchange();
    expect(await a.library.bookmarks(`${SITE}/new`)).toEqual([
      { title: 'New books', url: `${SITE}/new` },
    ]);
    expect(await a.library.logins(`${SITE}:8443`)).toEqual([
      { origin: `${SITE}:8443`, username: 'zoe', password: 'staff' },
    ]);
    expect(await a.library.visits(`${SITE}/map`)).toBe(1);
  });

  it('carries deletions both ways', async () => {
    await a.library.removeBookmarks(`${SITE}/new`);
    await a.library.forgetLogins(SITE);
    await a.exchange();
    await b.exchange();
    expect(await b.library.bookmarks(`${SITE}/new`)).toEqual([]);
    expect(await b.library.logins(SITE)).toEqual([]);

    await b.library.removeBookmarks(`${SITE}/catalogue`);
    await b.library.forgetLogins(`${SITE}:8443`);
    await b.library.forgetVisits(`${SITE}/map`);
    await b.exchange();
    await a.exchange();
    expect(await a.library.bookmarks(`${SITE}/catalogue`)).toEqual([]);
    expect(await a.library.logins(`${SITE}:8443`)).toEqual([]);
    expect(await a.library.visits(`${SITE}/map`)).toBe(0);
    expect(await a.library.visits(`${SITE}/hours`)).toBe(1);
  });

  it('lists both devices on each of them', async () => {
    await a.account.rename('Zoë’s desk');
    await b.account.rename('Zoë’s lap');
    for (const [device, own] of [
      [a, 'Zoë’s desk'],
      [b, 'Zoë’s lap'],
    ] as const) {
      const listed = await device.account.devices();
      expect(listed.map(({ name }) => name).sort()).toEqual(['Zoë’s desk', 'Zoë’s lap']);
      expect(listed.filter(({ isCurrentDevice }) => isCurrentDevice)).toMatchObject([
        { name: own, type: 'desktop', canReceiveTabs: true },
      ]);
    }
  });

  it('sends a tab to the other device', async () => {
    const url = `${server.url}/healthz?sent`;
    const listed = await a.account.devices();
    const target = listed.find(({ isCurrentDevice }) => !isCurrentDevice);
    await a.account.sendTab(target?.id ?? '', { url, title: 'Is it well?' });
    await b.account.fetchCommands();
    await b.library.seeTab(url);
  });

  it('was refused nothing so far but the settings of a store that was new', () => {
    const refused = recording.requests.filter(({ status }) => status >= 400);
    expect(refused.map(({ status, method, path }) => `${status} ${method} ${path}`)).toEqual([
      expect.stringMatching(/^404 GET \/storage\/1\.5\/\d+\/storage\/meta\/global$/),
    ]);
  });

  it('keeps one engine back when its collection is full, and the others go on', async () => {
    const filler = Array.from({ length: 400 }, (_, i) => ({
      title: `${i} `.padEnd(1000, 'long title '),
      url: `${SITE}/shelf/${i}`,
    }));
    await a.library.addBookmarks(filler);
    await a.library.visit(`${SITE}/shelf`, 'The shelf');
    const outcome = await a.sync.attempt();
    expect(outcome.engines).toMatchObject({ bookmarks: 'error.engine.reason.record_upload_fail' });
    expect(Object.keys(outcome.engines)).toEqual(['bookmarks']);
    await b.exchange();
    expect(await b.library.visits(`${SITE}/shelf`)).toBe(1);
    expect(await b.library.bookmarks(`${SITE}/shelf/0`)).toEqual([]);

    await a.library.removeBookmarks(...filler.map(({ url }) => url));
    await a.exchange();
  });

  it('hears how long to stay away, and makes up for it afterwards', async () => {
    const holds = server.app.get(StoreHoldsService);
    const uid = await storeOf(server);
    await holds.change(uid, { state: 'frozen', seconds: 300 });
    await a.library.addBookmark({ title: 'Closed', url: `${SITE}/closed` });
    const outcome = await a.sync.attempt();
    expect(outcome.service).not.toBe('success.status_ok');
    // Up to a quarter more than Retry-After, so that not all come back at once.
    expect(outcome.backoffSeconds).toBeGreaterThanOrEqual(1);
    expect(outcome.backoffSeconds).toBeLessThanOrEqual(1.25);
    expect(await a.account.state()).toBe('signed_in');

    await holds.change(uid, { state: 'open' });
    await a.exchange();
    await b.exchange();
    expect(await b.library.bookmarks(`${SITE}/closed`)).toHaveLength(1);
  });

  it('follows its store to another node', async () => {
    const node = await Cluster.startNode(server.url, { SYNC_MASTER_SECRET });
    try {
      const { name } = await Cluster.join(server, node);
      await server.app.get(MovesService).move(await storeOf(server), name);
      await a.library.addBookmark({ title: 'Moved', url: `${SITE}/moved` });
      await a.sync.attempt(); // ends with the 401 that sends it away
      await a.exchange();
      expect(await a.sync.store()).toContain(node.url);
      await b.sync.attempt();
      await b.exchange();
      expect(await b.library.bookmarks(`${SITE}/moved`)).toHaveLength(1);
      expect(await b.library.bookmarks(`${SITE}/closed`)).toHaveLength(1);
      await server.app.get(MovesService).move(await storeOf(server), 'local');
      for (const device of [a, b]) {
        await device.sync.attempt();
        await device.exchange();
        expect(await device.sync.store()).toContain(server.url);
      }
    } finally {
      await node.stop();
    }
  });

  it('ends device and session with a sign-out, and nothing else', async () => {
    const { sessionToken } = (await b.account.user()) ?? {};
    expect(await statusOf(sessionToken)).toBe(200);
    await b.account.signOut();
    expect(await b.account.state()).toBe('not_configured');
    expect(await statusOf(sessionToken)).toBe(401);
    expect((await a.account.devices()).map(({ name }) => name)).toEqual(['Zoë’s desk']);
    // What was on the device stays there.
    expect(await b.library.visits(`${SITE}/hours`)).toBe(1);
    await a.exchange();
  });

  async function codeFor(email: string): Promise<string> {
    const [account] = await server.db.query<{ uid: string }[]>(
      'SELECT uid FROM account WHERE normal_email = lower($1)',
      [email],
    );
    return mailedCode(server, account?.uid ?? '');
  }

  /** The store that is in use. */
  async function storeOf({ app }: TestServer): Promise<number> {
    const { uid = '' } = (await a.account.user()) ?? {};
    const [store, ...others] = await app.get(MovesService).storesOf(uid);
    expect(others).toEqual([]);
    return store ?? 0;
  }

  /** What the server says to a session. */
  async function statusOf(sessionToken = ''): Promise<number> {
    const asked = server.request().get('/auth/v1/session/status');
    return (await asked.set('authorization', bearerOf(sessionToken))).status;
  }
});
