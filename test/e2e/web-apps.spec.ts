import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { z } from 'zod';
import {
  deriveToken,
  fromHex,
  generateKeysJwk,
  openKeysBundle,
  openScopedKeys,
  toBase64Url,
  toHex,
  utf8,
  xor,
} from '#lib/crypto';
import { APP_KEY, Hex32, KeysBundle, OLD_SYNC, TokenAnswer } from '#lib/protocol';
import {
  type Account,
  authorizationUrl,
  exchange,
  mailedCode,
  signUp,
} from '../support/account.ts';
import { anAddress, get, hawk, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

const FIREFOX = '5882386c6d801776';
/** What an older Firefox is handed beside the session. */
const KeyAccess = z.object({ keyFetchToken: Hex32, unwrapBKey: Hex32 });
const FIREFOX_AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';

describeWeb('The pages, where an app or a Firefox asks', () => {
  let server: TestServer;
  let browser: Browser;
  let ada: Account;
  let app: HttpServer;
  let callback: string;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    ada = await signUp(server);
    app = createHttpServer((_request, response) => response.end('back in the app'));
    await new Promise<void>((listening) => app.listen(0, '127.0.0.1', listening));
    callback = `http://127.0.0.1:${(app.address() as AddressInfo).port}/callback`;
  });
  afterAll(async () => {
    await browser.close();
    app.close();
    await server.stop();
  });

  /** Begins in an app, and comes to the page. */
  const begin = async (scope: string, keysJwk?: string) => {
    const visitor = await Visitor.at(server, browser);
    const asked = { scope, redirectUri: callback, ...(keysJwk && { keysJwk }) };
    const { url, ...rest } = authorizationUrl(server, asked);
    await visitor.open(url.href);
    const comesBack = async () => {
      await visitor.page.waitForURL((at) => at.href.startsWith(callback));
      return new URL(visitor.page.url()).searchParams;
    };
    return { visitor, comesBack, ...rest };
  };

  it('say who asks for what, and give an app its key and nobody else', async () => {
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const scope = `openid storage ${APP_KEY}`;
    const { visitor, comesBack, verifier, redirectUri, clientId } = await begin(
      scope,
      toBase64Url(utf8(JSON.stringify(publicJwk))),
    );
    await visitor.sees('enter');
    await visitor.inspects('app-sign-in');
    await visitor.submits({ email: ada.email, password: 'wrong' }, '#signin');
    expect(await visitor.reads('.problem')).toMatch(/is wrong/);
    await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
    await visitor.sees('consent');
    const text = await visitor.page.innerText('main');
    expect(text).toContain('read and write its own synced records');
    expect(text).toContain('receive its own encryption key, and no other');
    expect(text).toContain('a program on this device');
    await visitor.inspects('app-consent');
    expect(await visitor.keeps()).toBe('[[],[],""]');
    await visitor.page.click('#allow');
    const code = (await comesBack()).get('code') ?? '';
    const { body } = await exchange(server, { code, verifier, redirectUri, clientId });
    const keys = await openScopedKeys(TokenAnswer.parse(body).keys_jwe ?? '', privateJwk);
    expect(keys).toMatchObject({ [APP_KEY]: { kty: 'oct', scope: 'app:demo-app' } });
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('go back to the app with a refusal, before and after the password', async () => {
    for (const isSignedIn of [false, true]) {
      const { visitor, comesBack } = await begin('openid profile');
      await visitor.sees('enter');
      if (isSignedIn) {
        await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
        await visitor.sees('consent-grown');
      }
      await visitor.page.click('#refuse');
      expect((await comesBack()).get('error')).toBe('access_denied');
      await visitor.context.close();
    }
  });

  it('do nothing for a browser in which nobody began', async () => {
    const { visitor } = await begin('openid');
    await visitor.sees('enter');
    const victim = await Visitor.at(server, browser);
    await victim.open(visitor.page.url());
    await victim.sees('interaction-gone');
    await victim.inspects('app-gone');
    expect(await victim.page.$('#email')).toBeNull();
    await Promise.all([visitor.context.close(), victim.context.close()]);
  });

  describe('to a Firefox', () => {
    interface Message {
      command: string;
      data: Record<string, unknown>;
    }

    /**
     * Answers as a Firefox does on its channel.
     *
     * @param mayLink - undefined for another browser, where nobody answers
     */
    const around = async (
      visitor: Visitor,
      mayLink: boolean | undefined,
      user: object | null,
      engines = ['bookmarks', 'history'],
    ) => {
      const heard: Message[] = [];
      await visitor.context.exposeFunction('hearIt', (message: Message) => heard.push(message));
      await visitor.context.addInitScript(
        ({ ok, signedInUser, engines }) => {
          const capabilities = { choose_what_to_sync: true, engines };
          const answers: Record<string, unknown> = {
            'fxaccounts:fxa_status': { signedInUser, capabilities },
            'fxaccounts:can_link_account': { ok },
          };
          window.addEventListener('WebChannelMessageToChrome', (event) => {
            const { id, message } = JSON.parse((event as CustomEvent<string>).detail) as {
              id: string;
              message: Message & { messageId: string };
            };
            const { hearIt } = window as unknown as { hearIt: (heard: Message) => Promise<void> };
            void hearIt(message);
            if (ok === undefined) return;
            const { command, messageId } = message;
            const data = answers[command] ?? { ok: true };
            const detail = { id, message: { command, messageId, data } };
            setTimeout(() => {
              window.dispatchEvent(new CustomEvent('WebChannelMessageToContent', { detail }));
            });
          });
        },
        { ok: mayLink, signedInUser: user, engines },
      );
      return heard;
    };

    /** Firefox's menu opens the page to sign in. */
    const firefox = async (mayLink: boolean | undefined, user: object | null = null) => {
      const visitor = await Visitor.at(server, browser);
      const heard = await around(visitor, mayLink, user);
      const { publicJwk } = await generateKeysJwk();
      const query = new URLSearchParams({
        ...{ context: 'oauth_webchannel_v1', entrypoint: 'preferences', action: 'email' },
        ...{ service: 'sync', client_id: FIREFOX, response_type: 'code', access_type: 'offline' },
        ...{ scope: `${OLD_SYNC} profile`, state: 'Jx8yRo4HDG3a-7ljgnNHvA' },
        ...{ code_challenge: 'A'.repeat(43), code_challenge_method: 'S256' },
        keys_jwk: toBase64Url(
          utf8(JSON.stringify({ ...publicJwk, ext: true, key_ops: ['deriveKey'] })),
        ),
      });
      await visitor.open(`/?${query.toString()}`);
      return { visitor, heard };
    };
    /** As Firefox's menu did before it took keys by OAuth. */
    const olderFirefox = async () => {
      const visitor = await Visitor.at(server, browser);
      const heard = await around(visitor, true, null, ['creditcards']);
      await visitor.open('/?context=fx_desktop_v3&service=sync&action=email&entrypoint=menu');
      return { visitor, heard };
    };

    /** What an older Firefox makes of the message that signs it in. */
    const kBFor = async (login: Message['data'] | undefined) => {
      const { keyFetchToken: token, unwrapBKey } = KeyAccess.parse(login);
      const signing = { token, kind: 'keyFetchToken', path: 'account/keys' } as const;
      const authorization = await hawk(server, signing);
      const { body } = await get(server, 'account/keys', authorization).expect(200);
      const { bundleKey } = deriveToken(fromHex(token), 'keyFetchToken');
      const { wrapKb } = openKeysBundle(bundleKey, fromHex(KeysBundle.parse(body).bundle));
      return toHex(xor(wrapKb, fromHex(unwrapBKey)));
    };

    /** Gives the code that was mailed to who just signed up. */
    const confirm = async (email: string) => {
      const [row] = await server.db.query('SELECT uid FROM account WHERE email = $1', [email]);
      const code = await mailedCode(server, row.uid);
      await post(server, 'recovery_email/verify_code', { uid: row.uid, code }).expect(200);
    };
    const commands = (heard: Message[]) => heard.map(({ command }) => command.split(':')[1]);

    it('hand session and code in order, and what a new person wants to sync', async () => {
      const { visitor, heard } = await firefox(true);
      await visitor.page.click('summary');
      await visitor.page.uncheck('#sync-history');
      await visitor.inspects('firefox-sign-in');
      const email = anAddress();
      await visitor.submits({ email, password: 'pässwörd' }, '#signup');
      await visitor.sees('confirm');
      await confirm(email);
      await visitor.sees('connected');
      await visitor.inspects('firefox-connected');
      expect(commands(heard)).toEqual([
        ...['fxa_status', 'fxa_status', 'can_link_account', 'login', 'oauth_login'],
      ]);
      const [, , link, login, finish] = heard.map(({ data }) => data);
      const { uid } = link as { uid: string };
      expect(uid).toMatch(/^[0-9a-f]{32}$/);
      expect(login).toMatchObject({
        ...{ uid, verified: true, sessionToken: expect.stringMatching(/^[0-9a-f]{64}$/) },
        services: {
          sync: { offeredEngines: ['bookmarks', 'history'], declinedEngines: ['history'] },
        },
      });
      expect(Object.keys(login ?? {})).not.toContain('unwrapBKey');
      expect(finish).toMatchObject({ action: 'signup', state: 'Jx8yRo4HDG3a-7ljgnNHvA' });
      expect(visitor.complaints).toEqual([]);
      await visitor.context.close();
    });

    it('leave what to sync to the account at a sign-in', async () => {
      const { visitor, heard } = await firefox(true);
      await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
      await visitor.sees('connected');
      expect(heard.find(({ command }) => command === 'fxaccounts:login')?.data).toMatchObject({
        services: { sync: {} },
      });
      await visitor.context.close();
    });

    it('hand an older one, with the session, what it fetches the keys with', async () => {
      const { visitor, heard } = await olderFirefox();
      await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
      await visitor.sees('connected');
      expect(commands(heard)).toEqual(['fxa_status', 'fxa_status', 'can_link_account', 'login']);
      const login = heard.at(-1)?.data;
      const { uid, email } = ada;
      expect(login).toMatchObject({ uid, email, verified: true, services: { sync: {} } });
      expect(await kBFor(login)).toBe(toHex(ada.kB));
      expect(visitor.complaints).toEqual([]);
      await visitor.context.close();
    });

    it('offer an older one what every Firefox syncs, and make it the keys of others', async () => {
      const typed = { email: anAddress(), password: 'pässwörd' };
      const first = await olderFirefox();
      await first.visitor.page.click('summary');
      await first.visitor.page.uncheck('#sync-creditcards');
      await first.visitor.page.uncheck('#sync-tabs');
      await first.visitor.submits(typed, '#signup');
      await first.visitor.sees('confirm');
      await confirm(typed.email);
      await first.visitor.sees('connected');
      const login = first.heard.at(-1)?.data;
      const usual = ['addons', 'bookmarks', 'history', 'passwords', 'prefs', 'tabs'];
      const sync = {
        offeredEngines: [...usual, 'creditcards'],
        declinedEngines: ['tabs', 'creditcards'],
      };
      expect(login).toMatchObject({ verified: true, services: { sync } });

      const second = await olderFirefox();
      await second.visitor.submits(typed, '#signin');
      await second.visitor.sees('connected');
      expect(await kBFor(second.heard.at(-1)?.data)).toBe(await kBFor(login));
      await Promise.all([first, second].map(({ visitor }) => visitor.context.close()));
    });

    it('end the session when Firefox does not take the account', async () => {
      const { visitor, heard } = await firefox(false);
      const sessions = async () =>
        (await server.db.query('SELECT count(*)::int AS n FROM session'))[0].n as number;
      const before = await sessions();
      await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
      await visitor.sees('refused');
      await visitor.inspects('firefox-refused');
      expect(commands(heard)).toEqual(['fxa_status', 'fxa_status', 'can_link_account']);
      expect(await sessions()).toBe(before);
      await visitor.context.close();
    });

    it('have a Firefox register anew that was signed in to this account before', async () => {
      const { visitor, heard } = await firefox(true, { uid: ada.uid, email: ada.email });
      await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
      await visitor.sees('connected');
      expect(commands(heard).slice(2)).toEqual([
        ...['can_link_account', 'login', 'change_password', 'oauth_login'],
      ]);
      await visitor.context.close();
    });

    it('say that no Firefox answers, in another browser, and leave no session there', async () => {
      const sessions = async () =>
        (await server.db.query('SELECT count(*)::int AS n FROM session'))[0].n as number;
      const before = await sessions();
      const { visitor } = await firefox(undefined);
      await visitor.submits({ email: ada.email, password: ada.password }, '#signin');
      await visitor.sees('refused');
      expect(await visitor.page.innerText('main')).toContain('Firefox did not answer');
      expect(await sessions()).toBe(before);
      await visitor.context.close();
    });

    it('know who is signed in to it, and tell it of a new password and of the end', async () => {
      const bob = await signUp(server);
      const { uid, email, sessionToken } = bob;
      const visitor = await Visitor.at(server, browser, FIREFOX_AGENT);
      const heard = await around(visitor, true, { uid, email, sessionToken, verified: true });
      await visitor.open(`/settings?context=oauth_webchannel_v1&uid=${uid}`);
      await visitor.sees('settings');
      await visitor.page.click('a[href="/settings/password"]');
      const typed = { password: bob.password, 'new-password': 'pässwörd two' };
      await visitor.submits(typed, '#save-password');
      await visitor.reads('.note');
      const changed = heard.find(({ command }) => command === 'fxaccounts:change_password')?.data;
      expect(changed).toMatchObject({ uid, email, verified: true });
      expect(changed?.['sessionToken']).not.toBe(sessionToken);
      await visitor.open('/settings/delete');
      await visitor.page.check('#sure');
      await visitor.submits({ password: 'pässwörd two' }, '#delete');
      await visitor.sees('deleted');
      expect(commands(heard).at(-1)).toBe('delete');
      expect(visitor.complaints).toEqual([]);
      await visitor.context.close();
    });

    it('tell it of a sign-out', async () => {
      const bob = await signUp(server);
      const { uid, email, sessionToken } = bob;
      const visitor = await Visitor.at(server, browser, FIREFOX_AGENT);
      const heard = await around(visitor, true, { uid, email, sessionToken, verified: true });
      await visitor.open('/settings');
      await visitor.sees('settings');
      await visitor.page.click('#signout');
      await visitor.page.waitForURL('**/signin');
      expect(heard.at(-1)).toMatchObject({ command: 'fxaccounts:logout', data: { uid } });
      await visitor.context.close();
    });
  });
});
