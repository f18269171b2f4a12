import {
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JWK,
  jwtVerify,
  SignJWT,
} from 'jose';
import { audiences } from '#lib/protocol';
import {
  type Account,
  type Asked,
  askToken,
  authorize,
  authorizationUrl,
  exchange,
  signUp,
} from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp, basic, type TestApp } from '../support/apps.ts';
import { Browser } from '../support/browser.ts';
import { DpopKey } from '../support/dpop.ts';
import { TestServer } from '../support/test-server.ts';

const API = 'https://api.app.example/v1';

let server: TestServer;
let alice: Account;
let app: TestApp;
let api: TestApp;
let stranger: TestApp;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  app = await addApp(server, { resources: [API] });
  const confidential = { token_endpoint_auth_method: 'client_secret_basic' } as const;
  api = await addApp(server, { ...confidential, resources: [API] });
  stranger = await addApp(server, confidential);
});
afterAll(() => server.stop());

interface Answer {
  access_token: string;
  refresh_token: string;
  scope: string;
  expires_in: number;
}
const tokenFor = async (account = alice, asked: Partial<Asked> = {}): Promise<Answer> => {
  const { clientId, redirectUri } = app;
  const wanted = { clientId, redirectUri, scope: 'openid profile', resource: API, ...asked };
  const answer = await exchange(server, await authorize(server, account, wanted), API).expect(200);
  return answer.body as Answer;
};
const introspect = async (token: string, by = api) => {
  const { body } = await server
    .request()
    .post('/oauth2/introspect')
    .type('form')
    .set('authorization', basic(by))
    .send({ token })
    .expect(200);
  return body as { active: boolean; sub?: string; aud?: string; client_id?: string };
};
const revoke = (token: string, clientId = app.clientId) =>
  server
    .request()
    .post('/oauth2/revoke')
    .type('form')
    .send({ token, client_id: clientId })
    .expect(200);
const refresh = (token: string, more: Record<string, string> = {}) =>
  askToken(server, {
    ...{ grant_type: 'refresh_token', client_id: app.clientId, refresh_token: token },
    ...more,
  });
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

describe('a token for an API of the app’s own', () => {
  it('is a JWT that the API checks by the published keys', async () => {
    const { access_token: token, scope, expires_in: seconds } = await tokenFor();
    expect([scope, seconds]).toEqual(['openid profile', 900]);
    expect(decodeProtectedHeader(token)).toMatchObject({ alg: 'ES256', typ: 'at+jwt' });
    const keys = createRemoteJWKSet(new URL(`${server.url}/oauth2/jwks`));
    const { payload } = await jwtVerify(token, keys, {
      ...{ issuer: server.url, audience: API, typ: 'at+jwt', algorithms: ['ES256'] },
    });
    expect(payload).toMatchObject({ sub: alice.uid, client_id: app.clientId, aud: API });
    expect((payload.exp ?? 0) - (payload.iat ?? 0)).toBe(900);
    expect(Object.keys(payload).sort()).toEqual(
      ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'scope', 'sub'].sort(),
    );
  });

  it('is not had by an app that has no such API', async () => {
    const asked = { clientId: 'demo-app', scope: 'openid', resource: API };
    const answer = await new Browser().go(authorizationUrl(server, asked).url);
    const back = new URL(answer.headers.get('location') ?? '');
    expect(back.searchParams.get('error')).toBe('invalid_target');
  });

  it('opens none of this server’s APIs, nor userinfo', async () => {
    const { access_token: token } = await tokenFor();
    const { jti = '' } = decodeJwt(token);
    for (const value of [token, jti, `jwt~${jti}`]) {
      for (const path of ['/keys/v1/me', '/oauth2/userinfo', '/profile/v1/profile']) {
        const answer = server.request().get(path).set('authorization', `Bearer ${value}`);
        expect((await answer).status).toBe(401);
      }
    }
  });

  it('is nothing by its name to the calls of browsers, which ask for no secret', async () => {
    const { access_token: token } = await tokenFor();
    const name = `jwt~${decodeJwt(token).jti ?? ''}`;
    const verified = await post(server, 'verify', { token: name }).expect(401);
    expect(verified.body.errno).toBe(110);
    for (const path of ['/auth/v1/introspect', '/oauth2/introspect']) {
      const { body } = await server.request().post(path).send({ token: name }).expect(200);
      expect(body).toEqual({ active: false });
    }
    await post(server, 'oauth/destroy', { token: name }).expect(200);
    expect((await introspect(token)).active).toBe(true);
  });

  it('is one of several, each with its audience', async () => {
    const resource = [API, audiences.keys];
    const first = await tokenFor(alice, { scope: 'openid keys:read', resource });
    expect(decodeJwt(first.access_token).aud).toBe(API);
    const { body } = await refresh(first.refresh_token, { resource: audiences.keys }).expect(200);
    expect(body.access_token).not.toContain('.');
    const again = await refresh(body.refresh_token, { resource: API }).expect(200);
    expect(decodeJwt(again.body.access_token).aud).toBe(API);
  });

  it('says by which key it is bound', async () => {
    const key = await DpopKey.make();
    const { clientId, redirectUri } = app;
    const asked = { clientId, redirectUri, scope: 'openid', resource: API };
    const proof = await key.proof('POST', `${server.url}/oauth2/token`);
    const { body } = await exchange(server, await authorize(server, alice, asked), API)
      .set('dpop', proof)
      .expect(200);
    const { cnf } = decodeJwt<{ cnf: { jkt: string } }>(body.access_token);
    expect(cnf.jkt).toMatch(/^[\w-]{43}$/);
    expect(await introspect(body.access_token)).toMatchObject({ active: true, cnf });
  });
});

describe('introspection of a JWT', () => {
  it('tells its own app, and the API that it is for', async () => {
    const { access_token: token } = await tokenFor();
    const { iat, exp } = decodeJwt(token);
    expect(await introspect(token)).toMatchObject({
      ...{ active: true, sub: alice.uid, aud: API, client_id: app.clientId, iat, exp },
    });
    const { body } = await server
      .request()
      .post('/oauth2/introspect')
      .type('form')
      .send({ token, client_id: app.clientId })
      .expect(200);
    expect(body.active).toBe(true);
  });

  it('tells nobody else, and no API without its secret', async () => {
    const { access_token: token } = await tokenFor();
    expect(await introspect(token, stranger)).toEqual({ active: false });
    const publicApi = await addApp(server, { resources: [API] });
    for (const client_id of ['demo-app', publicApi.clientId]) {
      const { body } = await server
        .request()
        .post('/oauth2/introspect')
        .type('form')
        .send({ token, client_id })
        .expect(200);
      expect(body).toEqual({ active: false });
    }
    const wrong = { ...api, secret: 'wrong' };
    const ask = server.request().post('/oauth2/introspect').type('form');
    await ask.set('authorization', basic(wrong)).send({ token }).expect(401);
  });

  it('says no when the token is revoked, and leaves its grant alone', async () => {
    const first = await tokenFor();
    await revoke(first.access_token, 'demo-app');
    expect((await introspect(first.access_token)).active).toBe(true);
    await revoke(first.access_token);
    expect(await introspect(first.access_token)).toEqual({ active: false });
    const { body } = await refresh(first.refresh_token, { resource: API }).expect(200);
    expect((await introspect(body.access_token)).active).toBe(true);
    await revoke(body.refresh_token);
    expect(await introspect(body.access_token)).toEqual({ active: false });
  });

  it('says no when the session has ended', async () => {
    const bob = await signUp(server);
    const { access_token: token } = await tokenFor(bob);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    expect(await introspect(token)).toEqual({ active: false });
  });

  it('says no to what was not signed by this server', async () => {
    const { access_token: token } = await tokenFor();
    const [head = '', body = '', signature = ''] = token.split('.');
    const payload = decodeJwt(token);
    const header = decodeProtectedHeader(token);
    const { privateKey } = await DpopKey.make();
    const own = (claims: object, protectedHeader: object) =>
      new SignJWT({ ...payload, ...claims })
        .setProtectedHeader({ alg: 'ES256', ...header, ...protectedHeader })
        .sign(privateKey);
    const { body: keys } = await server.request().get('/oauth2/jwks');
    const secret = new TextEncoder().encode(JSON.stringify(keys.keys[0]));
    for (const forged of [
      `${encode({ ...header, alg: 'none' })}.${body}.`,
      `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
      `${head}.${encode({ ...payload, sub: 'somebody' })}.${signature}`,
      await own({}, {}),
      await own({}, { kid: undefined }),
      await own({ iss: 'https://other.example' }, {}),
      await new SignJWT(payload).setProtectedHeader({ ...header, alg: 'HS256' }).sign(secret),
      `${head}.${body}.${signature.slice(0, -4)}AAAA`,
      'a.b.c',
      `jwt~${String(payload.jti)}x`,
    ]) {
      expect(await introspect(forged)).toEqual({ active: false });
    }
    expect((await introspect(token)).active).toBe(true);
  });

  it('says no to what this server signed for something else', async () => {
    const { access_token: token } = await tokenFor();
    const [{ jwk }] = await server.db.query<[{ jwk: JWK }]>(`SELECT jwk FROM signing_key`);
    const sign = (claims: object, header: object = {}) =>
      new SignJWT({ ...decodeJwt(token), ...claims })
        .setProtectedHeader({ alg: 'ES256', typ: 'at+jwt', ...header })
        .sign(jwk);
    expect((await introspect(await sign({}))).active).toBe(true);
    for (const other of [
      await sign({}, { typ: 'logout+jwt' }),
      await sign({}, { typ: undefined }),
      await sign({ iss: 'https://other.example' }),
      await sign({ exp: Math.floor(Date.now() / 1000) - 10 }),
      await sign({ jti: 'another' }),
    ]) {
      expect(await introspect(other)).toEqual({ active: false });
    }
  });

  it('takes an ID token for no access token', async () => {
    const { clientId, redirectUri } = app;
    const authorized = await authorize(server, alice, { clientId, redirectUri, scope: 'openid' });
    const { id_token: token } = (await exchange(server, authorized).expect(200)).body;
    expect(await introspect(token, { ...app, ...api })).toEqual({ active: false });
  });

  it('refuses a form that is too long, and a body that is none', async () => {
    const ask = () => server.request().post('/oauth2/introspect').set('authorization', basic(api));
    const long = { token: 'a.b.c', more: 'x'.repeat(60_000) };
    expect((await ask().type('form').send(long).expect(400)).body.error).toBe('invalid_request');
    await ask().type('text/plain').send('token=a.b.c').expect(400);
    await ask().type('form').send('').expect(400);
    await ask().type('form').send('token=a.b.c&token=d.e.f').expect(400);
  });

  // The provider stamps by the real time: what is issued after this has long expired.
  it('says no when the time is over', async () => {
    const { access_token: token } = await tokenFor();
    expect((await introspect(token)).active).toBe(true);
    server.clock.advance(901);
    expect(await introspect(token)).toEqual({ active: false });
  });
});
