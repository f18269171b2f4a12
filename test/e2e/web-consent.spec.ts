import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { scopes as sentences } from '../../apps/web/src/strings/consent.ts';
import { generateKeysJwk, openScopedKeys, toBase64Url, utf8 } from '#lib/crypto';
import { apiByScope, APP_KEY, NEW_SESSION } from '#lib/protocol';
import { type Account, authorizationUrl, exchange, signUp } from '../support/account.ts';
import { beginDevice, poll } from '../support/device.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

it('Every scope that an app may ask for has its sentence', () => {
  const own = ['openid', 'profile', 'profile:write', 'offline_access', APP_KEY, NEW_SESSION];
  for (const scope of [...own, ...Object.keys(apiByScope)]) {
    expect(sentences[scope]).toMatch(/^[a-z].{10}/);
  }
});

describeWeb('The pages where somebody lets an app in', () => {
  let server: TestServer;
  let browser: Browser;
  let app: HttpServer;
  let callback: string;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    app = createHttpServer((_request, response) => response.end('back in the app'));
    await new Promise<void>((listening) => app.listen(0, '127.0.0.1', listening));
    callback = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`;
  });
  afterAll(async () => {
    await browser.close();
    app.close();
    await server.stop();
  });

  const keyPair = async () => {
    const { publicJwk, privateJwk } = await generateKeysJwk();
    return { privateJwk, keysJwk: toBase64Url(utf8(JSON.stringify(publicJwk))) };
  };
  /** Comes to the page from the app. */
  const begin = async (visitor: Visitor, scope: string, more: Record<string, string> = {}) => {
    const { keysJwk, ...query } = more;
    const asked = { scope, redirectUri: callback, ...(keysJwk !== undefined && { keysJwk }) };
    const { url, ...rest } = authorizationUrl(server, asked);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    await visitor.open(url.href);
    return rest;
  };
  const comesBack = async (visitor: Visitor) => {
    await visitor.page.waitForURL((at) => at.href.startsWith(callback));
    return new URL(visitor.page.url()).searchParams;
  };
  const enters = (visitor: Visitor, { email, password }: Account) =>
    visitor.submits({ email, password }, '#signin');
  /** Signs in on the settings, in this tab. */
  const signsIn = async (visitor: Visitor, account: Account) => {
    await visitor.open('/signin');
    await enters(visitor, account);
    await visitor.sees('settings');
  };

  it('ask for everything once, then for the password, then for what is new alone', async () => {
    const ada = await signUp(server);
    const visitor = await Visitor.at(server, browser);
    const { keysJwk, privateJwk } = await keyPair();
    await begin(visitor, `openid storage ${APP_KEY}`, { keysJwk });
    await visitor.sees('enter');
    expect(await visitor.page.innerText('main')).toContain('It comes with this server');
    await enters(visitor, ada);
    await visitor.sees('consent');
    const first = await visitor.page.innerText('main');
    expect(first).toContain('cannot read the data of other apps');
    expect(await visitor.page.$('.tag')).toBeNull();
    await visitor.inspects('consent');
    await visitor.page.click('#allow');
    expect((await comesBack(visitor)).get('code')).toBeTruthy();

    // The same once more: it goes on by itself, with the key.
    const asked = await begin(visitor, `openid storage ${APP_KEY}`, { keysJwk });
    await visitor.sees('enter');
    await enters(visitor, ada);
    const code = (await comesBack(visitor)).get('code') ?? '';
    const { body } = await exchange(server, { ...asked, code });
    expect(await openScopedKeys(body.keys_jwe, privateJwk)).toHaveProperty(APP_KEY);

    await begin(visitor, `openid storage files ${APP_KEY}`, { keysJwk });
    await visitor.sees('enter');
    await enters(visitor, ada);
    await visitor.sees('consent-grown');
    expect(await visitor.page.$$eval('li:has(.tag)', (all) => all.map((li) => li.dataset))).toEqual(
      [{ scope: 'files' }],
    );
    await visitor.inspects('consent-grown');
    await visitor.page.click('#refuse');
    expect((await comesBack(visitor)).get('error')).toBe('access_denied');
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('say to who is signed in that the app is known: a button, or the password for keys', async () => {
    const ada = await signUp(server);
    const visitor = await Visitor.at(server, browser);
    await signsIn(visitor, ada);
    const { keysJwk } = await keyPair();
    await begin(visitor, `openid ${APP_KEY}`, { keysJwk });
    await visitor.sees('enter');
    await enters(visitor, ada);
    await visitor.sees('consent');
    await visitor.page.click('#allow');
    await comesBack(visitor);

    await begin(visitor, 'openid');
    await visitor.sees('consent-known');
    await visitor.inspects('consent-known');
    await visitor.page.click('#allow');
    expect((await comesBack(visitor)).get('code')).toBeTruthy();

    await begin(visitor, `openid ${APP_KEY}`, { keysJwk });
    await visitor.sees('enter');
    expect(await visitor.page.innerText('main')).toContain('It asks for nothing new');
    await visitor.inspects('consent-known-keys');
    await enters(visitor, ada);
    expect((await comesBack(visitor)).get('code')).toBeTruthy();

    // Who asks for the password, or for consent, in so many words, gets it.
    await begin(visitor, 'openid', { prompt: 'login' });
    await visitor.sees('enter');
    await begin(visitor, 'openid', { prompt: 'consent' });
    await visitor.sees('enter');
    await enters(visitor, ada);
    await visitor.sees('consent');
    await visitor.context.close();
  });

  it('show the apps that were let in, and take everything back from one', async () => {
    const ada = await signUp(server);
    const visitor = await Visitor.at(server, browser);
    await signsIn(visitor, ada);
    const asked = await begin(visitor, 'openid storage');
    await visitor.sees('enter');
    await enters(visitor, ada);
    await visitor.sees('consent');
    await visitor.page.click('#allow');
    const code = (await comesBack(visitor)).get('code') ?? '';
    const { body } = await exchange(server, { ...asked, code }).expect(200);

    await visitor.open('/settings/clients');
    await visitor.page.waitForSelector('[data-app="demo-app"]');
    await visitor.page.click('[data-app="demo-app"] summary');
    const text = await visitor.page.innerText('[data-app="demo-app"]');
    expect(text).toContain('last used');
    expect(text).toContain('read and write its own synced records');
    expect(text).not.toContain('public key');
    // The app, and the session made for it, stand there once.
    expect(await visitor.page.$$('[data-client]')).toHaveLength(2);
    await visitor.inspects('connected-apps');
    await visitor.page.click('[data-app="demo-app"] .danger');
    expect(await visitor.reads('.note')).toContain('no access any more');
    await visitor.page.waitForSelector('[data-app]', { state: 'detached' });
    await visitor.inspects('connected-apps-none');
    const refreshed = await server
      .request()
      .post('/oauth2/token')
      .type('form')
      .send({
        ...{ grant_type: 'refresh_token', client_id: 'demo-app' },
        refresh_token: body.refresh_token,
      });
    expect(refreshed.status).toBe(400);
    await begin(visitor, 'openid storage');
    await visitor.sees('enter');
    await enters(visitor, ada);
    await visitor.sees('consent');
    await visitor.context.close();
  });

  describe('on a device', () => {
    it('show code, app and warning before and after the password, and give the key', async () => {
      const ada = await signUp(server);
      const { keysJwk, privateJwk } = await keyPair();
      const asked = { scope: `openid storage ${APP_KEY}`, keys_jwk: keysJwk };
      const { device_code: deviceCode, user_code: userCode } = await beginDevice(server, asked);
      const visitor = await Visitor.at(server, browser);
      await visitor.open('/device');
      await visitor.sees('device');
      await visitor.inspects('device');
      await visitor.submits({ 'user-code': 'BBBB-BBBB' }, '#look-up');
      expect(await visitor.reads('.problem')).toMatch(/No device shows this code/);
      await visitor.submits({ 'user-code': userCode.toLowerCase().replace('-', ' ') }, '#look-up');
      await visitor.sees('enter');
      const before = await visitor.page.innerText('main');
      expect(before).toContain(userCode);
      expect(before).toContain('If somebody sent you a link or a code');
      await visitor.inspects('device-sign-in');
      await enters(visitor, ada);
      await visitor.sees('device-consent');
      const text = await visitor.page.innerText('main');
      expect(text).toContain(userCode);
      expect(text).toContain('Does your device show this code?');
      expect(text).toContain('read and write its own synced records');
      await visitor.inspects('device-consent');
      expect((await poll(server, deviceCode)).body.error).toBe('authorization_pending');
      await visitor.page.click('#allow');
      await visitor.sees('device-done');
      await visitor.inspects('device-done');
      const { body } = await poll(server, deviceCode).expect(200);
      expect(await openScopedKeys(body.keys_jwe, privateJwk)).toHaveProperty(APP_KEY);
      expect(await visitor.keeps()).toBe('[[],[],""]');
      expect(visitor.complaints).toEqual([]);
      await visitor.context.close();
    });

    it('do nothing by a link alone, take its code out of the address, and can refuse', async () => {
      const asked = await beginDevice(server, { scope: 'openid' });
      const visitor = await Visitor.at(server, browser);
      await visitor.open(new URL(asked.verification_uri_complete).pathname + queryOf(asked));
      await visitor.sees('device');
      expect(await visitor.page.inputValue('#user-code')).toBe(asked.user_code);
      expect(visitor.sent.some((request) => request.includes('/oauth2/device/'))).toBe(false);
      await visitor.page.click('#look-up');
      await visitor.sees('enter');
      expect(new URL(visitor.page.url()).search).toBe('');
      await visitor.page.click('#refuse');
      await visitor.sees('device-refused');
      await visitor.inspects('device-refused');
      expect((await poll(server, asked.device_code)).body.error).toBe('access_denied');
      await visitor.context.close();
    });
  });

  it('are in no frame of another site', async () => {
    const visitor = await Visitor.at(server, browser);
    const frame = createHttpServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end(`<iframe src="${server.url}/device"></iframe>`);
    });
    await new Promise<void>((listening) => frame.listen(0, '127.0.0.1', listening));
    await visitor.page.goto(`http://127.0.0.1:${(frame.address() as AddressInfo).port}/`);
    const inner = await (await visitor.page.waitForSelector('iframe')).contentFrame();
    expect(await inner?.$('main')).toBeNull();
    for (const path of ['/device', '/oauth2/interaction/some-id']) {
      const { headers } = await server.request().get(path).expect(200);
      expect(headers['content-security-policy']).toContain("frame-ancestors 'none'");
    }
    frame.close();
    await visitor.context.close();
  });
});

const queryOf = ({ verification_uri_complete: uri }: { verification_uri_complete: string }) =>
  new URL(uri).search;
