import {
  deriveScopedKey,
  fromHex,
  generateKeysJwk,
  openScopedKeys,
  toBase64Url,
} from '#lib/crypto';
import { APP_KEY, audiences, DEVICE_GRANT, TokenAnswer } from '#lib/protocol';
import { type Account, askToken, signUp } from '../support/account.ts';
import { anAddress, credentials, post } from '../support/account-api.ts';
import { bearerOf } from '../support/account.ts';
import { addApp } from '../support/apps.ts';
import { answerDevice, askDevice, beginDevice, devicePage, poll } from '../support/device.ts';
import { DpopKey } from '../support/dpop.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
});
afterAll(() => server.stop());

const tryKeys = (token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);

async function keyPair() {
  const { publicJwk, privateJwk } = await generateKeysJwk();
  return { privateJwk, keysJwk: Buffer.from(JSON.stringify(publicJwk)).toString('base64url') };
}
const errorOf = async (deviceCode: string) => (await poll(server, deviceCode)).body.error as string;
const signedIn = () => ({ authorization: alice.authorization });

describe('A device that shows a code', () => {
  it('is told where to send people, and how often to ask', async () => {
    const { body } = await askDevice(server, { scope: 'keys:read' }).expect(200);
    expect(body).toEqual({
      device_code: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      user_code: expect.stringMatching(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/),
      verification_uri: `${server.url}/device`,
      verification_uri_complete: `${server.url}/device?user_code=${body.user_code}`,
      expires_in: 600,
      interval: 5,
    });
    const discovery = await server.request().get('/.well-known/openid-configuration').expect(200);
    expect(discovery.body.device_authorization_endpoint).toBe(
      `${server.url}/oauth2/device_authorization`,
    );
  });

  it('waits, and is told to ask more slowly when it is in a hurry', async () => {
    const { device_code: code } = await beginDevice(server, { scope: 'keys:read' });
    expect(await errorOf(code)).toBe('authorization_pending');
    expect(await errorOf(code)).toBe('slow_down');
    server.clock.advance(5);
    expect(await errorOf(code)).toBe('authorization_pending');
  });

  it('gets tokens once the account agrees, and once only', async () => {
    const scope = 'openid keys:read';
    const { device_code: code, user_code: userCode } = await beginDevice(server, {
      ...{ scope, nonce: 'n-0S6_WzA2Mj' },
    });
    await (
      await answerDevice(server, { account: alice, userCode })
    ).body;
    const tokens = TokenAnswer.parse((await poll(server, code).expect(200)).body);
    expect(tokens.scope).toBe('keys:read');
    await tryKeys(tokens.access_token).expect(404);
    const claims = JSON.parse(
      Buffer.from(tokens.id_token?.split('.')[1] ?? '', 'base64url').toString(),
    );
    expect(claims).toMatchObject({ sub: alice.uid, aud: 'demo-app', nonce: 'n-0S6_WzA2Mj' });
    expect(claims).toMatchObject({ acr: expect.any(String), amr: expect.any(Array) });
    // The name that an app hears of when the grant ends.
    const named = await server.db.query(
      `SELECT id FROM oidc WHERE model = 'Grant' AND payload->>'sid' = $1`,
      [claims.sid],
    );
    expect(named).toHaveLength(1);
    // The second use shows that the code leaked: what it gave is taken back.
    expect(await errorOf(code)).toBe('invalid_grant');
    await tryKeys(tokens.access_token).expect(401);
  });

  it('refreshes, and names one of several APIs at each exchange', async () => {
    const resource = [audiences.keys, audiences.files];
    const asked = { scope: 'keys:read files', resource };
    const { device_code: code, user_code: userCode } = await beginDevice(server, asked);
    await answerDevice(server, { account: alice, userCode });
    const { body } = await poll(server, code, { resource: audiences.files }).expect(200);
    expect(body.scope).toBe('files');
    const next = await askToken(server, {
      ...{ grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: body.refresh_token },
      resource: audiences.keys,
    }).expect(200);
    await tryKeys(next.body.access_token).expect(404);
  });

  it('gives one winner at most when ten ask at once', async () => {
    const { device_code: code, user_code: userCode } = await beginDevice(server, {
      scope: 'keys:read',
    });
    await answerDevice(server, { account: alice, userCode });
    const all = await Promise.all(Array.from({ length: 10 }, () => poll(server, code)));
    expect(all.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    expect(all.every(({ status }) => status === 200 || status === 400)).toBe(true);
  });

  it('hears that the account refused, also from somebody who did not sign in', async () => {
    for (const authorization of [alice.authorization, undefined]) {
      const { device_code: code, user_code } = await beginDevice(server, { scope: 'keys:read' });
      const by = authorization === undefined ? {} : { authorization };
      const { uid } = (await devicePage(server, 'details', { user_code }, by).expect(200)).body;
      const answer = { user_code, uid, consent: false };
      await devicePage(server, 'finish', answer, by).expect(200);
      expect(await errorOf(code)).toBe('access_denied');
      await devicePage(server, 'details', { user_code }, by).expect(400);
      await devicePage(server, 'finish', { ...answer, consent: true }, signedIn()).expect(400);
    }
  });

  it('hears that its code is too old, and nobody can answer it any more', async () => {
    const { device_code: code, user_code } = await beginDevice(server, { scope: 'keys:read' });
    const { uid } = (await devicePage(server, 'details', { user_code }).expect(200)).body;
    server.clock.advance(601);
    expect(await errorOf(code)).toBe('expired_token');
    await devicePage(server, 'details', { user_code }).expect(400);
    const answer = { user_code, uid, consent: true };
    await devicePage(server, 'finish', answer, signedIn()).expect(400);
    server.clock.advance(3600);
    expect(await errorOf(code)).toBe('invalid_grant');
  });

  it('loses what it was given when the session that agreed ends', async () => {
    const bob = await signUp(server);
    const { device_code: code, user_code: userCode } = await beginDevice(server, {
      scope: 'keys:read',
    });
    await answerDevice(server, { account: bob, userCode });
    const late = await beginDevice(server, { scope: 'keys:read' });
    await answerDevice(server, { account: bob, userCode: late.user_code });
    const { body } = await poll(server, code).expect(200);
    await post(server, 'session/destroy', {}, bob.authorization).expect(200);
    await tryKeys(body.access_token).expect(401);
    expect(await errorOf(late.device_code)).toBe('invalid_grant');
  });

  it('has a code that is good for the app that asked alone, and stands nowhere', async () => {
    const { device_code: code } = await beginDevice(server, { scope: 'keys:read' });
    const other = await poll(server, code, { client_id: '5882386c6d801776' });
    expect(other.status).toBe(400);
    const rows = JSON.stringify(await server.db.query(`SELECT o::text FROM oidc o`));
    expect(rows).not.toContain(code);
  });

  it('proves itself when its app has a secret, and can bind its tokens to a key', async () => {
    const made = await addApp(server, {
      ...{ token_endpoint_auth_method: 'client_secret_basic', scope: 'openid keys:read' },
      grant_types: [DEVICE_GRANT, 'refresh_token'],
    });
    const { clientId: client_id } = made;
    const asked = { client_id, scope: 'keys:read' };
    expect((await askDevice(server, asked).expect(401)).body.error).toBe('invalid_client');
    const { body } = await askDevice(server, asked).auth(client_id, made.secret).expect(200);
    await answerDevice(server, { account: alice, userCode: body.user_code });
    await poll(server, body.device_code, { client_id }).expect(401);
    const key = await DpopKey.make();
    const url = `${server.url}/oauth2/token`;
    const tokens = await poll(server, body.device_code, { client_id })
      .auth(client_id, made.secret)
      .set('dpop', await key.proof('POST', url))
      .expect(200);
    expect(tokens.body.token_type).toBe('DPoP');
    await tryKeys(tokens.body.access_token).expect(401);
  });

  it('is refused scopes that the app may not have, and apps without this grant', async () => {
    const scope = 'https://identity.mozilla.com/apps/oldsync';
    expect((await askDevice(server, { scope }).expect(400)).body.error).toBe('invalid_scope');
    const asked = { scope: 'profile', client_id: '5882386c6d801776' };
    expect((await askDevice(server, asked).expect(400)).body.error).toMatch(/client|request/);
  });
});

describe('The key of an app on a device', () => {
  it('is delivered once, and is the one of its own identifier', async () => {
    const { keysJwk, privateJwk } = await keyPair();
    const asked = { scope: APP_KEY, keys_jwk: keysJwk };
    const { device_code: code, user_code: userCode } = await beginDevice(server, asked);
    await (
      await answerDevice(server, { account: alice, userCode })
    ).body;
    const { body } = await poll(server, code).expect(200);
    const keys = await openScopedKeys(body.keys_jwe, privateJwk);
    const expected = deriveScopedKey({
      ...{ kB: alice.kB, uid: fromHex(alice.uid), identifier: 'app:demo-app' },
      keyRotationSecret: new Uint8Array(32),
      keyRotationTimestamp: Number(keys[APP_KEY]?.kid.split('-')[0]),
    });
    expect(Object.keys(keys)).toEqual([APP_KEY]);
    expect(keys[APP_KEY]).toMatchObject({ k: toBase64Url(expected.k), scope: 'app:demo-app' });
    const [left] = await server.db.query(
      `SELECT count(*)::int AS count FROM oidc WHERE keys_jwe IS NOT NULL`,
    );
    expect(left.count).toBe(0);
  });

  it('needs a good key to seal it to, and the scope', async () => {
    const { keysJwk, privateJwk } = await keyPair();
    const jwk = JSON.parse(Buffer.from(keysJwk, 'base64url').toString());
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    for (const bad of [
      {},
      { keys_jwk: 'bogus' },
      { keys_jwk: encode(privateJwk) },
      { keys_jwk: encode({ ...jwk, crv: 'P-384' }) },
      { keys_jwk: encode({ ...jwk, y: jwk.x }) },
      { keys_jwk: keysJwk, scope: 'keys:read' },
    ]) {
      const { body } = await askDevice(server, { scope: APP_KEY, ...bad }).expect(400);
      expect(body.error).toBe('invalid_request');
    }
  });

  it('must come with consent when it was asked for, and never otherwise', async () => {
    const { keysJwk } = await keyPair();
    for (const [asked, keys_jwe] of [
      [{ scope: APP_KEY, keys_jwk: keysJwk }, undefined],
      [{ scope: APP_KEY, keys_jwk: keysJwk }, 'no.jwe'],
      [{ scope: 'keys:read' }, 'a.b.c.d.e'],
    ] as const) {
      const { device_code: code, user_code } = await beginDevice(server, asked);
      const { uid } = (await devicePage(server, 'details', { user_code }).expect(200)).body;
      const answer = { user_code, uid, consent: true, keys_jwe };
      await devicePage(server, 'finish', answer, signedIn()).expect(400);
      expect(await errorOf(code)).toBe('authorization_pending');
    }
  });
});

describe('Who answers a device', () => {
  it('types the code as he likes, and sees who asks for what, from where', async () => {
    const { user_code: code } = await beginDevice(server, { scope: 'openid keys:read unheard-of' });
    for (const typed of [code, code.toLowerCase(), code.replace('-', ''), ` ${code} `]) {
      const { body } = await devicePage(server, 'details', { user_code: typed }).expect(200);
      expect(body).toMatchObject({
        user_code: code,
        client: { client_id: 'demo-app', name: 'Lockstep demo', by: 'built-in' },
        scopes: ['openid', 'keys:read'],
        device: { same_network: true },
      });
      expect(body.expires_in).toBeGreaterThan(590);
      expect(body.granted).toBeUndefined();
    }
  });

  it('must be signed in with an address that is verified, to agree', async () => {
    const { user_code } = await beginDevice(server, { scope: 'keys:read' });
    const { uid } = (await devicePage(server, 'details', { user_code }).expect(200)).body;
    const answer = { user_code, uid, consent: true };
    await devicePage(server, 'finish', answer).expect(401);
    const { body } = await post(server, 'account/create', credentials(anAddress()));
    const authorization = bearerOf(body.sessionToken);
    await devicePage(server, 'finish', answer, { authorization }).expect(400);
    await devicePage(server, 'finish', { ...answer, consent: 'yes' }, signedIn()).expect(400);
    await devicePage(server, 'finish', answer, signedIn()).expect(200);
  });

  it('answers what was shown: another question under the same code is refused', async () => {
    const { device_code: code, user_code } = await beginDevice(server, { scope: 'keys:read' });
    const other = await beginDevice(server, { scope: 'files' });
    const shown = await devicePage(server, 'details', { user_code: other.user_code }).expect(200);
    const answer = { user_code, uid: shown.body.uid, consent: true };
    await devicePage(server, 'finish', answer, signedIn()).expect(400);
    expect(await errorOf(code)).toBe('authorization_pending');
  });

  it('answers once: of ten at once, one does', async () => {
    const { device_code: code, user_code } = await beginDevice(server, { scope: 'keys:read' });
    const { uid } = (await devicePage(server, 'details', { user_code }).expect(200)).body;
    const answer = { user_code, uid, consent: true };
    const before = await grants();
    const all = await Promise.all(
      Array.from({ length: 10 }, () => devicePage(server, 'finish', answer, signedIn())),
    );
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await grants()).toBe(before + 1);
    await poll(server, code).expect(200);
  });

  it('connects the app with whoever answered first, and with nobody else who was as fast', async () => {
    const people = await Promise.all(Array.from({ length: 4 }, () => signUp(server)));
    const { user_code } = await beginDevice(server, { scope: 'keys:read' });
    const { uid } = (await devicePage(server, 'details', { user_code }).expect(200)).body;
    const answer = { user_code, uid, consent: true };
    const before = await grants();
    const all = await Promise.all(
      people.map(({ authorization }) => devicePage(server, 'finish', answer, { authorization })),
    );
    const winners = people.filter((_, i) => all[i]?.status === 200).map((one) => one.uid);
    expect(winners).toHaveLength(1);
    const of = [people.map((one) => one.uid)];
    const connected = await server.db.query(
      `SELECT uid FROM consent WHERE uid = ANY($1) UNION ALL
       SELECT uid FROM security_event WHERE uid = ANY($1) AND name = 'app.connected'`,
      of,
    );
    expect(connected).toEqual([{ uid: winners[0] }, { uid: winners[0] }]);
    expect(await grants()).toBe(before + 1);
  });
});

const grants = async () => {
  const [row] = await server.db.query(
    `SELECT count(*)::int AS count FROM oidc WHERE model = 'Grant'`,
  );
  return row.count as number;
};

describe('Against who guesses and who fishes', () => {
  let strict: TestServer;
  let mallory: Account;
  beforeAll(async () => {
    strict = await TestServer.start({
      BUDGETS: 'all=1000000/60,guess.client=4/3600,guess.pair=2/3600,device.client=5/3600',
      TRUSTED_PROXIES: '127.0.0.1,::1',
    });
    mallory = await signUp(strict);
  });
  afterAll(() => strict.stop());
  const from = (address: string, authorization?: string) => ({
    'x-forwarded-for': address,
    ...(authorization !== undefined && { authorization }),
  });
  const guess = (by: Record<string, string>) =>
    devicePage(strict, 'details', { user_code: 'BBBB-BBBB' }, by);

  it('counts wrong codes on the network that they come from', async () => {
    const statuses = [];
    for (let n = 0; n < 5; n++) statuses.push((await guess(from('192.0.2.1'))).status);
    expect(statuses).toEqual([400, 400, 400, 400, 429]);
    const { user_code } = await beginDevice(strict, { scope: 'keys:read' });
    const { body } = await devicePage(strict, 'details', { user_code }, from('192.0.2.1'));
    expect(body).toMatchObject({ error: 'too_many_requests', retryAfter: expect.any(Number) });
    // Elsewhere nobody is kept from answering, and a right code costs nothing.
    for (let n = 0; n < 6; n++) {
      await devicePage(strict, 'details', { user_code }, from('192.0.2.2')).expect(200);
    }
  });

  it('counts them on the account, too, and those of an answer like those of a question', async () => {
    const by = from('192.0.2.3', mallory.authorization);
    await guess(by).expect(400);
    const answer = { user_code: 'CCCC-CCCC', uid: 'x', consent: true };
    await devicePage(strict, 'finish', answer, by).expect(400);
    await guess(by).expect(429);
    await guess(from('192.0.2.3')).expect(400);
  });

  it('lets nobody be kept from answering by who guesses a code that was mailed to them', async () => {
    const one = await TestServer.start({ BUDGETS: 'all=1000000/60,guess.account=2/3600' });
    const account = await signUp(one);
    const verify = { uid: account.uid, code: '0'.repeat(32) };
    for (const status of [400, 400, 429]) {
      await one.request().post('/auth/v1/recovery_email/verify_code').send(verify).expect(status);
    }
    const { user_code } = await beginDevice(one, { scope: 'keys:read' });
    const by = { authorization: account.authorization };
    await devicePage(one, 'details', { user_code }, by).expect(200);
    await one.stop();
  });

  it('gives a network only so many codes', async () => {
    const ask = (address: string) =>
      askDevice(strict, { scope: 'keys:read' }).set('x-forwarded-for', address);
    for (let n = 0; n < 5; n++) await ask('192.0.2.4').expect(200);
    const { body } = await ask('192.0.2.4').expect(429);
    expect(body.error).toBe('too_many_requests');
    await ask('192.0.2.5').expect(200);
  });

  it('knows no other spelling of an address, which no limit would count', async () => {
    const form = 'client_id=demo-app&scope=keys%3Aread';
    for (const path of [
      'Device_authorization',
      'device_authorization/',
      'device%5Fauthorization',
    ]) {
      const { body } = await strict
        .request()
        .post(`/oauth2/${path}`)
        .type('form')
        .set('x-forwarded-for', '192.0.2.8')
        .send(form)
        .expect(404);
      expect(body).toMatchObject({ error_description: 'There is nothing at this address.' });
    }
    await strict.request().get('/oauth2/Authorize').expect(404);
    await strict.request().post('/oauth2/token/').type('form').send(form).expect(404);
  });

  it('says when the device is somewhere else than who answers', async () => {
    const { user_code } = await beginDevice(strict, { scope: 'keys:read' });
    const { body } = await devicePage(strict, 'details', { user_code }, from('192.0.2.6'));
    expect(body.device).toEqual({ program: expect.any(String), same_network: false });
  });

  it('answers no page of another site', async () => {
    const { user_code } = await beginDevice(strict, { scope: 'keys:read' });
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      const by = { ...from('192.0.2.7'), ...headers };
      await devicePage(strict, 'details', { user_code }, by).expect(403);
      await devicePage(strict, 'finish', { user_code, uid: 'x', consent: false }, by).expect(403);
    }
    const own = { ...from('192.0.2.7'), origin: strict.url, 'sec-fetch-site': 'same-origin' };
    await devicePage(strict, 'details', { user_code }, own).expect(200);
  });
});
