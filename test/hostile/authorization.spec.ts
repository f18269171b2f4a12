import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Account, App, authorize, Server } from '#lib/client';
import {
  fromBase64Url,
  fromUtf8,
  generateKeysJwk,
  sealScopedKeys,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { APP_KEY, OLD_SYNC } from '#lib/protocol';
import { Device } from '../../apps/cli/src/device.ts';
import { DEMO_APP } from '../../apps/demo/src/person.ts';
import { TestServer } from '../support/test-server.ts';
import { join as signUp, refusal, type Victim } from './people.ts';

describe('a server that lies while an app is let in', () => {
  let server: TestServer;
  let alice: Victim;
  let account: Account;
  let met: Server;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await signUp(server, 'Alice');
    met = await Server.at(server.url, { now: () => Date.now(), fetch: alice.liar.fetch });
    account = await Account.signIn(met, alice.person);
  });
  afterAll(() => server.stop());
  afterEach(() => {
    alice.liar.repent();
  });

  const DETAILS = /\/details$/;

  it('gets the keys sealed to nobody but the app that asked', async () => {
    const { publicJwk } = await generateKeysJwk();
    const keys_jwk = toBase64Url(utf8(JSON.stringify(publicJwk)));
    alice.liar.alter('GET', DETAILS, (answer) => ({ ...answer, keys_jwk }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot put another app in the place of the one that asked', async () => {
    const client = { client_id: 'another-app', name: 'Another' };
    alice.liar.alter('GET', DETAILS, (answer) => ({
      ...answer,
      client: { ...answer.client, ...client },
    }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot have the key of another app derived', async () => {
    alice.liar.alter('POST', /\/scoped-key-data$/, ({ app_key }) => ({
      app_key: { ...app_key, identifier: 'app:another-app' },
    }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot have Firefox’s key derived for an app that did not ask for it', async () => {
    alice.liar.alter('POST', /\/scoped-key-data$/, ({ app_key }) => ({
      app_key: { ...app_key, identifier: 'https://identity.mozilla.com/apps/oldsync' },
    }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot add Firefox’s scope to what an app asked for, and have its key sealed to the app', async () => {
    const details = { identifier: OLD_SYNC, keyRotationSecret: '0'.repeat(64) };
    alice.liar.alter('GET', DETAILS, (answer) => ({
      ...answer,
      scopes: [...answer.scopes, OLD_SYNC],
    }));
    alice.liar.alter('POST', /\/scoped-key-data$/, (answer) => ({
      ...answer,
      [OLD_SYNC]: { ...details, keyRotationTimestamp: 1 },
    }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot have an app’s key derived for a scope that was not asked for', async () => {
    alice.liar.alter('POST', /\/scoped-key-data$/, ({ app_key }) => ({ profile: app_key }));
    const { url } = await App.start(met, DEMO_APP);
    await expect(authorize(account, url)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot pass a key that was derived for another app', async () => {
    const started = await App.start(met, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    const asked = new URL(started.url).searchParams.get('keys_jwk') ?? '';
    const k = toBase64Url(new Uint8Array(32));
    const keys_jwe = await sealScopedKeys(JSON.parse(fromUtf8(fromBase64Url(asked))), {
      [APP_KEY]: { kty: 'oct', k, kid: '1-a', scope: 'app:another-app' },
    });
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer) => ({ ...answer, keys_jwe }));
    await expect(started.finish(redirect)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot slip a key of another in beside the app’s own', async () => {
    const started = await App.start(met, DEMO_APP);
    const { redirect, keys } = await authorize(account, started.url);
    const asked = new URL(started.url).searchParams.get('keys_jwk') ?? '';
    const { k, kid } = keys[APP_KEY] ?? { k: new Uint8Array(), kid: '' };
    const own = { kty: 'oct', k: toBase64Url(k), kid, scope: 'app:demo-app' } as const;
    const keys_jwe = await sealScopedKeys(JSON.parse(fromUtf8(fromBase64Url(asked))), {
      [APP_KEY]: own,
      [OLD_SYNC]: { ...own, scope: OLD_SYNC },
    });
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer) => ({ ...answer, keys_jwe }));
    await expect(started.finish(redirect)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot give more than the app asked for', async () => {
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer: { scope: string }) => ({
      ...answer,
      scope: `${answer.scope} profile`,
    }));
    const started = await App.start(met, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    await expect(started.finish(redirect)).rejects.toMatchObject(refusal('SCOPES_ADDED'));
  });

  it('cannot call itself another, to have its codes taken there', async () => {
    alice.liar.alter('GET', /\/openid-configuration$/, (answer) => ({
      ...answer,
      issuer: 'https://another.example',
    }));
    const started = await App.start(met, DEMO_APP);
    const redirect = new URL((await authorize(account, started.url)).redirect);
    redirect.searchParams.set('iss', 'https://another.example');
    await expect(started.finish(redirect.href)).rejects.toMatchObject(refusal('ISSUER_MISMATCH'));
  });

  it('cannot answer one authorization with another', async () => {
    const [first, second] = [await App.start(met, DEMO_APP), await App.start(met, DEMO_APP)];
    const { redirect } = await authorize(account, first.url);
    await expect(second.finish(redirect)).rejects.toMatchObject(refusal('STATE_MISMATCH'));
  });

  it.each([
    ['for the app of another host', 'http://127.0.0.1:41999.evil.example/callback'],
    ['for another page', 'http://127.0.0.1:41999/callback-of-another'],
  ])('cannot answer an authorization %s', async (_, place) => {
    const started = await App.start(met, DEMO_APP);
    const { search } = new URL((await authorize(account, started.url)).redirect);
    await expect(started.finish(place + search)).rejects.toMatchObject(refusal('STATE_MISMATCH'));
  });

  it.each([
    ['nobody sealed', () => 'nothing'],
    ['is too short', (asked: string) => sealed(asked, new Uint8Array(16))],
  ])('cannot pass a key that %s', async (_, keysJwe) => {
    const started = await App.start(met, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    const keys_jwe = await keysJwe(new URL(started.url).searchParams.get('keys_jwk') ?? '');
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer) => ({ ...answer, keys_jwe }));
    await expect(started.finish(redirect)).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot alter the account’s keys on their way', async () => {
    const fresh = await Account.signIn(met, alice.person);
    alice.liar.alter('GET', /\/account\/keys$/, ({ bundle }: { bundle: string }) => ({
      bundle: (bundle.startsWith('0') ? '1' : '0') + bundle.slice(1),
    }));
    await expect(fresh.fetchKeys()).rejects.toMatchObject(refusal('KEYS_REPLACED'));
  });

  it('cannot pass an ID token for another app', async () => {
    const other = await App.start(met, { ...DEMO_APP, clientId: 'another-app' });
    const started = await App.start(met, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    const answer = new URL(redirect);
    const state = new URL(other.url).searchParams.get('state') ?? '';
    const nonce = new URL(other.url).searchParams.get('nonce') ?? '';
    answer.searchParams.set('state', state);
    // The server signs for demo-app, as it always does; only the nonce is made to fit.
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const issuer = new URL(redirect).searchParams.get('iss') ?? '';
    const id_token = await new SignJWT({ nonce, sub: account.uid })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer(issuer)
      .setAudience('demo-app')
      .setExpirationTime('1h')
      .sign(privateKey);
    const jwk = await exportJWK(publicKey);
    alice.liar.alter('GET', /\/oauth2\/jwks$/, () => ({ keys: [{ ...jwk, alg: 'ES256' }] }));
    alice.liar.answer('POST', /\/oauth2\/token$/, () => ({
      ...{ access_token: 'a', token_type: 'Bearer', expires_in: 1, id_token, keys_jwe: '' },
    }));
    await expect(other.finish(answer.href)).rejects.toMatchObject(refusal('STATE_MISMATCH'));
  });

  it('cannot answer in the name of another server', async () => {
    const started = await App.start(met, DEMO_APP);
    const redirect = new URL((await authorize(account, started.url)).redirect);
    redirect.searchParams.set('iss', 'https://another.example');
    await expect(started.finish(redirect.href)).rejects.toMatchObject(refusal('ISSUER_MISMATCH'));
  });

  it('cannot pass an ID token of another sign-in', async () => {
    const earlier = await App.start(met, DEMO_APP);
    let idToken = '';
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer) => {
      idToken = answer.id_token;
      return answer;
    });
    await earlier.finish((await authorize(account, earlier.url)).redirect);
    alice.liar.alter('POST', /\/oauth2\/token$/, (answer) => ({ ...answer, id_token: idToken }));
    const started = await App.start(met, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    await expect(started.finish(redirect)).rejects.toMatchObject(refusal('STATE_MISMATCH'));
  });

  describe('to the command line', () => {
    let home: string;
    beforeAll(async () => {
      home = await mkdtemp(join(tmpdir(), 'lockstep-connect-'));
      process.env['XDG_CONFIG_HOME'] = home;
    });
    afterAll(() => rm(home, { recursive: true }));
    const connect = async () => {
      const fresh = await Account.signIn(met, alice.person);
      return Device.connect(fresh, { profile: 'alice', app: 'demo-app' });
    };

    it('cannot give a key of its own making', async () => {
      let asked = '';
      alice.liar.alter('POST', DETAILS, (answer: { keys_jwk: string }) => {
        asked = answer.keys_jwk;
        return answer;
      });
      alice.liar.alter('POST', /\/oauth2\/token$/, async (answer) => ({
        ...answer,
        keys_jwe: await sealed(asked, new Uint8Array(32)),
      }));
      await expect(connect()).rejects.toMatchObject(refusal('KEYS_REPLACED'));
      expect(await readdir(home)).toEqual([]);
    });

    it('cannot let the app in for another account', async () => {
      alice.liar.alter('POST', /\/account\/login$/, (answer) => ({
        ...{ ...answer, uid: '0'.repeat(32) },
      }));
      await expect(connect()).rejects.toMatchObject(refusal('STATE_MISMATCH'));
      expect(await readdir(home)).toEqual([]);
    });
  });

  it('cannot keep the app from noticing another app’s key', async () => {
    const started = await App.start(met, DEMO_APP);
    const { redirect, keys } = await authorize(account, started.url);
    const app = await started.finish(redirect);
    expect(app.holds(keys[APP_KEY])).toBe(true);
    expect(app.holds(undefined)).toBe(false);
  });
});

/** A key of an app, sealed to this `keys_jwk` by somebody who is not the account. */
function sealed(keysJwk: string, k: Uint8Array): Promise<string> {
  return sealScopedKeys(JSON.parse(fromUtf8(fromBase64Url(keysJwk))), {
    [APP_KEY]: { kty: 'oct', k: toBase64Url(k), kid: '1-a', scope: 'app:demo-app' },
  });
}
