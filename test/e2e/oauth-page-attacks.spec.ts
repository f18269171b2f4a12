import { generateKeysJwk, openScopedKeys } from '#lib/crypto';
import { APP_KEY, OLD_SYNC } from '#lib/protocol';
import {
  type Account,
  askToken,
  authorizationUrl,
  exchange,
  passPage,
  signUp,
} from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp } from '../support/apps.ts';
import { Browser } from '../support/browser.ts';
import { answerDevice, askDevice, beginDevice, devicePage, poll } from '../support/device.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

/** Begins in an app; where the browser's page is. */
async function begin(browser: Browser, scope: string, more: Record<string, string> = {}) {
  const { url, ...rest } = authorizationUrl(server, { scope });
  for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
  const answer = await browser.go(url);
  const page = new URL(answer.headers.get('location') ?? '', server.url).href;
  return { page, ...rest };
}
const detailsAt = async (browser: Browser, page: string) =>
  (await browser.go(`${page}/details`)).json();
const finish = (
  browser: Browser,
  page: string,
  body: object = { consent: true },
  headers: Record<string, string> = {},
) =>
  browser.go(`${page}/finish`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      authorization: alice.authorization,
      ...headers,
    },
    body: JSON.stringify(body),
  });
/** Goes on from the page to the app; what the app is sent. */
async function goOn(browser: Browser, redirect: string): Promise<URLSearchParams> {
  const answer = await browser.go(redirect);
  return new URL(answer.headers.get('location') ?? 'x:', server.url).searchParams;
}
async function keyPair() {
  const { publicJwk, privateJwk } = await generateKeysJwk();
  return { privateJwk, keysJwk: Buffer.from(JSON.stringify(publicJwk)).toString('base64url') };
}
/** A JWE that nobody can tell from one with keys in it. */
const SOME_JWE = 'a.b.c.d.e';

describe('A site that somebody else opens in the same browser', () => {
  it('can neither read nor answer what an app asks', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, 'openid');
    for (const headers of [
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: server.url, 'sec-fetch-site': 'cross-site' },
    ] as Record<string, string>[]) {
      for (const consent of [true, false]) {
        expect((await finish(browser, page, { consent }, headers)).status).toBe(403);
      }
      expect((await browser.go(`${page}/details`, { headers })).status).toBe(403);
    }
    // What a form can send without being asked whether it may.
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data']) {
      const answer = await finish(browser, page, { consent: false }, { 'content-type': type });
      expect(answer.status).toBe(415);
    }
    const own = { origin: server.url, 'sec-fetch-site': 'same-origin' };
    expect((await finish(browser, page, { consent: true }, own)).status).toBe(200);
  });

  it('cannot show the pages in a frame, nor what goes wrong', async () => {
    const { page } = await begin(new Browser(), 'openid');
    const broken = authorizationUrl(server, { scope: 'openid', clientId: 'nobody' }).url.href;
    for (const url of [page, broken, `${server.url}/device`, `${server.url}/settings/clients`]) {
      const { headers } = await fetch(url, { redirect: 'manual' });
      expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
    }
  });
});

describe('Another browser', () => {
  it('gets nothing out of an answer that was given in the first', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, 'openid');
    const { redirect } = await (await finish(browser, page)).json();
    const stolen = await new Browser().go(redirect);
    expect(stolen.status).toBe(400);
    expect(stolen.headers.get('location')).toBeNull();
    expect((await goOn(browser, redirect)).get('code')).toBeTruthy();
    // Nor does the first, a second time.
    expect((await browser.go(redirect)).status).toBe(400);
    expect((await finish(browser, page)).status).toBe(400);
  });

  it('cannot have its request answered by planting its cookie unsigned', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, 'openid');
    const id = page.split('/').at(-1) ?? '';
    for (const cookie of [
      `_interaction=${id}`,
      `_interaction=${id}; _interaction.sig=${'A'.repeat(27)}`,
    ]) {
      const headers = { cookie };
      expect((await fetch(`${page}/details`, { headers })).status).toBe(400);
    }
  });

  it('cannot go on with an answer to one request under the address of another', async () => {
    const [victim, attacker] = [new Browser(), new Browser()];
    const { page } = await begin(attacker, 'openid');
    const own = await begin(victim, 'openid');
    const cookie = `_interaction=${victim.cookie('_interaction')}; _interaction.sig=${victim.cookie('_interaction.sig')}`;
    const answer = await fetch(`${page}/finish`, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', cookie },
        authorization: alice.authorization,
      },
      body: JSON.stringify({ consent: true }),
    });
    expect(answer.status).toBe(400);
    expect((await finish(victim, own.page)).status).toBe(200);
  });

  it('shares no session that it planted, with whomever signs in there', async () => {
    const cookieOf = (browser: Browser) =>
      `_session=${browser.cookie('_session')}; _session.sig=${browser.cookie('_session.sig')}`;
    const { url } = authorizationUrl(server, { scope: 'openid' });
    url.searchParams.set('prompt', 'none');
    const silently = async (cookie: string) => {
      const answer = await fetch(url, { redirect: 'manual', headers: { cookie } });
      return new URL(answer.headers.get('location') ?? '').searchParams.get('error');
    };
    for (const attacker of [await signUp(server), alice]) {
      const browser = new Browser();
      await passPage(server, attacker, authorizationUrl(server, { scope: 'openid' }).url, browser);
      const planted = cookieOf(browser);
      // A native app is never answered silently; that it is somebody's, one can tell.
      expect(await silently(planted)).toBe('interaction_required');
      await passPage(server, alice, authorizationUrl(server, { scope: 'openid' }).url, browser);
      expect(await silently(planted)).toBe('login_required');
      expect(await silently(cookieOf(browser))).toBe('interaction_required');
    }
  });
});

describe('An app that wants more than was shown', () => {
  it('gets what the page showed, whatever is added on the way', async () => {
    const browser = new Browser();
    const { page, ...rest } = await begin(browser, 'openid keys:read');
    const { scopes } = await detailsAt(browser, page);
    expect(scopes).toEqual(['openid', 'keys:read']);
    const more = { scope: 'openid keys:read files', scopes: ['files'], client_id: 'other' };
    const { redirect } = await (await finish(browser, page, { consent: true, ...more })).json();
    const back = await goOn(
      browser,
      `${redirect}?scope=openid%20files&resource=urn:lockstep:files`,
    );
    const code = back.get('code') ?? '';
    const { body } = await askToken(server, {
      ...{ grant_type: 'authorization_code', client_id: rest.clientId, code },
      ...{ code_verifier: rest.verifier, redirect_uri: rest.redirectUri },
      scope: 'openid keys:read files',
    }).expect(200);
    expect(body.scope).toBe('keys:read');
    const wider = await askToken(server, {
      ...{ grant_type: 'refresh_token', client_id: rest.clientId },
      ...{ refresh_token: body.refresh_token, scope: 'keys:read files' },
    }).expect(400);
    expect(wider.body.error).toBe('invalid_scope');
    const elsewhere = await askToken(server, {
      ...{ grant_type: 'refresh_token', client_id: rest.clientId },
      ...{ refresh_token: body.refresh_token, resource: 'urn:lockstep:files' },
    }).expect(400);
    expect(elsewhere.body.error).toBe('invalid_target');
  });

  it('gets no more on a device either', async () => {
    const { device_code: code, user_code } = await beginDevice(server, { scope: 'keys:read' });
    const by = { authorization: alice.authorization };
    const { uid } = (await devicePage(server, 'details', { user_code }, by).expect(200)).body;
    const answer = {
      user_code,
      uid,
      consent: true,
      scope: 'files',
      resource: 'urn:lockstep:files',
    };
    await devicePage(server, 'finish', answer, by).expect(200);
    const { body } = await poll(server, code, { scope: 'keys:read files' }).expect(200);
    expect(body.scope).toBe('keys:read');
  });

  it('does not find a name that the page would not show', async () => {
    const browser = new Browser();
    const { page } = await begin(browser, 'openid keys:read app:demo-app unheard-of');
    expect((await detailsAt(browser, page)).scopes).toEqual(['openid', 'keys:read']);
  });
});

describe('The key that an app wants its keys sealed to', () => {
  it('is the one of the request, whatever comes after it', async () => {
    const [ours, other] = [await keyPair(), await keyPair()];
    const browser = new Browser();
    const { page, ...rest } = await begin(browser, APP_KEY, { keys_jwk: ours.keysJwk });
    expect((await detailsAt(browser, page)).keys_jwk).toBe(ours.keysJwk);
    const body = { consent: true, keys_jwe: SOME_JWE, keys_jwk: other.keysJwk };
    const refused = await finish(browser, page, { ...body, consent: 1 });
    expect(refused.status).toBe(400);
    expect((await detailsAt(browser, page)).keys_jwk).toBe(ours.keysJwk);
    const { redirect } = await (await finish(browser, page, body)).json();
    const back = await goOn(browser, `${redirect}?keys_jwk=${other.keysJwk}`);
    const code = back.get('code') ?? '';
    const answer = await exchange(server, { ...rest, code }).expect(200);
    expect(answer.body.keys_jwe).toBe(SOME_JWE);
  });

  it('is the one that was pushed, not one in the address', async () => {
    const [ours, other] = [await keyPair(), await keyPair()];
    const { url } = authorizationUrl(server, { scope: APP_KEY, keysJwk: ours.keysJwk });
    const pushed = await server
      .request()
      .post('/oauth2/par')
      .type('form')
      .send(Object.fromEntries(url.searchParams))
      .expect(201);
    const front = new URL('/oauth2/authorize', server.url);
    front.search = new URLSearchParams({
      ...{ client_id: 'demo-app', request_uri: pushed.body.request_uri },
      ...{ keys_jwk: other.keysJwk, scope: `${APP_KEY} files` },
    }).toString();
    const browser = new Browser();
    const answer = await browser.go(front);
    const page = new URL(answer.headers.get('location') ?? '', server.url);
    const isRefused = !page.pathname.startsWith('/oauth2/interaction/');
    const shown = isRefused ? undefined : await detailsAt(browser, page.href);
    expect(isRefused || shown.keys_jwk === ours.keysJwk).toBe(true);
    expect(isRefused || shown.scopes.join(' ') === APP_KEY).toBe(true);
    const { privateJwk } = other;
    const bad = Buffer.from(JSON.stringify(privateJwk)).toString('base64url');
    url.searchParams.set('keys_jwk', bad);
    const form = Object.fromEntries(url.searchParams);
    await server.request().post('/oauth2/par').type('form').send(form).expect(400);
  });

  it('is that of the device that asked', async () => {
    const [ours, other] = [await keyPair(), await keyPair()];
    const asked = { scope: APP_KEY, keys_jwk: ours.keysJwk };
    const { device_code: code, user_code: userCode } = await beginDevice(server, asked);
    expect((await poll(server, code, { keys_jwk: other.keysJwk })).body.error).toMatch(/pending/);
    await answerDevice(server, { account: alice, userCode });
    const { body } = await poll(server, code, { keys_jwk: other.keysJwk }).expect(200);
    expect(await openScopedKeys(body.keys_jwe, ours.privateJwk)).toHaveProperty(APP_KEY);
    await expect(openScopedKeys(body.keys_jwe, other.privateJwk)).rejects.toThrow();
  });
});

describe('The key of an app', () => {
  const keyData = (clientId: string, scope: string) =>
    post(
      server,
      'account/scoped-key-data',
      { client_id: clientId, scope },
      alice.authorization,
    ).expect(200);

  it('is only for apps that were registered for one, by every way', async () => {
    const { clientId, redirectUri } = await addApp(server, {
      scope: 'openid keys:read',
      grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    });
    const { keysJwk } = await keyPair();
    const asked = { scope: APP_KEY, clientId, redirectUri, keysJwk };
    const { url } = authorizationUrl(server, asked);
    const back = new URL((await new Browser().go(url)).headers.get('location') ?? '');
    expect(back.searchParams.get('error')).toBe('invalid_scope');
    const form = Object.fromEntries(url.searchParams);
    const pushed = await server.request().post('/oauth2/par').type('form').send(form).expect(400);
    expect(pushed.body.error).toBe('invalid_scope');
    const device = { client_id: clientId, scope: APP_KEY, keys_jwk: keysJwk };
    expect((await askDevice(server, device).expect(400)).body.error).toBe('invalid_scope');
    expect((await keyData(clientId, APP_KEY)).body).toEqual({});
  });

  it('has a name that follows from who asks: no app can name that of another', async () => {
    const own = await addApp(server, { scope: `openid ${APP_KEY}` });
    const { body } = await keyData(own.clientId, APP_KEY);
    expect(body[APP_KEY].identifier).toBe(`app:${own.clientId}`);
    for (const scope of ['app:demo-app', `app:${own.clientId}`, OLD_SYNC, 'app_key/demo-app']) {
      expect((await keyData(own.clientId, scope)).body).toEqual({});
    }
    const odd = { client_id: 'x:demo-app', scope: APP_KEY };
    await post(server, 'account/scoped-key-data', odd, alice.authorization).expect(400);
  });
});
