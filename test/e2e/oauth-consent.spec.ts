import { generateKeysJwk } from '#lib/crypto';
import { Consent1764000000022 } from '../../apps/server/src/migrations/1764000000022-consent.ts';
import { APP_KEY, OLD_SYNC } from '#lib/protocol';
import {
  type Account,
  askToken,
  authorizationUrl,
  authorize,
  bearerOf,
  exchange,
  passPage,
  signUp,
  tokenFor,
} from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import { addApp, type TestApp } from '../support/apps.ts';
import { Browser } from '../support/browser.ts';
import { answerDevice, beginDevice, poll } from '../support/device.ts';
import { stretch } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let app: TestApp;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  app = await addApp(server, {
    client_name: 'Notes',
    scope: `openid profile offline_access keys:read storage ${APP_KEY}`,
  });
});
beforeEach(async () => {
  alice = await signUp(server);
});
afterAll(() => server.stop());

interface Query {
  scope: string;
  clientId?: string;
  keys_jwk?: string;
  prompt?: string;
  max_age?: string;
}
const urlOf = ({ scope, clientId = app.clientId, ...more }: Query) => {
  const isOurs = clientId === app.clientId;
  const asked = { scope, clientId, ...(isOurs && { redirectUri: app.redirectUri }) };
  const made = authorizationUrl(server, asked);
  for (const [name, value] of Object.entries(more)) made.url.searchParams.set(name, value);
  return made;
};
/** An app's request, and where this browser is sent with it. */
async function ask(browser: Browser, query: Query) {
  const { url, ...rest } = urlOf(query);
  const answer = await browser.go(url);
  const to = new URL(answer.headers.get('location') ?? '', server.url);
  const isPage = to.pathname.startsWith('/oauth2/interaction/');
  const { searchParams: back } = to;
  return { ...rest, to, isPage, code: back.get('code') ?? '', error: back.get('error') };
}
/** Lets the app in, in this browser. */
const letIn = (browser: Browser, account: Account, query: Query) =>
  passPage(server, account, urlOf(query).url, browser);

const detailsAt = async (browser: Browser, page: URL, account?: Account) => {
  const headers = account ? { authorization: account.authorization } : undefined;
  return (await browser.go(`${page.href}/details`, headers && { headers })).json();
};
const finishAt = (browser: Browser, page: URL, account: Account, more: object = {}) =>
  browser.go(`${page.href}/finish`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: account.authorization },
    body: JSON.stringify({ consent: true, ...more }),
  });
const connected = async (account: Account) =>
  (await get(server, 'account/connected_apps', account.authorization).expect(200)).body;
const revoke = (account: Account, clientId: string) =>
  post(server, 'account/connected_apps/revoke', { client_id: clientId }, account.authorization);
const tryKeys = (token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);

describe('What an account let an app do', () => {
  it('is remembered scope by scope, and told to its own sessions alone', async () => {
    await letIn(new Browser(), alice, { scope: 'openid keys:read' });
    const browser = new Browser();
    const { to } = await ask(browser, { scope: 'openid storage' });
    expect(await detailsAt(browser, to)).not.toHaveProperty('granted');
    expect(await detailsAt(browser, to, await signUp(server))).not.toHaveProperty('granted');
    const { granted } = await detailsAt(browser, to, alice);
    expect(granted.scopes.sort()).toEqual(['keys:read', 'openid']);
    await letIn(new Browser(), alice, { scope: 'openid storage' });
    const grown = await detailsAt(browser, to, alice);
    expect(grown.granted.scopes.sort()).toEqual(['keys:read', 'openid', 'storage']);
  });

  it('is not remembered of a refusal, and not told to who asks for consent', async () => {
    const browser = new Browser();
    const { to } = await ask(browser, { scope: 'openid' });
    await finishAt(browser, to, alice, { consent: false });
    expect(await connected(alice)).toEqual([]);
    await letIn(new Browser(), alice, { scope: 'openid' });
    const again = await ask(browser, { scope: 'openid', prompt: 'consent' });
    expect(again.isPage).toBe(true);
    expect(await detailsAt(browser, again.to, alice)).not.toHaveProperty('granted');
  });

  it('is the same for a code that a device shows', async () => {
    const { user_code: userCode } = await beginDevice(server, { scope: 'openid' });
    await answerDevice(server, { account: alice, userCode });
    const [one] = await connected(alice);
    expect(one).toMatchObject({ client: { client_id: 'demo-app' }, scopes: ['openid'] });
    const browser = new Browser();
    const { to } = await ask(browser, { scope: 'openid', clientId: 'demo-app' });
    expect((await detailsAt(browser, to, alice)).granted.scopes).toEqual(['openid']);
  });
});

describe('A browser in which an app was let in', () => {
  it('is sent back without a page, as long as the app wants nothing new', async () => {
    const browser = new Browser();
    await letIn(browser, alice, { scope: 'openid profile keys:read' });
    const silent = await ask(browser, { scope: 'openid keys:read' });
    expect(silent).toMatchObject({ isPage: false, error: null });
    const { body } = await exchange(server, silent).expect(200);
    expect(body.scope).toBe('keys:read');
    await tryKeys(body.access_token).expect(404);
    expect(await ask(browser, { scope: 'openid keys:read storage' })).toMatchObject({
      isPage: true,
    });
  });

  it('gets the page for keys, for who asks for the password or consent, and for native apps', async () => {
    const browser = new Browser();
    const { publicJwk } = await generateKeysJwk();
    const keys_jwk = Buffer.from(JSON.stringify(publicJwk)).toString('base64url');
    const withKeys = { scope: `openid ${APP_KEY}`, keys_jwk };
    await letIn(browser, alice, withKeys);
    for (const query of [
      withKeys,
      { scope: 'openid', prompt: 'login' },
      { scope: 'openid', prompt: 'consent' },
    ]) {
      expect((await ask(browser, query)).isPage).toBe(true);
    }
    await letIn(browser, alice, { scope: 'openid', clientId: 'demo-app' });
    expect((await ask(browser, { scope: 'openid', clientId: 'demo-app' })).isPage).toBe(true);
  });

  it('answers prompt=none with what is missing', async () => {
    const prompt = 'none';
    const browser = new Browser();
    expect((await ask(browser, { scope: 'openid', prompt })).error).toBe('login_required');
    await letIn(browser, alice, { scope: 'openid' });
    expect((await ask(browser, { scope: 'openid', prompt })).code).not.toBe('');
    const more = await ask(browser, { scope: 'openid keys:read', prompt });
    expect(more.error).toBe('consent_required');
    const other = await addApp(server, { redirect_uris: [app.redirectUri] });
    const { url } = authorizationUrl(server, {
      ...{ scope: 'openid', clientId: other.clientId, redirectUri: other.redirectUri },
    });
    url.searchParams.set('prompt', prompt);
    const back = new URL((await browser.go(url)).headers.get('location') ?? '');
    expect(back.searchParams.get('error')).toBe('consent_required');
    const native = { scope: 'openid', clientId: 'demo-app', prompt };
    expect((await ask(browser, native)).error).toBe('interaction_required');
  });

  it('gets the page again when the session that let the app in has ended', async () => {
    const browser = new Browser();
    await letIn(browser, alice, { scope: 'openid' });
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    expect((await ask(browser, { scope: 'openid' })).isPage).toBe(true);
    const none = await ask(browser, { scope: 'openid', prompt: 'none' });
    expect(none.error).toBe('consent_required');
  });

  it('must give the password again when the app says so', async () => {
    server.clock.advance(120);
    for (const query of [
      { scope: 'openid', max_age: '60' },
      { scope: 'openid', prompt: 'login' },
    ]) {
      const account = await signUp(server);
      const browser = new Browser();
      const { to } = await ask(browser, query);
      expect((await detailsAt(browser, to)).fresh).toBe(true);
      server.clock.advance(61);
      // Older than the request: the provider itself dates it by the real clock.
      await server.db.query(
        `UPDATE session SET auth_at = auth_at - interval '1 hour' WHERE uid = $1`,
        [account.uid],
      );
      const refused = await finishAt(browser, to, account);
      expect(await refused.json()).toMatchObject({ error: 'login_required' });
      const { body } = await post(server, 'account/login', {
        email: account.email,
        authPW: (await stretch(account.email, account.password)).authPW,
      }).expect(200);
      const fresh = { ...account, authorization: bearerOf(body.sessionToken) };
      expect((await finishAt(browser, to, fresh)).status).toBe(200);
    }
  });
});

describe('The list of connected apps', () => {
  it('has its share in what happened to the account: an app, more for it, its end', async () => {
    const names = async () => {
      const { body } = await get(server, 'securityEvents', alice.authorization).expect(200);
      return body
        .map(({ name }: { name: string }) => name)
        .filter((name: string) => name.startsWith('app.'));
    };
    for (const scope of ['openid', 'openid', 'openid keys:read', 'keys:read']) {
      await letIn(new Browser(), alice, { scope });
    }
    expect(await names()).toEqual(['app.connected', 'app.connected']);
    await revoke(alice, app.clientId).expect(200);
    expect(await names()).toEqual(['app.revoked', 'app.connected', 'app.connected']);
  });

  it('says since when, for what, and when an app was last active, late by ten minutes', async () => {
    expect(await connected(alice)).toEqual([]);
    const before = server.clock.now().getTime();
    const asked = { scope: 'openid keys:read', clientId: app.clientId };
    const authorized = await authorize(server, alice, { ...asked, redirectUri: app.redirectUri });
    const [first] = await connected(alice);
    expect(first).toMatchObject({
      client: { client_id: app.clientId, name: 'Notes', by: 'operator' },
      last_at: null,
    });
    expect(first.scopes.sort()).toEqual(['keys:read', 'openid']);
    expect(first.first_at).toBeGreaterThanOrEqual(before);
    const { body } = await exchange(server, authorized).expect(200);
    const used = (await connected(alice))[0].last_at;
    expect(used).toBeGreaterThanOrEqual(first.first_at);
    server.clock.advance(300);
    await tryKeys(body.access_token).expect(404);
    expect((await connected(alice))[0].last_at).toBe(used);
    server.clock.advance(301);
    await tryKeys(body.access_token).expect(404);
    expect((await connected(alice))[0].last_at).toBeGreaterThan(used);
    expect((await connected(alice))[0].first_at).toBe(first.first_at);
  });

  it('takes back everything at once: grants, tokens, waiting codes, sessions made for it', async () => {
    const clientId = app.clientId;
    const asked = { scope: 'openid keys:read', clientId, redirectUri: app.redirectUri };
    const token = await tokenFor(server, alice, asked);
    const waiting = await authorize(server, alice, asked);
    const browser = new Browser();
    const { to } = await ask(browser, { scope: 'openid' });
    const { body } = await post(server, 'session/duplicate', {}, alice.authorization).expect(200);
    const own = { ...alice, authorization: bearerOf(body.sessionToken) };
    await finishAt(browser, to, own, { own_session: true });
    const device = await beginDevice(server, { scope: 'keys:read' });
    await answerDevice(server, { account: alice, userCode: device.user_code });
    const bob = await signUp(server);
    const others = await tokenFor(server, bob, asked);

    await revoke(alice, app.clientId).expect(200);
    await tryKeys(token.access_token).expect(401);
    await exchange(server, waiting).expect(400);
    await askToken(server, {
      ...{ grant_type: 'refresh_token', client_id: clientId },
      refresh_token: token.refresh_token ?? '',
    }).expect(400);
    await get(server, 'session/status', own.authorization).expect(401);
    await get(server, 'session/status', alice.authorization).expect(200);
    expect((await ask(browser, { scope: 'openid' })).isPage).toBe(true);
    expect(await connected(alice)).toHaveLength(1);
    await tryKeys(others.access_token).expect(404);
    // The other app goes on, until it is revoked while its device still waits.
    await revoke(alice, 'demo-app').expect(200);
    expect((await poll(server, device.device_code)).body.error).toBe('invalid_grant');
    expect(await connected(alice)).toEqual([]);
    expect(await connected(bob)).toHaveLength(1);
  });

  it('is of the account alone, and knows no other app', async () => {
    await get(server, 'account/connected_apps').expect(401);
    await post(server, 'account/connected_apps/revoke', { client_id: 'demo-app' }).expect(401);
    const refused = await revoke(alice, 'demo-app').expect(400);
    expect(refused.body.errno).toBe(162);
    await revoke(alice, 'not an id').expect(400);
  });

  it('loses an app that is removed', async () => {
    const other = await addApp(server, { redirect_uris: [app.redirectUri] });
    const asked = { scope: 'openid', clientId: other.clientId, redirectUri: other.redirectUri };
    await tokenFor(server, alice, asked);
    expect(await connected(alice)).toHaveLength(1);
    await server.db.query(`DELETE FROM oauth_client WHERE id = $1`, [other.clientId]);
    expect(await connected(alice)).toEqual([]);
  });
});

describe('A server of before', () => {
  it('remembers what its grants are for, and lets no browser of Firefox stand for an app', async () => {
    const asked = { clientId: app.clientId, redirectUri: app.redirectUri };
    await tokenFor(server, alice, { ...asked, scope: 'openid' });
    await tokenFor(server, alice, { ...asked, scope: 'openid storage' });
    const form = { client_id: '5882386c6d801776', grant_type: 'fxa-credentials', scope: OLD_SYNC };
    await post(server, 'oauth/token', form, alice.authorization).expect(200);
    await connected(alice); // and so the uses until now are written down
    const migration = new Consent1764000000022();
    const db = server.db.createQueryRunner();
    await migration.down(db);
    await migration.up(db);
    await db.release();
    const rows = await connected(alice);
    expect(rows).toHaveLength(1);
    expect(rows[0]).toMatchObject({ client: { client_id: app.clientId }, last_at: null });
    expect(rows[0].scopes.sort()).toEqual(['openid', 'storage']);
  });
});
