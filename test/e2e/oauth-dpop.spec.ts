import { createHash, randomBytes } from 'node:crypto';
import { exportJWK } from 'jose';
import { OLD_SYNC } from '#lib/protocol';
import { AuthorityService } from '../../apps/server/src/oauth/authority.service.ts';
import { type Account, authorize, signUp, tokenFor } from '../support/account.ts';
import { DpopKey, type ProofParts } from '../support/dpop.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let other: TestServer;
let alice: Account;
let key: DpopKey;
beforeAll(async () => {
  server = await TestServer.start();
  other = await server.another();
  alice = await signUp(server);
  key = await DpopKey.make();
});
afterAll(async () => {
  await other.stop();
  await server.stop();
});

const KEYS_PATH = '/keys/v1/me';
const KEYS = { scope: 'keys:read' };
/** A form to the token endpoint, with a proof. */
const ask = (proof: string, form: object, at = server) =>
  at.request().post('/oauth2/token').type('form').set('dpop', proof).send(form);
const tokenProof = (parts: ProofParts = {}, by = key) =>
  by.proof('POST', `${server.url}/oauth2/token`, undefined, parts);
const codeForm = async (asked = KEYS) => {
  const { code, verifier, redirectUri, clientId } = await authorize(server, alice, asked);
  return {
    ...{ grant_type: 'authorization_code', client_id: clientId },
    ...{ code, code_verifier: verifier, redirect_uri: redirectUri },
  };
};
/** A token that is bound to a key. */
async function bound(asked = KEYS, by = key) {
  const { body } = await ask(await tokenProof({}, by), await codeForm(asked)).expect(200);
  return body as { access_token: string; refresh_token: string; token_type: string };
}
const call = (authorization: string, proof?: string | string[], at = server) => {
  const request = at.request().get(KEYS_PATH).set('authorization', authorization);
  return proof === undefined ? request : request.set('dpop', proof as string);
};
const proofOf = (token: string, parts: ProofParts = {}, by = key) =>
  by.proof('GET', server.url + KEYS_PATH, token, parts);
const now = () => Math.floor(Date.now() / 1000);

describe('a token that is bound to a key', () => {
  it.each(['ES256', 'EdDSA'] as const)(
    'opens the API with a proof by that key, %s',
    async (alg) => {
      const by = await DpopKey.make(alg);
      const { access_token: token, token_type: type } = await bound(KEYS, by);
      expect(type).toBe('DPoP');
      await call(`DPoP ${token}`, await proofOf(token, {}, by)).expect(404);
      const withQuery = await by.proof('GET', `${server.url}${KEYS_PATH}?a=b#c`, token);
      await call(`dpop ${token}`, withQuery).expect(404);
    },
  );

  it('is refused as Bearer, with and without a proof, and to who only holds it', async () => {
    const { access_token: token } = await bound();
    for (const answer of [
      await call(`Bearer ${token}`),
      await call(`Bearer ${token}`, await proofOf(token)),
      await call(`DPoP ${token}`),
      await call(`DPoP ${token}`, await proofOf(token, {}, await DpopKey.make())),
    ]) {
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toMatch(
        /^DPoP error="invalid_(token|dpop_proof)"/,
      );
      expect(answer.headers['www-authenticate']).toContain('algs="ES256 EdDSA');
    }
  });

  it('is refused with a proof that was used, in this process and in another', async () => {
    const { access_token: token } = await bound();
    const proof = await proofOf(token);
    await call(`DPoP ${token}`, proof).expect(404);
    for (const at of [server, other]) {
      const answer = await call(`DPoP ${token}`, proof, at).expect(401);
      expect(answer.headers['www-authenticate']).toContain('invalid_dpop_proof');
    }
    const next = await proofOf(token);
    const all = await Promise.all(
      [server, other, server, other].map((at) => call(`DPoP ${token}`, next, at)),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([401, 401, 401, 404].sort());
  });

  it.each<[string, ProofParts]>([
    ['another method', { claims: { htm: 'POST' } }],
    ['another host', { claims: { htu: `http://evil.example${KEYS_PATH}` } }],
    ['no address', { claims: { htu: undefined } }],
    ['another token', { claims: { ath: 'x'.repeat(43) } }],
    ['no token', { claims: { ath: undefined } }],
    ['no name', { claims: { jti: undefined } }],
    ['an empty name', { claims: { jti: '' } }],
    ['no time', { claims: { iat: undefined } }],
    ['the time of long ago', { claims: { iat: now() - 400 } }],
    ['a time to come', { claims: { iat: now() + 400 } }],
    ['another type', { header: { typ: 'JWT' } }],
    ['no key', { header: { jwk: undefined } }],
  ])('is refused with a proof of %s', async (_what, parts) => {
    const { access_token: token } = await bound();
    const answer = await call(`DPoP ${token}`, await proofOf(token, parts)).expect(401);
    expect(answer.headers['www-authenticate']).toContain('error="invalid_dpop_proof"');
    await call(`DPoP ${token}`, await proofOf(token)).expect(404);
  });

  it('is refused with a proof of another path, scheme or port', async () => {
    const { access_token: token } = await bound();
    const { host, port } = new URL(server.url);
    for (const htu of [
      `${server.url}/keys/v1/config`,
      `https://${host}${KEYS_PATH}`,
      `http://localhost:${Number(port) + 1}${KEYS_PATH}`,
    ]) {
      await call(`DPoP ${token}`, await proofOf(token, { claims: { htu } })).expect(401);
    }
  });

  it('is refused with a proof signed by nothing, by a secret, by an algorithm not allowed', async () => {
    const { access_token: token } = await bound();
    const [head = '', body = '', signature = ''] = (await proofOf(token)).split('.');
    const header = JSON.parse(Buffer.from(head, 'base64url').toString());
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const privateJwk = await exportJWK(key.privateKey);
    const strange = await DpopKey.make('ES384');
    for (const proof of [
      `${encode({ ...header, alg: 'none' })}.${body}.`,
      `${encode({ ...header, alg: 'HS256', jwk: { kty: 'oct', k: 'AAAA' } })}.${body}.${signature}`,
      `${encode({ ...header, jwk: (await DpopKey.make()).jwk })}.${body}.${signature}`,
      await proofOf(token, { header: { jwk: privateJwk } }),
      await proofOf(token, {}, strange),
      'no.such.thing',
      '',
    ]) {
      const { headers } = await call(`DPoP ${token}`, proof).expect(401);
      expect(headers['www-authenticate']).toContain('error="invalid_dpop_proof"');
    }
    const twice = [await proofOf(token), await proofOf(token)];
    await call(`DPoP ${token}`, twice).expect(401);
  });

  it('has a proof for the public address, whatever the Host header says', async () => {
    const { access_token: token } = await bound();
    const evil = await key.proof('GET', `http://evil.example${KEYS_PATH}`, token);
    await call(`DPoP ${token}`, evil).set('host', 'evil.example').expect(401);
    await call(`DPoP ${token}`, await proofOf(token))
      .set('host', 'evil.example')
      .expect(404);
  });

  it('opens userinfo with a proof, once, and not as Bearer', async () => {
    const { access_token: token } = await bound({ scope: 'openid profile' });
    const path = '/oauth2/userinfo';
    const proof = await key.proof('GET', server.url + path, token);
    const info = () =>
      server
        .request()
        .get(path)
        .set({ authorization: `DPoP ${token}`, dpop: proof });
    expect((await info().expect(200)).body.sub).toBe(alice.uid);
    expect((await info()).status).toBe(401);
    await server.request().get(path).set('authorization', `Bearer ${token}`).expect(401);
  });

  it('tells the token server the same', async () => {
    const { access_token: token } = await bound({ scope: 'storage' });
    const path = '/token/1.0/sync/1.5';
    const headers = { 'x-keyid': '10-AAAAAAAAAAAAAAAAAAAAAA' };
    const proof = await key.proof('GET', server.url + path, token);
    const visit = server.request().get(path).set(headers);
    await visit.set({ authorization: `DPoP ${token}`, dpop: proof }).expect(200);
    const bare = server.request().get(path).set(headers);
    await bare.set('authorization', `Bearer ${token}`).expect(401);
  });

  it('is not vouched for where no proof can be shown', async () => {
    const { access_token: token } = await bound();
    await server.request().post('/auth/v1/verify').send({ token }).expect(401);
  });
});

describe('a token that is not bound', () => {
  it('is Bearer, and is not taken as DPoP', async () => {
    const { access_token: token } = await tokenFor(server, alice, KEYS);
    await call(`Bearer ${token}`).expect(404);
    await call(`DPoP ${token}`, await proofOf(token)).expect(401);
  });

  it('is asked for, without one, by the names of both schemes', async () => {
    const { headers } = await server.request().get(KEYS_PATH).expect(401);
    expect(headers['www-authenticate']).toMatch(/^Bearer, DPoP algs="ES256 EdDSA/);
  });
});

describe('the token endpoint', () => {
  it('binds the refresh token of a public app to the key', async () => {
    const { refresh_token: first } = await bound();
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: first };
    await server.request().post('/oauth2/token').type('form').send(form).expect(400);
    await ask(await tokenProof({}, await DpopKey.make()), form).expect(400);
    const { body } = await ask(await tokenProof(), form).expect(200);
    expect(body.token_type).toBe('DPoP');
    await call(`DPoP ${body.access_token}`, await proofOf(body.access_token)).expect(404);
  });

  it('takes a proof once, in this process and in another', async () => {
    const proof = await tokenProof();
    const { refresh_token: first } = (await ask(proof, await codeForm()).expect(200)).body;
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: first };
    expect((await ask(proof, form, other).expect(400)).body.error).toBe('invalid_grant');
    const next = await tokenProof();
    const forms = await Promise.all([codeForm(), codeForm(), codeForm()]);
    const all = await Promise.all(
      forms.map((one, i) => ask(next, one, i % 2 === 0 ? server : other)),
    );
    expect(all.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(all.every(({ status }) => status === 200 || status === 400)).toBe(true);
  });

  it('writes a proof down once, however many look at once', async () => {
    const { ReplayDetection } = server.app.get(AuthorityService).provider;
    const until = now() + 300;
    const all = await Promise.allSettled(
      Array.from({ length: 10 }, () => ReplayDetection.unique('demo-app', 'one', until)),
    );
    const isNew = all.filter((one) => one.status === 'fulfilled' && one.value);
    expect(isNew).toHaveLength(1);
  });

  it('refuses a proof for another endpoint, or of long ago, and none where a key was promised', async () => {
    for (const parts of [
      { claims: { htu: `${server.url}/oauth2/par` } },
      { claims: { htm: 'GET' } },
      { claims: { iat: now() - 400 } },
    ]) {
      const answer = await ask(await tokenProof(parts), await codeForm()).expect(400);
      expect(answer.body.error).toBe('invalid_dpop_proof');
    }
  });

  it('forgets a proof when it is too old to be taken', async () => {
    await ask(await tokenProof({ claims: { iat: now() + 290 } }), await codeForm()).expect(200);
    const count = async () =>
      (await server.db.query(`SELECT 1 FROM oidc WHERE model = 'ReplayDetection'`)).length;
    server.clock.advance(580);
    await server.app.get(AuthorityService).purge();
    expect(await count()).toBeGreaterThan(0);
    server.clock.advance(30);
    await server.app.get(AuthorityService).purge();
    expect(await count()).toBe(0);
  });
});

it('does not let a browser use a bound refresh token where there is no proof', async () => {
  const clientId = '5882386c6d801776';
  const verifier = randomBytes(32).toString('base64url');
  const { body: given } = await server
    .request()
    .post('/auth/v1/oauth/authorization')
    .set('authorization', alice.authorization)
    .send({
      ...{ client_id: clientId, scope: OLD_SYNC, state: 'x', access_type: 'offline' },
      code_challenge: createHash('sha256').update(verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })
    .expect(200);
  const { body } = await ask(await tokenProof(), {
    ...{ grant_type: 'authorization_code', client_id: clientId, code: given.code },
    code_verifier: verifier,
  }).expect(200);
  const form = { grant_type: 'refresh_token', client_id: clientId };
  await server
    .request()
    .post('/auth/v1/oauth/token')
    .send({ ...form, refresh_token: body.refresh_token })
    .expect(401);
  await server
    .request()
    .get('/auth/v1/account/devices')
    .set('authorization', `Bearer ${body.refresh_token}`)
    .expect(401);
});
