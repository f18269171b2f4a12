import dns from 'node:dns/promises';
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose';
import { LogoutNoticesService } from '../../apps/server/src/oauth/logout-notices.service.ts';
import { AuthorityService } from '../../apps/server/src/oauth/authority.service.ts';
import { type Account, authorize, exchange, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import { addApp, type TestApp } from '../support/apps.ts';
import { TestNameServer, TestPushService } from '../support/push-service.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
/** Any https server will do. */
let listener: TestPushService;
beforeAll(async () => {
  listener = await TestPushService.start();
  server = await TestServer.start({ APP_HOSTS_ALLOWED: '127.0.0.1' });
});
afterAll(async () => {
  await server.stop();
  await listener.close();
});
beforeEach(() => {
  listener.answer = (reply) => reply.writeHead(200).end();
});

const addListening = (more = {}) =>
  addApp(server, {
    ...{ backchannel_logout_uri: listener.at(), backchannel_logout_session_required: true },
    ...more,
  });
/** Signs somebody in to the app; returns the ID token's claims. */
async function enter(account: Account, { clientId, redirectUri }: TestApp) {
  const asked = { clientId, redirectUri, scope: 'openid' };
  const { body } = await exchange(server, await authorize(server, account, asked)).expect(200);
  const { id_token: idToken, refresh_token: refreshToken } = body as Record<string, string>;
  return { ...decodeJwt<{ sid?: string }>(idToken ?? ''), refreshToken: refreshToken ?? '' };
}
/** The claims of the next logout token, checked as OpenID Connect Back-Channel Logout 1.0 §2.6 says. */
async function told({ clientId }: TestApp) {
  const { headers, body } = await listener.next();
  expect(headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/);
  const token = new URLSearchParams(body.toString()).get('logout_token') ?? '';
  const keys = createRemoteJWKSet(new URL(`${server.url}/oauth2/jwks`));
  const { payload } = await jwtVerify(token, keys, {
    ...{ issuer: server.url, audience: clientId, typ: 'logout+jwt', algorithms: ['ES256'] },
    requiredClaims: ['iat', 'exp', 'jti', 'events'],
  });
  expect(payload['events']).toEqual({ 'http://schemas.openid.net/event/backchannel-logout': {} });
  expect(payload['nonce']).toBeUndefined();
  return payload as { sub: string; sid?: string };
}
const waiting = () => server.db.query<object[]>(`SELECT client_id, tries FROM logout_notice`);
const work = () => server.app.get(LogoutNoticesService).work();

describe('an app that wants to hear of sign-outs', () => {
  it('is told by the session’s name when the account signs out', async () => {
    const app = await addListening();
    const alice = await signUp(server);
    const { sid } = await enter(alice, app);
    expect(sid).toMatch(/^[\w-]{16,}$/);
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    expect(await told(app)).toMatchObject({ sub: alice.uid, sid });
  });

  it('is told when the account is deleted', async () => {
    const app = await addListening();
    const alice = await signUp(server);
    const { sid } = await enter(alice, app);
    await server.db.query(`DELETE FROM account WHERE uid = $1`, [alice.uid]);
    expect(await told(app)).toMatchObject({ sub: alice.uid, sid });
  });

  it('is told when its refresh token is revoked', async () => {
    const app = await addListening();
    const alice = await signUp(server);
    const { refreshToken: token } = await enter(alice, app);
    const form = { token, client_id: app.clientId };
    await server.request().post('/oauth2/revoke').type('form').send(form).expect(200);
    expect(await told(app)).toMatchObject({ sub: alice.uid });
  });

  it('is told without a name when it wants none, and gets none in its ID tokens', async () => {
    const app = await addListening({ backchannel_logout_session_required: false });
    const alice = await signUp(server);
    expect((await enter(alice, app)).sid).toBeUndefined();
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    expect(await told(app)).not.toHaveProperty('sid');
  });

  it('is not told of a grant that only expired', async () => {
    const app = await addListening();
    await enter(await signUp(server), app);
    await server.db.query(
      `UPDATE oidc SET expires_at = now() - interval '1 minute' WHERE model = 'Grant'`,
    );
    await server.app.get(AuthorityService).purge();
    expect(await waiting()).toEqual([]);
  });

  it('leaves others untold', async () => {
    const silent = await addApp(server);
    const alice = await signUp(server);
    await enter(alice, silent);
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    expect(await waiting()).toEqual([]);
  });

  it('is told again until it answers that it heard', async () => {
    const app = await addListening();
    const alice = await signUp(server);
    await enter(alice, app);
    listener.answer = (reply) => reply.writeHead(500).end();
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    const first = await told(app);
    await work();
    expect(await waiting()).toEqual([{ client_id: app.clientId, tries: 1 }]);
    listener.answer = (reply) => reply.writeHead(302, { location: listener.at() }).end();
    server.clock.advance(11);
    await work();
    expect(await told(app)).toMatchObject({ sub: first.sub, sid: first.sid });
    listener.answer = (reply) => reply.writeHead(204).end();
    server.clock.advance(21);
    await work();
    expect(await told(app)).toMatchObject({ sub: first.sub });
    expect(await waiting()).toEqual([]);
  });

  it('does not wait behind the retries of one that never answers', async () => {
    listener.answer = (reply) => reply.writeHead(500).end();
    const [deaf, app] = [await addListening(), await addListening()];
    await server.db.query(
      `INSERT INTO logout_notice (client_id, sub, created_at, next_try_at, tries)
       SELECT CASE n WHEN 40 THEN $1 ELSE $2 END, 'somebody', now(),
              now() - CASE n WHEN 40 THEN interval '1 second' ELSE interval '1 hour' END,
              CASE n WHEN 40 THEN 0 ELSE 9 END
         FROM generate_series(1, 40) n`,
      [app.clientId, deaf.clientId],
    );
    await work();
    const heard: unknown[] = [];
    for (let n = 0; n < 40; n++) {
      const form = new URLSearchParams((await listener.next()).body.toString());
      heard.push(decodeJwt(form.get('logout_token') ?? '').aud);
    }
    expect(heard.indexOf(app.clientId)).toBeLessThan(10);
    await server.db.query(`DELETE FROM logout_notice`);
  });

  it('is given up after a day', async () => {
    const app = await addListening();
    const alice = await signUp(server);
    await enter(alice, app);
    listener.answer = (reply) => reply.writeHead(400).end();
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    await told(app);
    server.clock.advance(86_400 + 10);
    await work();
    await told(app);
    expect(await waiting()).toEqual([]);
  });
});

describe('an address that an app gives', () => {
  const servers = dns.getServers();
  let names: TestNameServer;
  let plain: TestServer;
  beforeAll(async () => {
    plain = await TestServer.start();
    names = await TestNameServer.start((name) =>
      name === 'mixed.example.org' ? ['8.8.8.8', '10.0.0.1'] : ['127.0.0.1'],
    );
    dns.setServers([names.server]);
  });
  afterAll(async () => {
    dns.setServers(servers);
    names.close();
    await plain.stop();
  });

  it.each([
    'https://127.0.0.1:PORT/x',
    'https://inside.example.org:PORT/x',
    'https://mixed.example.org:PORT/x',
    'https://localhost:PORT/x',
    'https://[::1]:PORT/x',
    'https://[::ffff:127.0.0.1]:PORT/x',
    'https://user:pass@push.example.org:PORT/x',
    'http://push.example.org:PORT/x',
  ])('is not called inside the network: %s', async (address) => {
    const uri = address.replace('PORT', String(listener.port));
    const app = await addApp(plain, { backchannel_logout_uri: uri });
    const before = listener.connections;
    await plain.db.query(
      `INSERT INTO logout_notice (client_id, sub, created_at, next_try_at)
       VALUES ($1, 'somebody', now(), now() + interval '1 minute')`,
      [app.clientId],
    );
    plain.clock.advance(61);
    await plain.app.get(LogoutNoticesService).work();
    expect(listener.connections).toBe(before);
    const [row] = await plain.db.query(`SELECT tries FROM logout_notice WHERE client_id = $1`, [
      app.clientId,
    ]);
    expect(row).toEqual({ tries: 1 });
  });
});
