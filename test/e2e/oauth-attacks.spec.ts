import { Logger } from '@nestjs/common';
import { decodeJwt, decodeProtectedHeader, SignJWT } from 'jose';
import { audiences } from '#lib/protocol';
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
import { addApp, type TestApp } from '../support/apps.ts';
import { Browser } from '../support/browser.ts';
import { DpopKey } from '../support/dpop.ts';
import { TestServer } from '../support/test-server.ts';

/*
 * docs/protocol/oauth.md, "Attacks": those on the endpoints. Each test is named there.
 */

const KEYS = { scope: 'keys:read', resource: audiences.keys };

let server: TestServer;
let alice: Account;
let web: TestApp;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  web = await addApp(server);
});
afterAll(() => server.stop());

const tryKeys = (token: string, at = server) =>
  at.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);
const refresh = (token: string, more: Record<string, string> = {}) =>
  askToken(server, {
    ...{ grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: token },
    ...more,
  });
/** How a request for authorization is answered: where the browser is sent, and why. */
async function ask(asked: Asked, more: Record<string, string> = {}) {
  const { url } = authorizationUrl(server, asked);
  for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
  const answer = await new Browser().go(url);
  const location = answer.headers.get('location');
  const to = location === null ? undefined : new URL(location, server.url);
  // What would answer with tokens refuses where they would be.
  const said = new URLSearchParams(to?.hash ? to.hash.slice(1) : to?.search);
  return { status: answer.status, to, error: said.get('error'), iss: said.get('iss') };
}
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a redirect URI', () => {
  it.each([
    'https://app.example/callback/',
    'https://app.example/callback/../callback',
    'https://app.example/callback/../../evil',
    'https://app.example/callback/%2e%2e/evil',
    'https://app.example/%63allback',
    'https://app.example/Callback',
    'https://APP.example/callback',
    'HTTPS://app.example/callback',
    'http://app.example/callback',
    'https://app.example:443/callback',
    'https://app.example:8443/callback',
    'https://app.example./callback',
    'https://evil@app.example/callback',
    'https://app.example@evil.example/callback',
    'https://app.example%40evil.example/callback',
    'https://app.example.evil.example/callback',
    'https://evil.example/callback',
    'https://evil.example\\@app.example/callback',
    '//app.example/callback',
    '/callback',
    'https://app.example/callback?next=https://evil.example',
    'https://app.example/callback?',
    'https://app.example/callback#x',
    'https://app.example/callback%00',
    'https://app.example/callback ',
    ' https://app.example/callback',
    'javascript:alert(1)',
    'data:text/html,x',
    'urn:ietf:wg:oauth:2.0:oob',
  ])('is the registered one, character for character, not %p', async (redirectUri) => {
    const { status, to } = await ask({ clientId: web.clientId, redirectUri, scope: 'openid' });
    expect([status, to]).toEqual([400, undefined]);
  });

  it.each([
    'http://127.0.0.1:8080/callback/',
    'http://127.0.0.1:8080/other',
    'http://127.0.0.1:8080/callback?x=y',
    'http://127.0.0.1:8080/callback#x',
    'http://localhost:8080/callback',
    'http://[::1]:8080/callback',
    'http://127.0.0.2:8080/callback',
    'http://127.0.0.1.evil.example/callback',
    'http://127.0.0.1@evil.example/callback',
    'http://evil@127.0.0.1:8080/callback',
    'http://127.0.0.1:80@evil.example/callback',
    'http://127.0.0.1:99999/callback',
    'https://127.0.0.1:8080/callback',
    'http://2130706433/callback',
    'http://0x7f.1/callback',
  ])('of a native app differs in the port of its loopback alone, not %p', async (redirectUri) => {
    const { status, to } = await ask({ redirectUri, scope: 'openid' });
    expect([status, to]).toEqual([400, undefined]);
  });

  it('is one: a second one beside it is refused, and none is guessed', async () => {
    const { url } = authorizationUrl(server, { scope: 'openid' });
    url.searchParams.append('redirect_uri', 'https://evil.example/');
    const to = new URL((await new Browser().go(url)).headers.get('location') ?? '');
    expect([to.host, to.searchParams.get('error')]).toEqual(['127.0.0.1', 'invalid_request']);
    const { clientId } = await addApp(server, {
      redirect_uris: ['https://app.example/a', 'https://app.example/b'],
    });
    const { url: without } = authorizationUrl(server, { clientId, scope: 'openid' });
    without.searchParams.delete('redirect_uri');
    expect((await new Browser().go(without)).status).toBe(400);
  });

  it('is the same at the exchange', async () => {
    const asked = { clientId: web.clientId, redirectUri: web.redirectUri, scope: 'openid' };
    const authorized = await authorize(server, alice, asked);
    const redirectUri = 'https://evil.example/callback';
    await exchange(server, { ...authorized, redirectUri }).expect(400);
    await exchange(server, authorized).expect(200);
  });
});

describe('an answer', () => {
  it('says which server it comes from, also when it is a refusal', async () => {
    const { url } = authorizationUrl(server, KEYS);
    expect((await passPage(server, alice, url)).searchParams.get('iss')).toBe(server.url);
    for (const name of ['response_type', 'code_challenge']) {
      expect((await ask({ scope: 'openid' }, { [name]: 'token' })).iss).toBe(server.url);
    }
  });

  it('is never a token, and never without PKCE', async () => {
    for (const response_type of ['token', 'id_token', 'code token', 'code id_token', 'none']) {
      const { error } = await ask({ scope: 'openid' }, { response_type, nonce: 'n' });
      expect(error).toBe('unsupported_response_type');
    }
    const none = await ask({ scope: 'openid' }, { code_challenge: '' });
    expect(none.error).toBe('invalid_request');
    const short = await ask({ scope: 'openid' }, { code_challenge: 'abc' });
    expect(short.error).toBe('invalid_request');
  });

  it('is asked for in the address or by a pushed request, never by a JWT', async () => {
    const request = `${encode({ alg: 'none' })}.${encode({ scope: 'files' })}.`;
    expect((await ask(KEYS, { request })).error).toBe('request_not_supported');
    const away = await ask(KEYS, { request_uri: 'https://evil.example/request' });
    expect(['invalid_request_uri', 'request_uri_not_supported']).toContain(away.error);
  });
});

describe('a code', () => {
  it('is worth nothing without its verifier', async () => {
    const { code, redirectUri, clientId, verifier } = await authorize(server, alice, KEYS);
    const form = { grant_type: 'authorization_code', client_id: clientId, code };
    const whole = { ...form, redirect_uri: redirectUri };
    await askToken(server, whole).expect(400);
    for (const wrong of ['', `${verifier}A`]) {
      await askToken(server, { ...whole, code_verifier: wrong }).expect(400);
    }
    await askToken(server, { ...whole, code_verifier: verifier }).expect(200);
  });
});

describe('a refresh token', () => {
  it('has at most one winner when ten use it at once, and then none', async () => {
    const { refresh_token: token = '' } = await tokenFor(server, alice, KEYS);
    const all = await Promise.all(Array.from({ length: 10 }, () => refresh(token)));
    expect(all.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    expect(all.every(({ status }) => status === 200 || status === 400)).toBe(true);
    for (const { body } of all) {
      if (!body.access_token) continue;
      await tryKeys(body.access_token).expect(401);
      await refresh(body.refresh_token).expect(400);
    }
  });

  it('gives no scope that was not granted, and no more than what it is asked for', async () => {
    const asked = { scope: 'keys:read keys:write', resource: audiences.keys };
    const { refresh_token: token = '' } = await tokenFor(server, alice, asked);
    const more = await refresh(token, { scope: 'keys:read keys:discover' }).expect(400);
    expect(more.body.error).toBe('invalid_scope');
    const other = await refresh(token, { scope: 'files' }).expect(400);
    expect(other.body.error).toBe('invalid_scope');
    const { body } = await refresh(token, { scope: 'keys:read' }).expect(200);
    expect(body.scope).toBe('keys:read');
    const target = await refresh(body.refresh_token, { resource: audiences.files }).expect(400);
    expect(target.body.error).toBe('invalid_target');
  });

  it('is of its own app', async () => {
    const { refresh_token: token = '' } = await tokenFor(server, alice, KEYS);
    await refresh(token, { client_id: web.clientId }).expect(400);
    await refresh(token).expect(200);
  });

  it('opens no API', async () => {
    const { refresh_token: token = '' } = await tokenFor(server, alice, KEYS);
    await tryKeys(token).expect(401);
  });
});

describe('an access token', () => {
  it('of another server is refused', async () => {
    const other = await TestServer.start();
    const bob = await signUp(other);
    const { access_token: token } = await tokenFor(other, bob, KEYS);
    await tryKeys(token, other).expect(404);
    await tryKeys(token).expect(401);
    await other.stop();
  });

  it('comes in the header alone: not in the address, not in a form', async () => {
    const { access_token: token } = await tokenFor(server, alice, KEYS);
    const { access_token: open } = await tokenFor(server, alice, { scope: 'openid' });
    await server.request().get('/keys/v1/me').query({ access_token: token }).expect(401);
    const info = server.request().get('/oauth2/userinfo').query({ access_token: open });
    expect([400, 401]).toContain((await info).status);
    const put = server.request().put('/keys/v1/me').type('form').send({ access_token: token });
    expect([400, 401, 415]).toContain((await put).status);
  });

  it('is never written to the log, nor is a code, wherever they stand', async () => {
    const lines: string[] = [];
    const write = (...words: unknown[]) => void lines.push(JSON.stringify(words));
    Logger.overrideLogger({
      ...{ log: write, error: write, warn: write, debug: write, verbose: write, fatal: write },
    });
    try {
      const authorized = await authorize(server, alice, KEYS);
      const { body } = await exchange(server, authorized).expect(200);
      const { access_token: access, refresh_token: again } = body as Record<string, string>;
      const query = { access_token: access, token: again, code: authorized.code };
      for (const path of ['/keys/v1/me', '/oauth2/userinfo', '/oauth2/token', '/nowhere']) {
        await server.request().get(path).query(query);
        await server.request().post(path).query(query).type('form').send(query);
      }
      await tryKeys(access ?? '').expect(404);
      await tryKeys(again ?? '').expect(401);
      const text = lines.join('\n');
      expect(text).toContain('"event":"request"');
      for (const secret of [authorized.code, authorized.verifier, access, again]) {
        expect(text).not.toContain(secret);
      }
    } finally {
      Logger.overrideLogger(false);
    }
  });
});

describe('an ID token that is brought as a hint', () => {
  it('has to be signed by this server', async () => {
    const asked = { clientId: web.clientId, redirectUri: web.redirectUri, scope: 'openid' };
    const { body } = await exchange(server, await authorize(server, alice, asked)).expect(200);
    const token = body.id_token as string;
    const [, claims = '', signature = ''] = token.split('.');
    const { privateKey } = await DpopKey.make();
    const header = { ...decodeProtectedHeader(token), alg: 'ES256' };
    const secret = new TextEncoder().encode('secret');
    for (const hint of [
      `${encode({ alg: 'none' })}.${claims}.`,
      `${encode({ ...header, alg: 'HS256' })}.${claims}.${signature}`,
      await new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: 'HS256' }).sign(secret),
      await new SignJWT(decodeJwt(token)).setProtectedHeader(header).sign(privateKey),
    ]) {
      const answer = await ask(asked, { prompt: 'none', id_token_hint: hint });
      expect(answer.error).toBe('invalid_request');
    }
    const good = await ask(asked, { prompt: 'none', id_token_hint: token });
    expect(good.error).toBe('login_required');
  });
});

describe('the token endpoint', () => {
  it('knows no password, no app’s own rights and no grant of others', async () => {
    for (const grant_type of ['password', 'client_credentials', 'implicit', 'fxa-credentials']) {
      const form = { grant_type, client_id: 'demo-app', username: alice.email, password: 'x' };
      const { body } = await askToken(server, form).expect(400);
      expect(['unsupported_grant_type', 'invalid_request']).toContain(body.error);
    }
  });

  it('takes each parameter once, as a form, by POST', async () => {
    const { code, verifier, redirectUri, clientId } = await authorize(server, alice, KEYS);
    const form = new URLSearchParams({
      ...{ grant_type: 'authorization_code', client_id: clientId, code },
      ...{ code_verifier: verifier, redirect_uri: redirectUri },
    });
    const post = () => server.request().post('/oauth2/token');
    await post().type('form').send(`${form.toString()}&code=x`).expect(400);
    await post().send(Object.fromEntries(form)).expect(400);
    expect((await server.request().get(`/oauth2/token?${form.toString()}`)).status).toBe(404);
    await post().type('form').send(form.toString()).expect(200);
  });
});

describe('a pushed request', () => {
  const push = async (form: Record<string, string>) =>
    server.request().post('/oauth2/par').type('form').send(form);
  const request = (more: Partial<Asked> = {}) =>
    Object.fromEntries(authorizationUrl(server, { ...KEYS, ...more }).url.searchParams);
  const open = async (clientId: string, requestUri: string, more = {}) => {
    const url = new URL('/oauth2/authorize', server.url);
    const params = { client_id: clientId, request_uri: requestUri, ...more };
    url.search = new URLSearchParams(params).toString();
    const answer = await new Browser().go(url);
    return { status: answer.status, location: answer.headers.get('location') ?? '' };
  };

  it('is held to what the address would be', async () => {
    expect((await push({ ...request(), code_challenge: '' })).status).toBe(400);
    expect((await push(request({ redirectUri: 'https://evil.example/' }))).status).toBe(400);
    expect((await push(request({ clientId: 'nobody' }))).status).toBe(401);
    const nested = await push({ ...request(), request_uri: 'urn:ietf:params:oauth:request_uri:x' });
    expect(nested.status).toBe(400);
  });

  it('is for the app that pushed it, and what stands beside it counts for nothing', async () => {
    const { body } = await push(request());
    const stranger = new URL((await open(web.clientId, body.request_uri)).location);
    expect(stranger.origin + stranger.pathname).toBe(web.redirectUri);
    expect(stranger.searchParams.get('error')).toBe('invalid_request_object');
    const other = { redirect_uri: 'https://evil.example/', scope: 'files', state: 'other' };
    const page = await open('demo-app', body.request_uri, other);
    expect(page.location).toMatch(/^\/oauth2\/interaction\/|\/oauth2\/interaction\//);
    const id = page.location.split('/').at(-1) ?? '';
    const [{ payload }] = await server.db.query(
      `SELECT payload FROM oidc WHERE model = 'Interaction' AND id = $1`,
      [id],
    );
    expect(payload.params).toMatchObject({ scope: 'keys:read', state: 'xyz' });
    expect(payload.params.redirect_uri).toBe('http://127.0.0.1:41999/callback');
  });

  it('is not made up, and not old', async () => {
    const errorOf = async (uri: string) =>
      new URL((await open('demo-app', uri)).location, server.url).searchParams.get('error');
    for (const uri of ['urn:ietf:params:oauth:request_uri:made-up', 'urn:other:x']) {
      expect(await errorOf(uri)).toMatch(/^(invalid_request_uri|request_uri_not_supported)$/);
    }
    const { body } = await push(request());
    server.clock.advance(Number(body.expires_in) + 1);
    expect(await errorOf(body.request_uri)).toBe('invalid_request_uri');
  });
});
