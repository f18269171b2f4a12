import { createHash } from 'node:crypto';
import * as openid from 'openid-client';
import {
  fromHex,
  deriveScopedKey,
  generateKeysJwk,
  openScopedKeys,
  toBase64Url,
} from '#lib/crypto';
import { APP_KEY, audiences, OLD_SYNC } from '#lib/protocol';
import {
  type Account,
  type Asked,
  askToken,
  authorizationUrl,
  authorize,
  exchange,
  passPage,
  signUp,
  tokenFor,
} from '../support/account.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { bearerOf } from '../support/account.ts';
import { Browser } from '../support/browser.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

/** What a keys route says to a token: 404 is a yes, for an account without keys. */
const tryKeys = (token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);
const KEYS = { scope: 'keys:read', resource: audiences.keys };
const refresh = (token: string, more: Record<string, string> = {}) =>
  askToken(server, {
    grant_type: 'refresh_token',
    client_id: 'demo-app',
    refresh_token: token,
    ...more,
  });
/** Where a request for authorization that is refused outright sends the app. */
async function refusal(asked: Asked, change: (url: URL) => void = () => undefined) {
  const { url } = authorizationUrl(server, asked);
  change(url);
  const answer = await new Browser().go(url);
  const back = answer.headers.get('location');
  return { status: answer.status, error: back && new URL(back).searchParams.get('error') };
}
async function keyPair() {
  const { publicJwk, privateJwk } = await generateKeysJwk();
  return { privateJwk, keysJwk: Buffer.from(JSON.stringify(publicJwk)).toString('base64url') };
}

describe('a foreign client', () => {
  it('discovers, authorizes with PKCE, and refreshes', async () => {
    const config = await openid.discovery(
      new URL(server.url),
      'demo-app',
      undefined,
      openid.None(),
      // eslint-disable-next-line @typescript-eslint/no-deprecated -- marked so as a warning: no TLS
      { execute: [openid.allowInsecureRequests] },
    );
    const verifier = openid.randomPKCECodeVerifier();
    const url = openid.buildAuthorizationUrl(config, {
      redirect_uri: 'http://127.0.0.1:42424/callback',
      scope: 'openid profile',
      state: 'abc',
      code_challenge: await openid.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    });
    const back = await passPage(server, alice, url);
    const checks = { pkceCodeVerifier: verifier, expectedState: 'abc', idTokenExpected: true };
    const tokens = await openid.authorizationCodeGrant(config, back, checks);
    expect(tokens.claims()).toMatchObject({ sub: alice.uid, aud: 'demo-app', iss: server.url });
    expect(tokens.expires_in).toBe(3600);
    const info = await openid.fetchUserInfo(config, tokens.access_token, alice.uid);
    expect(info).toMatchObject({ email: alice.email, email_verified: true });
    const next = await openid.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(next.refresh_token).not.toBe(tokens.refresh_token);
    await openid.tokenRevocation(config, next.refresh_token ?? '');
    await expect(openid.refreshTokenGrant(config, next.refresh_token ?? '')).rejects.toThrow();
  });

  it('is not led astray by a Host header', async () => {
    const { body } = await server
      .request()
      .get('/.well-known/openid-configuration')
      .set({ host: 'evil.example', 'x-forwarded-host': 'evil.example' })
      .expect(200);
    expect(JSON.stringify(body)).not.toContain('evil');
    expect(body).toMatchObject({ issuer: server.url, code_challenge_methods_supported: ['S256'] });
    await server.request().get('/.well-known/oauth-authorization-server').expect(200);
  });
});

describe('an authorization request', () => {
  it('is refused without PKCE, and with plain', async () => {
    const drop = (url: URL) => {
      url.searchParams.delete('code_challenge');
      url.searchParams.delete('code_challenge_method');
    };
    const plain = (url: URL) => {
      url.searchParams.set('code_challenge_method', 'plain');
    };
    expect((await refusal(KEYS, drop)).error).toBe('invalid_request');
    expect((await refusal(KEYS, plain)).error).toBe('invalid_request');
  });

  it('is refused, without a redirect, for a foreign address or an unknown app', async () => {
    const redirectUri = 'https://evil.example/callback';
    expect(await refusal({ ...KEYS, redirectUri })).toEqual({ status: 400, error: null });
    const other = 'http://127.0.0.1:41999/callback/../other';
    expect(await refusal({ ...KEYS, redirectUri: other })).toEqual({ status: 400, error: null });
    expect(await refusal({ ...KEYS, clientId: 'nobody' })).toEqual({ status: 400, error: null });
  });

  it('is refused for a scope the app may not have, and for an unknown audience', async () => {
    expect((await refusal({ scope: OLD_SYNC })).error).toBe('invalid_scope');
    const resource = 'urn:lockstep:other';
    expect((await refusal({ ...KEYS, resource })).error).toBe('invalid_target');
  });

  it('is refused for keys without a good key to seal them to', async () => {
    const jwk = JSON.parse(Buffer.from((await keyPair()).keysJwk, 'base64url').toString());
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const { privateJwk } = await keyPair();
    const scope = APP_KEY;
    expect((await refusal({ scope })).error).toBe('invalid_request');
    for (const keysJwk of [
      'bogus',
      encode(privateJwk),
      encode({ ...jwk, y: jwk.x }),
      encode({ ...jwk, crv: 'P-384' }),
    ]) {
      expect((await refusal({ scope, keysJwk })).error).toBe('invalid_request');
    }
    const { keysJwk } = await keyPair();
    expect((await refusal({ scope: 'keys:read', keysJwk })).error).toBe('invalid_request');
  });
});

describe('the page', () => {
  const begin = async (browser: Browser, asked: Asked = KEYS) => {
    const answer = await browser.go(authorizationUrl(server, asked).url);
    return new URL(answer.headers.get('location') ?? '', server.url).href;
  };
  const finish = (browser: Browser, page: string, body: object, authorization?: string) =>
    browser.go(`${page}/finish`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization && { authorization }) },
      body: JSON.stringify(body),
    });

  it('belongs to the browser that began, whoever is signed in', async () => {
    const page = await begin(new Browser());
    const other = new Browser();
    expect((await other.go(`${page}/details`)).status).toBe(400);
    const answer = await finish(other, page, { consent: true }, alice.authorization);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' });
  });

  it('is finished by a session of a verified account alone', async () => {
    const browser = new Browser();
    const page = await begin(browser);
    expect((await finish(browser, page, { consent: true })).status).toBe(401);
    const { body } = await post(server, 'account/create', credentials(anAddress()));
    const unverified = bearerOf(body.sessionToken);
    expect((await finish(browser, page, { consent: true }, unverified)).status).toBe(400);
    expect((await finish(browser, page, {}, alice.authorization)).status).toBe(400);
    expect((await finish(browser, page, { consent: true }, alice.authorization)).status).toBe(200);
  });

  it('sends the app away when the account refuses', async () => {
    const browser = new Browser();
    const page = await begin(browser);
    const answer = await finish(browser, page, { consent: false }, alice.authorization);
    const back = await browser.go((await answer.json()).redirect);
    const { searchParams } = new URL(back.headers.get('location') ?? '');
    expect(searchParams.get('error')).toBe('access_denied');
  });

  it('wants the keys that were asked for, and no others', async () => {
    const browser = new Browser();
    const { keysJwk } = await keyPair();
    const page = await begin(browser, { scope: APP_KEY, keysJwk });
    for (const keys_jwe of [undefined, 'no.jwe']) {
      const body = { consent: true, keys_jwe };
      expect((await finish(browser, page, body, alice.authorization)).status).toBe(400);
    }
    const other = await begin(browser);
    const body = { consent: true, keys_jwe: 'a.b.c.d.e' };
    expect((await finish(browser, other, body, alice.authorization)).status).toBe(400);
  });

  it('lets another account answer in the same browser', async () => {
    const bob = await signUp(server);
    const browser = new Browser();
    const ids = [];
    for (const account of [alice, bob, bob]) {
      const asked = authorizationUrl(server, { scope: 'openid' });
      const back = await passPage(server, account, asked.url, browser);
      const code = back.searchParams.get('code') ?? '';
      const { id_token: token } = (await exchange(server, { ...asked, code })).body;
      ids.push(JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString()).sub);
    }
    expect(ids).toEqual([alice.uid, bob.uid, bob.uid]);
  });
});

describe('a code', () => {
  it('is exchanged with its own verifier, address and app', async () => {
    const authorized = await authorize(server, alice, KEYS);
    await exchange(server, { ...authorized, verifier: 'x'.repeat(43) }).expect(400);
    await exchange(server, { ...authorized, redirectUri: 'http://127.0.0.1:1/callback' }).expect(
      400,
    );
    await exchange(server, { ...authorized, clientId: '5882386c6d801776' }).expect(400);
    await exchange(server, authorized).expect(200);
  });

  it('used twice takes everything back that it gave', async () => {
    const authorized = await authorize(server, alice, KEYS);
    const { access_token: token, refresh_token: next } = (await exchange(server, authorized)).body;
    await tryKeys(token).expect(404);
    const again = await exchange(server, authorized).expect(400);
    expect(again.body.error).toBe('invalid_grant');
    await tryKeys(token).expect(401);
    await refresh(next).expect(400);
  });

  it('has at most one winner when ten exchange it at once', async () => {
    const authorized = await authorize(server, alice, KEYS);
    const all = await Promise.all(Array.from({ length: 10 }, () => exchange(server, authorized)));
    expect(all.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    expect(all.every(({ status }) => status === 200 || status === 400)).toBe(true);
    for (const { body } of all) if (body.access_token) await tryKeys(body.access_token).expect(401);
  });

  it('is worth nothing after ten minutes', async () => {
    const authorized = await authorize(server, alice, KEYS);
    server.clock.advance(601);
    expect((await exchange(server, authorized).expect(400)).body.error).toBe('invalid_grant');
  });
});

describe('a token', () => {
  it('is for one API, and every other refuses it', async () => {
    const keys = await tokenFor(server, alice, KEYS);
    expect(keys).toMatchObject({ scope: 'keys:read', expires_in: 3600 });
    await tryKeys(keys.access_token).expect(404);
    const files = await tokenFor(server, alice, { scope: 'files' });
    const refused = await tryKeys(files.access_token).expect(401);
    expect(refused.body.type).toBe('/problems/wrong-audience');
    const none = await tokenFor(server, alice, { scope: 'openid' });
    expect((await tryKeys(none.access_token).expect(401)).body.type).toMatch(/wrong-audience/);
  });

  it('holds the scopes asked for, exactly', async () => {
    const token = await tokenFor(server, alice, { scope: 'keys:write' });
    const refused = await tryKeys(token.access_token).expect(403);
    expect(refused.body.type).toBe('/problems/insufficient-scope');
  });

  it('is had for each API that was named, one at a time', async () => {
    const resource = [audiences.keys, audiences.files];
    const scope = 'keys:read files files:write';
    const authorized = await authorize(server, alice, { scope, resource });
    const first = await exchange(server, authorized, audiences.files).expect(200);
    expect(first.body.scope).toBe('files files:write');
    const next = await refresh(first.body.refresh_token, { resource: audiences.keys }).expect(200);
    expect(next.body.scope).toBe('keys:read');
    await tryKeys(next.body.access_token).expect(404);
    const { body } = await refresh(next.body.refresh_token, { resource: audiences.share });
    expect(body.error).toBe('invalid_target');
  });

  it('is refused to who does not say for which of several APIs', async () => {
    const authorized = await authorize(server, alice, { scope: 'keys:read files' });
    expect((await exchange(server, authorized).expect(400)).body.error).toBe('invalid_target');
  });

  it('ends after an hour', async () => {
    const { access_token: token } = await tokenFor(server, alice, KEYS);
    server.clock.advance(3590);
    await tryKeys(token).expect(404);
    server.clock.advance(11);
    await tryKeys(token).expect(401);
  });

  it('ends when it is revoked, and leaves its neighbours alone', async () => {
    const { access_token: token, refresh_token: next } = await tokenFor(server, alice, KEYS);
    await server
      .request()
      .post('/oauth2/revoke')
      .type('form')
      .send({ token, client_id: 'demo-app' })
      .expect(200);
    await tryKeys(token).expect(401);
    await refresh(next ?? '').expect(200);
  });

  it('ends with the session that it was given in', async () => {
    const bob = await signUp(server);
    const { access_token: token, refresh_token: next } = await tokenFor(server, bob, KEYS);
    await tryKeys(token).expect(404);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    await tryKeys(token).expect(401);
    await refresh(next ?? '').expect(400);
  });

  it('to refresh with is good once: a second use ends the grant', async () => {
    const { refresh_token: first } = await tokenFor(server, alice, KEYS);
    const { body } = await refresh(first ?? '').expect(200);
    await refresh(first ?? '').expect(400);
    await refresh(body.refresh_token).expect(400);
    await tryKeys(body.access_token).expect(401);
  });

  it('is nowhere in the database', async () => {
    const authorized = await authorize(server, alice, KEYS);
    const { body } = await exchange(server, authorized);
    const rows = JSON.stringify(await server.db.query(`SELECT o::text FROM oidc o`));
    for (const secret of [authorized.code, body.access_token, body.refresh_token]) {
      expect(rows).not.toContain(secret);
    }
    expect(rows).toContain(createHash('sha256').update(body.access_token).digest('base64url'));
  });

  it('is no more in the database when it is a cookie, while its browser is asked again', async () => {
    const browser = new Browser();
    await passPage(server, alice, authorizationUrl(server, KEYS).url, browser);
    await browser.go(authorizationUrl(server, KEYS).url);
    const cookie = browser.cookie('_session');
    expect(cookie).toMatch(/^[A-Za-z0-9_-]{20,}$/);
    const rows = JSON.stringify(await server.db.query(`SELECT o::text FROM oidc o`));
    expect(rows).not.toContain(cookie);
    expect(rows).toContain(createHash('sha256').update(cookie).digest('base64url'));
  });
});

describe('kBr', () => {
  it('reaches the app sealed, once, and is derived from kB for this app alone', async () => {
    const { keysJwk, privateJwk } = await keyPair();
    const authorized = await authorize(server, alice, { scope: `${APP_KEY} keys:read`, keysJwk });
    const { body } = await exchange(server, authorized, audiences.keys).expect(200);
    const opened = await openScopedKeys(body.keys_jwe, privateJwk);
    const [{ keys_changed_at }] = await server.db.query(
      `SELECT keys_changed_at FROM account WHERE uid = $1`,
      [alice.uid],
    );
    const { k, kid } = deriveScopedKey({
      kB: alice.kB,
      keyRotationSecret: new Uint8Array(32),
      keyRotationTimestamp: keys_changed_at,
      uid: fromHex(alice.uid),
      identifier: 'app:demo-app',
    });
    expect(opened[APP_KEY]).toMatchObject({ k: toBase64Url(k), kid });
    const next = await refresh(body.refresh_token).expect(200);
    expect(next.body.keys_jwe).toBeUndefined();
    const kept = await server.db.query(`SELECT 1 FROM oidc WHERE keys_jwe IS NOT NULL`);
    expect(kept).toEqual([]);
  });
});
