import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { StoreHoldsService } from '../../apps/server/src/sync/store-holds.service.ts';
import { MovesService } from '../../apps/server/src/token/moves.service.ts';
import { bearerOf, mails } from '../support/account.ts';
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
const NAMES = ['Zoë’s desk', 'Zoë’s lap'];
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
      expect(listed.map(({ name }) => name).sort()).toEqual(NAMES);
      expect(listed.filter(({ isCurrentDevice }) => isCurrentDevice)).toMatchObject([
        { name: own, type: 'desktop', canReceiveTabs: true },
      ]);
    }
  });

  it('sends a tab to the other device', async () => {
    const url = `${server.url}/connect_another_device`;
    const listed = await a.account.devices();
    const target = listed.find(({ isCurrentDevice }) => !isCurrentDevice);
    await a.account.sendTab(target?.id ?? '', { url, title: 'Another device' });
    await b.account.fetchCommands();
    await b.library.seeTab(url);
  });

  it('was refused nothing so far but the settings of a store that was new', () => {
    // 412: the other device was faster; it comes again at the next sync.
    const refused = recording.requests.filter(({ status }) => status >= 400 && status !== 412);
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

  describe('with another password', () => {
    const next = { ...person, password: 'a new and bettër one' };

    it('goes on where it was changed, under one name, and asks elsewhere to sign in again', async () => {
      const before = await userOf(a);
      await a.pages.changePassword(person.password, next.password);
      const after = await a.account.sessionAfter(before.sessionToken ?? '');
      expect(await statusOf(before.sessionToken)).toBe(401);
      expect(after.kid).toBe(before.kid);
      expect(await a.account.state()).toBe('signed_in');
      await a.library.visit(`${SITE}/after`, 'After the change');
      await a.exchange();
      const listed = await a.account.devices();
      expect(listed.map(({ name }) => name)).toEqual(['Zoë’s desk']);

      await b.account.refresh();
      expect(await b.account.state()).toBe('login_failed');
      expect(await userOf(b)).toMatchObject({ uid: before.uid, sessionToken: null });
    });

    it('goes on there when somebody signs in again, and has everything once', async () => {
      const before = await userOf(a);
      const store = await storeOf(server);
      expect((await b.signIn(next)).kid).toBe(before.kid);
      expect(await storeOf(server)).toBe(store);
      await b.exchange();
      expect(await b.library.visits(`${SITE}/after`)).toBe(1);
      await expectSame();
    });
  });

  describe('after a reset of the password', () => {
    const forgotten = { ...person, password: 'wrote it down this time' };
    const again = { ...person, password: 'and did not find the note' };

    it('starts anew without a recovery key: other keys, another store, filled from the device', async () => {
      const before = await userOf(b);
      const store = await storeOf(server);
      await b.pages.resetPassword(forgotten);
      await b.account.refresh();
      expect(await b.account.state()).toBe('login_failed');
      const { kid, uid } = await b.signIn(forgotten);
      expect(uid).toBe(before.uid);
      expect(kid).not.toBe(before.kid);
      expect(Number(kid?.split('-')[0])).toBeGreaterThan(Number(before.kid?.split('-')[0]));
      expect(await storeOf(server)).not.toBe(store);

      await a.account.refresh();
      expect(await a.account.state()).toBe('login_failed');
      expect((await a.signIn(forgotten)).kid).toBe(kid);
      await expectSame();
    });

    it('keeps keys and store with a recovery key', async () => {
      const before = await userOf(a);
      const store = await storeOf(server);
      const recoveryKey = await a.pages.makeRecoveryKey(forgotten.password);
      await b.pages.resetPassword(again, recoveryKey);
      await b.account.refresh();
      expect(await b.account.state()).toBe('login_failed');
      expect((await b.signIn(again)).kid).toBe(before.kid);
      await a.account.refresh();
      expect((await a.signIn(again)).kid).toBe(before.kid);
      expect(await storeOf(server)).toBe(store);
      await expectSame();
    });

    it('ends device and session with a sign-out, and nothing else', async () => {
      const { sessionToken } = await userOf(b);
      expect(await statusOf(sessionToken)).toBe(200);
      await b.account.signOut();
      expect(await b.account.state()).toBe('not_configured');
      expect(await statusOf(sessionToken)).toBe(401);
      expect(await a.account.devices()).toMatchObject([{ isCurrentDevice: true }]);
      // What was on the device stays there.
      expect(await b.library.visits(`${SITE}/hours`)).toBe(1);
      await a.exchange();
      await b.signIn(again);
      await expectSame();
    });

    it('signs everybody out when the account is deleted', async () => {
      await a.pages.remove(again.password);
      await a.account.signedOut();
      await b.account.refresh();
      await b.account.signedOut();
      for (const { account } of [a, b]) await account.reaches('not_configured');
      expect(await b.library.visits(`${SITE}/hours`)).toBe(1);
    });
  });

  /** Both are listed, and have all of the story, and nothing of it twice. */
  async function expectSame(): Promise<void> {
    expect(await a.account.devices()).toHaveLength(2);
    for (const device of [a, b]) {
      await device.exchange();
      for (const page of ['closed', 'moved']) {
        expect(await device.library.bookmarks(`${SITE}/${page}`)).toHaveLength(1);
      }
      for (const page of ['hours', 'shelf', 'after']) {
        expect(await device.library.visits(`${SITE}/${page}`)).toBe(1);
      }
      for (const page of ['catalogue', 'new']) {
        expect(await device.library.bookmarks(`${SITE}/${page}`)).toEqual([]);
      }
    }
  }

  async function userOf({ account }: Device) {
    const user = await account.user();
    if (!user) throw new Error('Nobody is signed in.');
    return user;
  }

  /** The newest code that was mailed, of whichever kind. There is one person. */
  async function codeFor(email: string): Promise<string> {
    const header = /^X-(?:Verify-Code|Password-Forgot-Otp): (\w+)\r?$/m;
    const codes = (await mails(server)).flatMap((mail) => header.exec(mail)?.[1] ?? []);
    const code = codes.at(-1);
    if (code === undefined) throw new Error(`No code was mailed to ${email}.`);
    return code;
  }

  /** The store that is in use. */
  async function storeOf({ app }: TestServer): Promise<number> {
    const { uid } = await userOf(a);
    const [store, ...others] = await app.get(MovesService).storesOf(uid);
    expect(others).toEqual([]);
    return store ?? 0;
  }

  /** What the server says to a session. */
  async function statusOf(sessionToken: string | null): Promise<number> {
    const asked = server.request().get('/auth/v1/session/status');
    return (await asked.set('authorization', bearerOf(sessionToken ?? ''))).status;
  }
});
