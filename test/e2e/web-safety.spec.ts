import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { crc32 } from 'node:zlib';
import type { Browser } from 'playwright-core';
import { InvitationsService } from '../../apps/server/src/accounts/invitations.service.ts';
import { type Account, bearerOf, mailedCode, mails, signUp } from '../support/account.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

describeWeb('The pages, attacked and without a mouse', () => {
  let server: TestServer;
  let browser: Browser;
  let ada: Account;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    ada = await signUp(server);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  it('are used by keyboard alone', async () => {
    const visitor = await Visitor.at(server, browser);
    const { keyboard } = visitor.page;
    const focused = () => visitor.page.evaluate(() => document.activeElement?.id);
    const tabTo = async (id: string) => {
      for (let i = 0; i < 40 && (await focused()) !== id; i++) await keyboard.press('Tab');
      expect(await focused()).toBe(id);
      // Whoever tabs must see where they are.
      const outline = await visitor.page.evaluate(
        () => getComputedStyle(document.activeElement ?? document.body).outlineStyle,
      );
      expect(outline).toBe('solid');
    };
    await visitor.open('/signin');
    await visitor.sees('enter');
    await tabTo('email');
    await keyboard.type(ada.email);
    await tabTo('password');
    await keyboard.type(ada.password);
    await keyboard.press('Enter');
    await visitor.sees('settings');
    await tabTo('display-name');
    await keyboard.type('Ada Lovelace 🦊');
    await keyboard.press('Enter');
    expect(await visitor.reads('.note')).toBe('Saved.');
    await tabTo('signout');
    await keyboard.press('Space');
    await visitor.sees('enter');
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('scale and re-encode a picture before it leaves', async () => {
    const visitor = await Visitor.at(server, browser);
    await visitor.open('/settings/avatar/change');
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('avatar');
    const choose = (name: string, buffer: Buffer) =>
      visitor.page.setInputFiles('#picture', { name, mimeType: 'image/svg+xml', buffer });
    await choose('note.png', Buffer.from('no picture'));
    expect(await visitor.reads('.problem')).toMatch(/a file that is a picture/);
    // A chunk of text that PNG allows, as cameras write where and when.
    const drawn = await visitor.page.evaluate(async () => {
      const canvas = new OffscreenCanvas(900, 500);
      canvas.getContext('2d')?.fillRect(0, 0, 900, 500);
      const bytes = await (await canvas.convertToBlob()).arrayBuffer();
      return [...new Uint8Array(bytes)];
    });
    const chunk = Buffer.from('tEXtwhere\0at home');
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(chunk.length - 4);
    check.writeUInt32BE(crc32(chunk));
    const text = Buffer.concat([length, chunk, check]);
    const png = Buffer.from(drawn);
    await choose('photo.png', Buffer.concat([png.subarray(0, 33), text, png.subarray(33)]));
    await visitor.page.waitForSelector('img.avatar');
    await visitor.inspects('avatar');
    await visitor.page.click('#save-picture');
    await visitor.sees('settings');
    const picture = visitor.page.locator('img.avatar');
    const shown = await picture.evaluate(async (image: HTMLImageElement) => {
      await image.decode();
      return [image.naturalWidth, image.naturalHeight];
    });
    expect(shown).toEqual([256, 256]);
    expect(visitor.sent.join('\n')).not.toContain('at home');
    await visitor.open('/settings/avatar/change');
    await visitor.page.click('#remove-picture');
    await visitor.sees('settings');
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('confirm an address by a button, and take the code out of the address bar', async () => {
    const { uid, sessionToken } = (await post(server, 'account/create', credentials(anAddress())))
      .body;
    const link = `/verify_email?uid=${uid}&code=${await mailedCode(server, uid)}`;
    const isVerified = async () =>
      (await get(server, 'recovery_email/status', bearerOf(sessionToken))).body.verified as boolean;
    const visitor = await Visitor.at(server, browser);
    await visitor.open(link);
    await visitor.sees('verify');
    expect(visitor.page.url()).toBe(`${server.url}/verify_email`);
    await visitor.inspects('verify');
    expect(await isVerified()).toBe(false);
    await visitor.page.click('#confirm');
    await visitor.sees('verified');
    await visitor.inspects('verified');
    expect(await isVerified()).toBe(true);
    await visitor.open(`/verify_email?uid=${uid}&code=${encodeURIComponent('"><script>')}`);
    await visitor.sees('verify-broken');
    await visitor.inspects('verify-broken');
    await visitor.context.close();
  });

  it('are shown in no frame of another site', async () => {
    const evil: Server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<iframe src="${server.url}/settings"></iframe>`);
    });
    await new Promise<void>((listening) => evil.listen(0, '127.0.0.1', listening));
    const visitor = await Visitor.at(server, browser);
    await visitor.page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
    const frames = visitor.page.frames().filter((frame) => frame !== visitor.page.mainFrame());
    expect(frames).toHaveLength(1);
    // The page is loaded before its frame has become the browser's own complaint.
    await until(async () => {
      await visitor.page.title();
      return frames[0]?.url() !== '';
    });
    expect(frames[0]?.url()).toMatch(/^chrome-error:/);
    await visitor.context.close();
    evil.close();
  });

  it('go nowhere that a link asks them to go', async () => {
    const visitor = await Visitor.at(server, browser);
    const evil = 'https://evil.example/';
    const query = new URLSearchParams(
      ['redirect', 'redirect_to', 'redirect_uri', 'continue', 'next', 'url', 'returnTo'].map(
        (name) => [name, evil],
      ),
    );
    await visitor.open(`/signin?${query.toString()}`);
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('settings');
    expect(new URL(visitor.page.url()).origin).toBe(server.url);
    expect([...visitor.hosts]).toEqual([new URL(server.url).host]);
    await visitor.context.close();
  });

  it('begin a session at each sign-in, and take none from an address', async () => {
    const visitor = await Visitor.at(server, browser);
    const given = '0'.repeat(64);
    await visitor.open(`/settings?sessionToken=${given}&uid=${ada.uid}#sessionToken=${given}`);
    await visitor.sees('enter');
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('settings');
    const first = await visitor.keeps();
    expect(first).not.toContain(given);
    await visitor.page.click('#signout');
    await visitor.sees('enter');
    expect(await visitor.keeps()).toBe('[[],[],""]');
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('settings');
    expect(await visitor.keeps()).not.toBe(first);
    await visitor.context.close();
  });

  it('ask anew when the session was ended elsewhere', async () => {
    const visitor = await Visitor.at(server, browser);
    await visitor.open('/signin');
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('settings');
    await server.db.query('DELETE FROM session WHERE uid = $1', [ada.uid]);
    // By its address: what the page still loads may find out before a link is clicked.
    await visitor.open('/settings/clients');
    await visitor.sees('enter');
    expect(await visitor.keeps()).toBe('[[],[],""]');
    await visitor.context.close();
  });

  it('say so where nothing is, and where only something is said', async () => {
    const visitor = await Visitor.at(server, browser);
    for (const [path, name] of [
      ['/connect_another_device', 'connect-another'],
      ['/post_verify/third_party_auth/set_password', 'has-password'],
    ] as const) {
      await visitor.open(path);
      await visitor.sees(name);
      await visitor.inspects(name);
    }
    await visitor.open('/nowhere');
    expect(await visitor.page.innerText('h1')).toBe('Not Found');
    await visitor.inspects('not-found');
    await visitor.context.close();
  });

  it('let somebody in by a mailed code who is locked out', async () => {
    const strict = await TestServer.start({ BUDGETS: 'all=none,login.pair=1/300' });
    try {
      const bob = await signUp(strict);
      const visitor = await Visitor.at(strict, browser);
      await visitor.open('/signin');
      await visitor.submits({ email: bob.email, password: 'wrong' }, '#signin');
      expect(await visitor.reads('.problem')).toMatch(/is wrong/);
      await visitor.submits({ password: bob.password }, '#signin');
      await visitor.page.waitForSelector('#unblock-code');
      expect(await visitor.reads('.problem')).toMatch(/Too many attempts/);
      await visitor.inspects('enter-locked');
      await visitor.page.click('#send-unblock-code');
      expect(await visitor.reads('.note')).toMatch(/on its way/);
      const letters = (await mails(strict)).flatMap(
        (mail) => /^X-Unblock-Code: (\w{8})$/m.exec(mail)?.[1] ?? [],
      );
      await visitor.submits({ 'unblock-code': letters[0] ?? '' }, '#signin');
      await visitor.sees('settings');
      await visitor.context.close();
    } finally {
      await strict.stop();
    }
  });

  it('say that nothing works without https', async () => {
    const visitor = await Visitor.at(server, browser);
    await visitor.context.addInitScript(() => {
      Object.defineProperty(window, 'isSecureContext', { value: false });
    });
    await visitor.open('/');
    expect(await visitor.reads('.problem')).toMatch(/without https/);
    await visitor.inspects('insecure');
    await visitor.context.close();
  });

  it('ask for an invitation where one is needed', async () => {
    const closed = await TestServer.start({ SIGN_UP: 'invite' });
    try {
      const email = anAddress();
      const visitor = await Visitor.at(closed, browser);
      await visitor.open('/signup');
      await visitor.submits({ email, password: 'pässwörd' }, '#signup');
      expect(await visitor.reads('.problem')).toMatch(/without an invitation/);
      await visitor.inspects('enter-invitation');
      const invitation = await closed.app.get(InvitationsService).invite(email);
      await visitor.submits({ invitation }, '#signup');
      await visitor.sees('settings');
      await visitor.context.close();
    } finally {
      await closed.stop();
    }
  });
});
