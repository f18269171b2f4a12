import { createHash, randomBytes } from 'node:crypto';
import type { Browser } from 'playwright-core';
import {
  deriveOldSyncKey,
  fromBase64Url,
  fromUtf8,
  generateKeysJwk,
  type KeysPublicJwk,
  openScopedKeys,
  sealScopedKeys,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { NEW_SESSION, OLD_SYNC, ScopedKeyDataByScope } from '#lib/protocol';
import { type Account, signUp } from '../support/account.ts';
import { Authority } from '../support/authority.ts';
import { TestServer } from '../support/test-server.ts';
import { describeWeb, launchChromium, Visitor } from '../support/web.ts';

const ANDROID = 'a2270f727f45f648';
const OUT_OF_BAND = 'urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel';
const PAIR_AUTHORITY = 'urn:ietf:wg:oauth:2.0:oob:pair-auth-webchannel';

/** What a Firefox around the page is told, and what it answers; undefined for nothing. */
type Answers = (command: string, data: Record<string, string>) => object | undefined;

describeWeb('Pairing, in the pages', () => {
  let server: TestServer;
  let browser: Browser;
  let zoe: Account;
  beforeAll(async () => {
    server = await TestServer.start();
    browser = await launchChromium();
    zoe = await signUp(server);
  });
  afterAll(async () => {
    await browser.close();
    await server.stop();
  });

  /** Somebody at a browser that behaves as a Firefox does towards its pages. */
  async function inFirefox(answers: Answers) {
    const visitor = await Visitor.at(server, browser);
    const told: [string, Record<string, string>][] = [];
    await visitor.context.exposeFunction('toFirefox', (command: string, data: string) => {
      const heard = JSON.parse(data) as Record<string, string>;
      told.push([command.replace('fxaccounts:', ''), heard]);
      return answers(command.replace('fxaccounts:', ''), heard);
    });
    await visitor.context.addInitScript(() => {
      window.addEventListener('WebChannelMessageToChrome', (event) => {
        const { id, message } = JSON.parse((event as CustomEvent<string>).detail) as {
          id: string;
          message: { command: string; data: object };
        };
        const { toFirefox } = window as unknown as {
          toFirefox: (command: string, data: string) => Promise<object | undefined>;
        };
        void toFirefox(message.command, JSON.stringify(message.data)).then((data) => {
          const detail = { id, message: { ...message, data } };
          if (data) window.dispatchEvent(new CustomEvent('WebChannelMessageToContent', { detail }));
        });
      });
    });
    return { visitor, told };
  }

  /** What a telephone asks for, and what it keeps to itself. */
  async function phone() {
    const verifier = randomBytes(32).toString('base64url');
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const query = {
      ...{ client_id: ANDROID, scope: `profile ${OLD_SYNC} ${NEW_SESSION}` },
      ...{ state: randomBytes(16).toString('base64url'), access_type: 'offline' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      ...{ code_challenge_method: 'S256', context: 'oauth_webchannel_v1' },
      keys_jwk: toBase64Url(utf8(JSON.stringify(publicJwk))),
    };
    return { verifier, privateJwk, query };
  }
  const address = (query: Record<string, string>, { fragment }: { fragment: string }) =>
    `/pair/supp?${new URLSearchParams(query).toString()}${fragment}`;

  /** A code for what was asked, as the Firefox that shows the QR code gets it. */
  async function grant(asked: Record<string, string>, by = zoe) {
    const { client_id = '', scope = '', keys_jwk: keysJwk = '' } = asked;
    const post = (path: string, json: object) =>
      server.request().post(`/auth/v1/${path}`).set('authorization', by.authorization).send(json);
    const data = await post('account/scoped-key-data', { client_id, scope }).expect(200);
    const { keyRotationTimestamp } = ScopedKeyDataByScope.parse(data.body)[OLD_SYNC] ?? {};
    const { k, kid } = deriveOldSyncKey(by.kB, keyRotationTimestamp ?? 0);
    const jwk = JSON.parse(fromUtf8(fromBase64Url(keysJwk))) as KeysPublicJwk;
    const keysJwe = await sealScopedKeys(jwk, {
      [OLD_SYNC]: { kty: 'oct', k: toBase64Url(k), kid, scope: OLD_SYNC },
    });
    const rest = Object.fromEntries(Object.entries(asked).filter(([name]) => name !== 'keys_jwk'));
    const answer = await post('oauth/authorization', {
      ...rest,
      ...{ response_type: 'code', keys_jwe: keysJwe },
    }).expect(200);
    return answer.body as { code: string; state: string; redirect: string };
  }

  const noFirefox = () => undefined;

  /** A telephone that scanned the code, and knows whose it is; `data` is what it asked for. */
  async function scanned() {
    const { query } = await phone();
    const authority = await Authority.open(server.url, randomBytes(32));
    const { visitor, told } = await inFirefox(noFirefox);
    await visitor.open(address(query, authority));
    const { data } = await authority.next();
    authority.send('pair:auth:metadata', { email: zoe.email });
    return { authority, visitor, told, data };
  }

  it('sign a telephone in that redeems the code itself', async () => {
    const { verifier, privateJwk, query } = await phone();
    const authority = await Authority.open(server.url, randomBytes(32));
    const { visitor, told } = await inFirefox(noFirefox);
    await visitor.open(address(query, authority));

    const { message, data } = await authority.next();
    expect([message, { ...data, context: query.context }]).toEqual(['pair:supp:request', query]);
    const account = { email: zoe.email, deviceName: 'Zoë’s <b>desk</b>', displayName: 'Zoë' };
    authority.send('pair:auth:metadata', { ...account, avatar: 'https://elsewhere.example/a' });
    await visitor.sees('supplicant');
    const page = await visitor.page.innerText('main');
    for (const fact of [zoe.email, 'Zoë’s <b>desk</b>']) expect(page).toContain(fact);
    await visitor.inspects('supplicant');
    // The key is in no address any more, and nobody was sent it.
    expect(new URL(visitor.page.url()).hash + new URL(visitor.page.url()).search).toBe('');
    expect(told).toEqual([]);

    await visitor.page.click('#confirm-pairing');
    expect(await authority.next()).toEqual({ message: 'pair:supp:authorize' });
    await visitor.sees('supplicant-waiting');
    await visitor.inspects('supplicant-waiting');
    const { code, state, redirect } = await grant(data);
    authority.send('pair:auth:authorize', { code, state, redirect });
    await authority.close();
    await visitor.sees('supplicant-done');
    await visitor.inspects('supplicant-done');
    expect(told).toEqual([
      ['oauth_login', { action: 'pairing', code, state, redirect: OUT_OF_BAND }],
    ]);

    const redeemed = await server
      .request()
      .post('/auth/v1/oauth/token')
      .send({ grant_type: 'authorization_code', client_id: ANDROID, code, code_verifier: verifier })
      .expect(200);
    const token = redeemed.body as { keys_jwe: string; session_token: string };
    expect(token.session_token).toMatch(/^[0-9a-f]{64}$/);
    const keys = await openScopedKeys(token.keys_jwe, privateJwk);
    expect(keys[OLD_SYNC]?.k).toHaveLength(86);

    const key = authority.key.toString('base64url');
    expect(visitor.sent.filter((sent) => sent.includes(key))).toEqual([]);
    expect(await visitor.keeps()).not.toContain(key);
    expect([...visitor.hosts]).toEqual([new URL(server.url).host]);
    expect(visitor.complaints).toEqual([]);
    await visitor.context.close();
  });

  it('hand no code over that was given to somebody else', async () => {
    const { authority, visitor, told } = await scanned();
    await visitor.page.click('#confirm-pairing');
    authority.send('pair:auth:authorize', { code: 'of an attacker', state: 'another' });
    await visitor.sees('supplicant-failed');
    await visitor.inspects('supplicant-failed');
    expect(told).toEqual([]);
    await visitor.context.close();
  });

  it('say so when the other device says no', async () => {
    const { authority, visitor, told } = await scanned();
    await visitor.page.click('#confirm-pairing');
    await authority.next();
    await authority.close();
    await visitor.sees('supplicant-failed');
    expect(told).toEqual([]);
    await visitor.context.close();
  });

  it('do not sign in before the person says so, and not after a no', async () => {
    const { authority, visitor, told, data } = await scanned();
    // An authority that is in a hurry.
    authority.send('pair:auth:authorize', await grant(data));
    await visitor.sees('supplicant');
    await visitor.page.click('#refuse-pairing');
    await authority.end.closed;
    await visitor.sees('supplicant-refused');
    expect(told).toEqual([]);
    await visitor.context.close();
  });

  it.each([
    ['https://evil.example/', 'a foreign address'],
    ['/oauth/success/' + ANDROID, 'an address without a host'],
    ['javascript:alert(1)', 'a script'],
    ['', 'nothing at all'],
  ])('send a code nowhere when an address names %j, %s', async (redirectUri) => {
    const rest: Record<string, string> = { ...(await phone()).query };
    delete rest['context'];
    const authority = await Authority.open(server.url, randomBytes(32));
    const { visitor } = await inFirefox(noFirefox);
    await visitor.open(
      address({ ...rest, ...(redirectUri && { redirect_uri: redirectUri }) }, authority),
    );
    await visitor.sees('supplicant-failed');
    await visitor.context.close();
    authority.end.socket.terminate();
  });

  it('say what to do where a code cannot be used', async () => {
    const authority = await Authority.open(server.url, randomBytes(32));
    const stranger = await Visitor.at(server, browser);
    await stranger.open(`/pair${authority.fragment}`);
    await stranger.sees('supplicant-failed');
    expect(await stranger.page.innerText('main')).toContain('another browser');
    expect(new URL(stranger.page.url()).hash).toBe('');
    await stranger.inspects('supplicant-elsewhere');
    for (const path of ['/pair/supp', '/pair/supp#channel_id=x', '/pair/supp?client_id=x']) {
      await stranger.open('/deleted');
      await stranger.open(path);
      await stranger.sees('supplicant-failed');
    }
    await stranger.context.close();

    const status = { signedInUser: { email: 'a@b.c', uid: 'x' }, clientId: '5882386c6d801776' };
    const { visitor } = await inFirefox((command) =>
      command === 'fxa_status' ? status : undefined,
    );
    await visitor.open(`/pair${authority.fragment}`);
    await visitor.sees('supplicant-failed');
    expect(await visitor.page.innerText('main')).toContain('signed in already');
    await visitor.context.close();
    authority.end.socket.terminate();
  });

  it('say how a code is shown, in a Firefox that is signed in, one that is not, and elsewhere', async () => {
    const stranger = await Visitor.at(server, browser);
    await stranger.open('/pair');
    await stranger.sees('pair-loading');
    expect(await stranger.page.innerText('[role="status"]')).toContain('One moment');
    await stranger.sees('pair');
    expect(await stranger.page.locator('#show-code').count()).toBe(0);
    await stranger.inspects('pair-elsewhere');
    await stranger.context.close();

    const firefox: { signedInUser?: object } = {};
    const { visitor, told } = await inFirefox((command) =>
      command === 'fxa_status'
        ? { ...firefox, clientId: '5882386c6d801776', capabilities: { pairing: true } }
        : undefined,
    );
    await visitor.open('/pair');
    await visitor.sees('pair');
    expect(await visitor.page.innerText('.warning')).toContain('not signed in');
    firefox.signedInUser = { email: zoe.email, uid: zoe.uid };
    await visitor.open('/pair?entrypoint=preferences');
    await visitor.page.click('#show-code');
    await visitor.inspects('pair');
    expect(told.at(-1)).toEqual(['pair_preferences', {}]);
    await visitor.context.close();
  });

  describe('ask in the Firefox that shows the code', () => {
    const asked = (changes: Record<string, string> = {}) => {
      const query = {
        ...{ client_id: ANDROID, scope: `profile ${OLD_SYNC} ${NEW_SESSION}` },
        ...{ email: 'somebody.else@example.org', uid: 'f'.repeat(32) },
        ...{ channel_id: 'AbC', redirect_uri: PAIR_AUTHORITY, ...changes },
      };
      return `/oauth?${new URLSearchParams(query).toString()}`;
    };
    /** @param state - what comes of it, which the test changes */
    const answering =
      (state: { suppAuthorized: boolean; err?: string }): Answers =>
      (command, { channel_id: channelId }) => {
        if (command === 'fxa_status') return { signedInUser: { email: zoe.email, uid: zoe.uid } };
        if (channelId !== 'AbC') return undefined;
        if (command === 'pair_heartbeat') return state;
        if (command === 'pair_supplicant_metadata') {
          const ua = 'Mozilla/5.0 (Android 15; Mobile; rv:153.0) <script> Firefox/153.0';
          return { ua, city: '', region: '', country: '', ipAddress: '203.0.113.9' };
        }
        return {};
      };
    const commands = (told: [string, unknown][]) =>
      told.map(([command]) => command).filter((command) => command !== 'pair_heartbeat');

    it('who it is, by what Firefox and the server know of it', async () => {
      const state = { suppAuthorized: false };
      const { visitor, told } = await inFirefox(answering(state));
      await visitor.open(asked());
      await visitor.sees('authority');
      const page = await visitor.page.innerText('main');
      for (const fact of [zoe.email, 'Firefox for Android', 'Firefox on Android', '203.0.113.9']) {
        expect(page).toContain(fact);
      }
      expect(page).not.toContain('somebody.else');
      expect(page).not.toContain('script');
      await visitor.inspects('authority');
      expect(commands(told)).toEqual(['fxa_status', 'pair_supplicant_metadata']);

      await visitor.page.click('#approve-pairing');
      await visitor.sees('authority-waiting');
      await visitor.inspects('authority-waiting');
      expect(commands(told).at(-1)).toBe('pair_authorize');
      state.suppAuthorized = true;
      await visitor.sees('authority-done');
      await visitor.inspects('authority-done');
      expect(commands(told).at(-1)).toBe('pair_complete');
      expect(visitor.complaints).toEqual([]);
      await visitor.context.close();
    });

    it('and take no for an answer', async () => {
      const { visitor, told } = await inFirefox(answering({ suppAuthorized: true }));
      await visitor.open(asked());
      await visitor.sees('authority');
      await visitor.page.click('#decline-pairing');
      await visitor.sees('authority-refused');
      expect(commands(told)).toEqual(['fxa_status', 'pair_supplicant_metadata', 'pair_decline']);
      await visitor.context.close();
    });

    it('and see that the device is gone', async () => {
      const { visitor } = await inFirefox(answering({ suppAuthorized: false, err: 'gone' }));
      await visitor.open(asked());
      await visitor.sees('authority-gone');
      await visitor.inspects('authority-gone');
      await visitor.context.close();
    });

    it.each([
      ['demo-app', 'an app of somebody else'],
      ['nobody', 'an app that there is not'],
      ['../../auth/v1/session/status', 'an address in the place of an app'],
    ])('nothing for %s, %s', async (clientId) => {
      const { visitor, told } = await inFirefox(answering({ suppAuthorized: true }));
      await visitor.open(asked({ client_id: clientId }));
      await visitor.sees('authority-refused');
      expect(await visitor.page.innerText('main')).toContain('no browser');
      expect(commands(told)).toEqual(['fxa_status', 'pair_decline']);
      await visitor.context.close();
    });

    it.each([
      [{ redirect_uri: 'https://evil.example/' }, []],
      [{ redirect_uri: OUT_OF_BAND }, []],
      [{ scope: '' }, []],
      [{ channel_id: 'of-another' }, ['fxa_status', 'pair_supplicant_metadata']],
    ])('nothing when the address says %j', async (changes, expected) => {
      const { visitor, told } = await inFirefox(answering({ suppAuthorized: true }));
      await visitor.open(asked(changes));
      await visitor.sees('authority-refused');
      expect(commands(told)).toEqual(expected);
      expect(await visitor.page.locator('button').count()).toBe(0);
      await visitor.context.close();
    });
  });

  it('are in no frame, and load nothing of others', async () => {
    for (const path of ['/pair', '/pair/supp', '/pair/auth', '/oauth?channel_id=x']) {
      const reply = await fetch(server.url + path);
      const policy = reply.headers.get('content-security-policy') ?? '';
      expect([path, reply.status]).toEqual([path, 200]);
      expect(policy).toContain("frame-ancestors 'none'");
      const relay = server.url.replace(/^http/, 'ws');
      expect(policy).toContain(`connect-src 'self' ${relay};`);
      expect(reply.headers.get('cross-origin-opener-policy')).toBe('same-origin');
    }
  });
});
