import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { mails } from '../support/account.ts';
import { Device } from '../support/firefox/device.ts';
import { Firefox, firefoxVersion } from '../support/firefox/firefox.ts';
import { Recording } from '../support/firefox/recording.ts';
import { freePort, TestServer } from '../support/test-server.ts';

/** The last that can still take keys as those before it did. */
const LAST = 140;
const version = firefoxVersion();
const withOlder = version !== undefined && version <= LAST ? describe : describe.skip;

jest.setTimeout(240_000);

const person = { email: 'zoe@example.org', password: 'correct horse bättery' };
const SITE = 'https://library.example';

withOlder('An older Firefox, which fetches its keys itself', () => {
  let server: TestServer;
  let recording: Recording;
  let a: Device;
  let b: Device;

  beforeAll(async () => {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    server = await TestServer.start({ HOST: '127.0.0.1', PORT: port, PUBLIC_URL: url });
    recording = new Recording(server.app.getHttpServer());
    const older = {
      'identity.fxaccounts.oauth.enabled': false,
      'identity.fxaccounts.contextParam': 'fx_desktop_v3',
    };
    const start = () => Device.start(server.url, mailedCode, older);
    [a, b] = await Promise.all([start(), start()]);
  });
  afterAll(async () => {
    await Firefox.killAll();
    await server.stop();
  });

  const mailedCode = async () => {
    const codes = (await mails(server)).flatMap(
      (mail) => /^X-Verify-Code: (\w+)\r?$/m.exec(mail)?.[1] ?? [],
    );
    return codes.at(-1) ?? '';
  };

  it('signs up, and another gets what it has', async () => {
    expect(await a.account.signInUrl()).toContain('context=fx_desktop_v3');
    await a.library.addBookmark({ title: 'Catalogue', url: `${SITE}/catalogue` });
    await a.library.saveLogin({ origin: SITE, username: 'zoe', password: 'reader’s ticket' });
    const { kid, uid } = await a.signUp(person);
    expect(await b.signIn(person)).toMatchObject({ kid, uid });
    expect(await b.library.bookmarks(`${SITE}/catalogue`)).toHaveLength(1);
    expect(await b.library.logins(SITE)).toMatchObject([{ password: 'reader’s ticket' }]);
    expect(recording.of('GET', '/auth/v1/account/keys')).toHaveLength(2);
    expect(recording.of('POST', '/auth/v1/oauth/authorization')).toEqual([]);
  });

  it('goes on where the password is changed, and elsewhere after it is typed', async () => {
    const { kid, sessionToken } = (await a.account.user()) ?? {};
    const next = { ...person, password: 'a new and bettër one' };
    await a.pages.changePassword(person.password, next.password);
    await a.account.sessionAfter(sessionToken ?? '');
    await b.account.refresh();
    expect(await b.account.state()).toBe('login_failed');
    expect((await b.signIn(next)).kid).toBe(kid);
    await a.library.visit(`${SITE}/hours`, 'Opening hours');
    await a.exchange();
    await b.exchange();
    expect(await b.library.visits(`${SITE}/hours`)).toBe(1);
    for (const { account } of [a, b]) expect(await account.devices()).toHaveLength(2);
  });
});
