import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { WebSocket as NodeWebSocket } from 'ws';
import { z } from 'zod';
import { OLD_SYNC } from '#lib/protocol';
import { readMeeting, SecureChannel } from '../../apps/web/src/pairing/secure-channel.ts';
import { ChannelRefusal } from '../../apps/web/src/pairing/tls-client.ts';
import { mails } from '../support/account.ts';
import { Device } from '../support/firefox/device.ts';
import { findFirefox, Firefox } from '../support/firefox/firefox.ts';
import { freePort, TestServer } from '../support/test-server.ts';

const withFirefox = findFirefox() === undefined ? describe.skip : describe;

// Two browsers, a server and a database on two processors that others use as well.
jest.setTimeout(240_000);

const person = { email: 'zoë@example.org', password: 'correct horse bättery' };
// Node has none of its own before 22.
Object.assign(globalThis, { WebSocket: NodeWebSocket });

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

  const relay = () => server.url.replace(/^http/, 'ws');
  const meetingOf = (code: string) => {
    const meeting = readMeeting(new URL(code).hash);
    if (!meeting) throw new Error(`No meeting in ${code}`);
    return meeting;
  };

  it('do not let anybody in who knows the channel and not the key', async () => {
    const code = await a.pairing.showCode();
    const meeting = meetingOf(code);
    const guessed = { ...meeting, channelKey: new Uint8Array(32) };
    await expect(SecureChannel.connect(relay(), guessed)).rejects.toThrow(ChannelRefusal);
    // And the channel is over: the right key is of no use any more, either.
    await expect(SecureChannel.connect(relay(), meeting)).rejects.toThrow('Nobody waits');
  });

  it('do not connect an app that is no browser, whatever it calls itself', async () => {
    const meeting = meetingOf(await a.pairing.showCode());
    const thief = await SecureChannel.connect(relay(), meeting);
    await thief.send('pair:supp:request', {
      ...{ client_id: 'demo-app', scope: OLD_SYNC, state: 'state', code_challenge: 'x'.repeat(43) },
      ...{ code_challenge_method: 'S256', access_type: 'offline' },
    });
    await thief.next('pair:auth:metadata', z.object({ email: z.literal(person.email) }));
    expect(await a.pairing.refused()).toContain('no browser');
    // Firefox hangs up; and had it not, the server gives it no code for such an app.
    await expect(thief.next('pair:auth:authorize', z.unknown())).rejects.toThrow();
  });

  it('do not connect what the person does not want', async () => {
    const meeting = meetingOf(await a.pairing.showCode());
    const other = await SecureChannel.connect(relay(), meeting);
    await other.send('pair:supp:request', {
      ...{ client_id: '5882386c6d801776', scope: OLD_SYNC, state: 'state' },
      ...{ code_challenge: 'x'.repeat(43), code_challenge_method: 'S256', access_type: 'offline' },
    });
    await other.next('pair:auth:metadata', z.unknown());
    // It says yes for the person of the other device as well; nothing comes of it.
    await other.send('pair:supp:authorize');
    await a.pairing.question();
    await a.pairing.decline();
    await expect(other.next('pair:auth:authorize', z.unknown())).rejects.toThrow(ChannelRefusal);
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
