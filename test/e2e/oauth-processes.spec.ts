import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import { AuthorityService } from '../../apps/server/src/oauth/authority.service.ts';
import { SigningKeysService } from '../../apps/server/src/oauth/signing-keys.service.ts';
import {
  type Account,
  askToken,
  authorize,
  exchange,
  signUp,
  tokenFor,
} from '../support/account.ts';
import { until } from '../support/until.ts';
import { TestServer } from '../support/test-server.ts';

let one: TestServer;
let other: TestServer;
let alice: Account;
beforeAll(async () => {
  one = await TestServer.start();
  other = await one.another();
  alice = await signUp(one);
});
afterAll(async () => {
  await other.stop();
  await one.stop();
});

/** 404 is a yes, for an account without keys. */
const tryKeys = (server: TestServer, token: string) =>
  server.request().get('/keys/v1/me').set('authorization', `Bearer ${token}`);

describe('two processes on one database', () => {
  it('take the tokens of each other, and refuse at once what the other one revoked', async () => {
    const { access_token: token } = await tokenFor(one, alice, { scope: 'keys:read' });
    await tryKeys(other, token).expect(404);
    await tryKeys(one, token).expect(404);
    const form = { token, client_id: 'demo-app' };
    await other.request().post('/oauth2/revoke').type('form').send(form).expect(200);
    await tryKeys(one, token).expect(401);
    await tryKeys(other, token).expect(401);
  });

  it('end what a session gave in both, wherever somebody signs out', async () => {
    const bob = await signUp(one);
    const { access_token: token, refresh_token: next = '' } = await tokenFor(one, bob, {
      scope: 'keys:read',
    });
    await tryKeys(other, token).expect(404);
    await other
      .request()
      .post('/auth/v1/session/destroy')
      .set('authorization', bob.authorization)
      .send({})
      .expect(200);
    await tryKeys(one, token).expect(401);
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: next };
    await askToken(one, form).expect(400);
  });

  it('decide between them who redeems a refresh token: never both', async () => {
    const { refresh_token: next = '' } = await tokenFor(one, alice, { scope: 'keys:read' });
    const form = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token: next };
    const servers = [one, other, one, other, one, other];
    const all = await Promise.all(servers.map((server) => askToken(server, form)));
    expect(all.filter(({ status }) => status === 200).length).toBeLessThanOrEqual(1);
    for (const { body } of all) {
      if (body.access_token) await tryKeys(one, body.access_token).expect(401);
    }
  });
});

describe('the key that signs', () => {
  const jwks = async (server: TestServer) => {
    const { body } = await server.request().get('/oauth2/jwks').expect(200);
    return body as { keys: (object & { kid: string; d?: string })[] };
  };
  const kids = async (server: TestServer) => (await jwks(server)).keys.map(({ kid }) => kid);
  /** An ID token as a process gives it out. */
  const signed = async (server: TestServer): Promise<string> => {
    const authorized = await authorize(one, alice, { scope: 'openid' });
    return (await exchange(server, authorized).expect(200)).body.id_token as string;
  };
  const advance = (seconds: number) => {
    for (const { clock } of [one, other]) clock.advance(seconds);
  };
  const followed = async (list: readonly string[]) => {
    for (const server of [one, other]) {
      await until(async () => String(await kids(server)) === String(list));
    }
  };

  it('is replaced in every process, without a restart, and the old one stays as long as needed', async () => {
    const [old = ''] = await kids(one);
    expect(await kids(other)).toEqual([old]);
    const before = await signed(one);
    const kid = await one.app.get(SigningKeysService).rotate();
    const asked = Date.now();
    await followed([old, kid]); // published everywhere, by the timer of each process
    expect(Date.now() - asked).toBeLessThan(2500);
    expect(decodeProtectedHeader(await signed(other)).kid).toBe(old);
    advance(11);
    await followed([kid, old]);
    const keys = createLocalJWKSet(await jwks(one));
    for (const token of [before, await signed(one), await signed(other)]) {
      await jwtVerify(token, keys, { issuer: one.url, audience: 'demo-app' });
    }
    expect(decodeProtectedHeader(await signed(other)).kid).toBe(kid);
    advance(3700);
    await followed([kid]);
    await one.app.get(AuthorityService).purge();
    expect(await one.db.query(`SELECT kid FROM signing_key`)).toEqual([{ kid }]);
    expect((await jwks(one)).keys.every(({ d }) => d === undefined)).toBe(true);
  });

  it('is replaced under requests that are being answered', async () => {
    const codes = await Promise.all(
      Array.from({ length: 12 }, () => authorize(one, alice, { scope: 'openid' })),
    );
    const authority = one.app.get(AuthorityService);
    const answers = codes.map((authorized) =>
      exchange(one, authorized).then(({ status }) => status),
    );
    for (let i = 0; i < 5; i++) {
      await one.app.get(SigningKeysService).rotate();
      await authority.followKeys();
    }
    expect(new Set(await Promise.all(answers))).toEqual(new Set([200]));
  });

  it('ends at once when it was stolen', async () => {
    const kid = await other.app.get(SigningKeysService).rotate({ atOnce: true });
    await followed([kid]);
    expect(decodeProtectedHeader(await signed(one)).kid).toBe(kid);
  });

  it('is made once by processes that boot at once', async () => {
    await one.db.query(`DELETE FROM signing_key`);
    const all = await Promise.all(
      [one, other, one, other].map((server) => server.app.get(SigningKeysService).published()),
    );
    expect(new Set(all.map(({ keys }) => keys.map((key) => key.kid).join())).size).toBe(1);
    expect(all[0]?.keys).toHaveLength(1);
  });
});
