import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mails } from '../support/account.ts';
import { Device } from '../support/firefox/device.ts';
import { findFirefox, Firefox } from '../support/firefox/firefox.ts';
import { freePort, TestServer } from '../support/test-server.ts';

const withFirefox = findFirefox() === undefined ? describe.skip : describe;

// Two browsers, a server and a database on two processors that others use as well.
jest.setTimeout(240_000);

const person = { email: 'zoë@example.org', password: 'correct horse bättery' };
const SITE = 'https://library.example';

withFirefox('Two Firefoxes', () => {
  let server: TestServer;
  let a: Device;
  let b: Device;

  beforeAll(async () => {
    const port = String(await freePort());
    server = await TestServer.start({
      ...{ HOST: '127.0.0.1', PORT: port, PUBLIC_URL: `http://127.0.0.1:${port}` },
    });
    const start = () => Device.start(server.url, async () => (await codes(server)).at(-1) ?? '');
    [a, b] = await Promise.all([start(), start()]);
    await a.library.addBookmark({ title: 'Catalogue', url: `${SITE}/catalogue` });
    await a.signUp(person);
  });
  afterAll(async () => {
    await Firefox.killAll();
    await server.stop();
  });

  it('pair: the one shows a code, and the other is signed in without a password', async () => {
    const code = await a.pairing.showCode();
    expect(code.startsWith(`${server.url}/pair#channel_id=`)).toBe(true);
    await b.pairing.scan(code);
    expect(await b.pairing.asked()).toContain(person.email);
    const question = await a.pairing.question();
    for (const fact of [person.email, 'Firefox on Linux', '127.0.0.1']) {
      expect(question).toContain(fact);
    }
    await a.pairing.approve();
    await b.pairing.confirm();
    await a.pairing.approved();
    const user = await b.pairing.signedIn();
    expect(user.email).toBe(person.email);
    expect(user.kid).toBe((await a.account.user())?.kid);
  });

  it('sync with each other', async () => {
    await b.sync.idle();
    expect(await b.library.bookmarks(`${SITE}/catalogue`)).toEqual([
      { title: 'Catalogue', url: `${SITE}/catalogue` },
    ]);
    await b.library.addBookmark({ title: 'New', url: `${SITE}/new` });
    await b.exchange();
    await a.exchange();
    expect(await a.library.bookmarks(`${SITE}/new`)).toHaveLength(1);
  });
});

/** The codes that were mailed to confirm an address. */
async function codes(server: TestServer): Promise<string[]> {
  return (await mails(server)).flatMap(
    (mail) => /^X-Verify-Code: (\w+)\r?$/m.exec(mail)?.[1] ?? [],
  );
}
