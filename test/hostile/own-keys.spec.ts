/** A server, or a thief with it, that would keep somebody from their own keys, or have them take back old ones. */
import { randomBytes } from 'node:crypto';
import { Account, App, authorize, Keys, MemoryPinStore, replaceAppKey, Server } from '#lib/client';
import {
  deriveIdentity,
  generateEncryptionKey,
  signRevocation,
  wrapPrivateKey,
  writeRevocation,
} from '#lib/crypto';
import {
  KEY_LIST_TYPE,
  type KeyList,
  type OwnKeys,
  type PublishedKey,
  type ScopedKeyData,
  type ScopedKeyDataByScope,
} from '#lib/protocol';
import { DEMO_APP } from '../../apps/demo/src/person.ts';
import { TestServer } from '../support/test-server.ts';
import { hashOf, join, refusal, signInAgain, type Victim } from './people.ts';

const ME = /^\/keys\/v1\/me$/;
const SCOPED = /\/account\/scoped-key-data$/;

let server: TestServer;
let alice: Victim;
let bob: Victim;
beforeAll(async () => {
  server = await TestServer.start({ BUDGETS: 'all=1000000/60' });
  alice = await join(server, 'Alice');
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice.liar.repent();
  bob = await join(server, 'Bob');
});

/** Bob, on a device that remembers nothing. */
const anew = (of = bob.device) => new Keys(of.app, new MemoryPinStore());
const bobsIdentity = () => deriveIdentity(bob.device.app.kBr.k);

/** Puts Bob's next list on the server, changed, and signed by whoever has his kBr. */
async function publishAs(change: (list: KeyList) => Partial<KeyList>, wrapped = {}): Promise<void> {
  const { app } = bob.device;
  const authorization = `Bearer ${await app.tokens.for('keys')}`;
  const url = `${server.url}/keys/v1/me`;
  const standing = await fetch(url, { headers: { authorization } });
  const { skl } = (await standing.json()) as OwnKeys;
  const { list } = await anew().own();
  const next = { ...list, ver: list.ver + 1, prev: hashOf(skl) };
  const signed = await (await bobsIdentity()).sign(KEY_LIST_TYPE, { ...next, ...change(next) });
  const answer = await fetch(url, {
    method: 'PUT',
    headers: {
      ...{ authorization, 'content-type': 'application/json' },
      'if-match': standing.headers.get('etag') ?? '',
    },
    body: JSON.stringify({ skl: signed, wrapped }),
  });
  expect([answer.status, await answer.text()]).toEqual([200, expect.anything()]);
}

/** Locks out whoever has Bob's first device. */
async function deviceLost(pins = new MemoryPinStore()) {
  const now = () => Date.now() + bob.ahead.ms;
  const there = await Server.at(server.url, { now, fetch: bob.liar.fetch });
  const account = await Account.signIn(there, bob.person);
  const signIn = async (by: Account) => {
    const started = await App.start(by.server, DEMO_APP);
    return started.finish((await authorize(by, started.url)).redirect);
  };
  return replaceAppKey(account, { clientId: DEMO_APP.clientId, signIn, pins });
}

describe('one’s own keys', () => {
  it('are renewed when their list has expired', async () => {
    await publishAs(({ iat }) => ({ exp: iat + 60 }));
    bob.ahead.ms = 100_000;
    await expect(anew().own()).rejects.toMatchObject(refusal('KEY_LIST_EXPIRED'));
    const renewed = await anew().publish();
    expect([renewed.list.ver, renewed.keys.size]).toEqual([3, 2]);
    expect((await anew().rotate()).list.ver).toBe(4);
  });

  it('are taken over from a thief who has them expire', async () => {
    await publishAs(({ iat }) => ({ exp: iat + 60 }));
    bob.ahead.ms = 100_000;
    expect((await deviceLost()).own?.list.ver).toBe(3);
  });

  it('are taken over from a thief who revokes a retired one by token', async () => {
    const { app, keys } = bob.device;
    const { publicJwk } = await keys.own();
    await keys.rotate();
    const place = { realm: app.server.realm, uid: app.uid, clientId: app.clientId };
    const token = await signRevocation(await bobsIdentity(), place, publicJwk.kid);
    await Keys.handIn(alice.device.app.server, writeRevocation(token));
    const { own } = await deviceLost();
    expect(own?.list.keys.map(({ kid, st }) => [kid === publicJwk.kid, st])).toEqual([
      [false, 'active'],
      [false, 'revoked'],
      [true, 'revoked'],
    ]);
  });

  it('are taken over from a thief who fills the list', async () => {
    const { app } = bob.device;
    const { realm } = app.server;
    const thief = { realm, uid: app.uid, clientId: app.clientId };
    for (let ver = 2; ver <= 20; ver++) {
      const { publicJwk, privateJwk } = await generateEncryptionKey();
      const context = { ...thief, kid: publicJwk.kid, version: ver };
      const wrap = await wrapPrivateKey({ privateJwk, kBr: app.kBr, context });
      const retire = (key: PublishedKey): PublishedKey =>
        key.st === 'active'
          ? { kid: key.kid, alg: key.alg, wsha: key.wsha, since: ver - 1, st: 'retired', rev: ver }
          : key;
      await publishAs(
        ({ keys }) => ({
          keys: [
            ...keys.map(retire),
            { ...publicJwk, st: 'active', since: ver, wsha: hashOf(wrap) },
          ],
        }),
        { [publicJwk.kid]: wrap },
      );
    }
    const { own } = await deviceLost();
    expect([own?.list.ver, own?.list.keys.length]).toEqual([21, 20]);
  });

  it('are taken over from a thief who lists one that does not open', async () => {
    const { app } = bob.device;
    const { publicJwk, privateJwk } = await generateEncryptionKey();
    const context = { realm: app.server.realm, uid: app.uid, clientId: app.clientId };
    const wrap = await wrapPrivateKey({
      ...{ privateJwk, kBr: { ...app.kBr, k: randomBytes(32) } },
      context: { ...context, kid: publicJwk.kid, version: 2 },
    });
    await publishAs(
      ({ keys: [key] }) => ({
        keys: [
          { ...publicJwk, st: 'active', since: 2, wsha: hashOf(wrap) },
          ...(key
            ? [
                {
                  kid: key.kid,
                  alg: key.alg,
                  wsha: key.wsha,
                  since: 1,
                  st: 'retired' as const,
                  rev: 1,
                },
              ]
            : []),
        ],
      }),
      { [publicJwk.kid]: wrap },
    );
    await expect(anew().own()).rejects.toMatchObject(refusal('DECRYPT_FAILED'));
    const { own } = await deviceLost();
    expect(own?.list.keys.map(({ kid, st }) => [st, own.keys.has(kid)])).toEqual([
      ['active', true],
      ['revoked', false],
      ['retired', true],
    ]);
  });

  it('are not called replaced when the server denies a list that was seen', async () => {
    const pins = new MemoryPinStore();
    await new Keys(bob.device.app, pins).own();
    bob.liar.answer('GET', ME, () => ({ type: 'not-found' }), { status: 404 });
    await expect(deviceLost(pins)).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
    bob.liar.repent();
    const done = await deviceLost(pins);
    expect([done.wasBegun, done.own?.list.ver]).toEqual([true, 2]);
  });

  it('are not begun anew under a key that was replaced, and that a thief has', async () => {
    await deviceLost();
    const first = { keyRotationSecret: '0'.repeat(64), keyRotationTimestamp: Date.now() + 60_000 };
    const lie = (truth: ScopedKeyData) => ({ ...truth, ...first });
    bob.liar.alter('POST', SCOPED, ({ app_key: truth }: ScopedKeyDataByScope) => ({
      app_key: truth && lie(truth),
    }));
    const fooled = anew(await signInAgain(bob, server));
    await expect(fooled.own()).rejects.toMatchObject(refusal('KEY_GENERATION_MISMATCH'));
    await expect(fooled.reset()).rejects.toMatchObject(refusal('KEY_GENERATION_MISMATCH'));
  });

  it('are not begun anew under an earlier key than the list’s', async () => {
    bob.liar.alter('POST', SCOPED, ({ app_key: truth }: ScopedKeyDataByScope) => ({
      app_key: {
        keyRotationSecret: 'a'.repeat(64),
        keyRotationTimestamp: 1_000_000,
        identifier: truth?.identifier,
      },
    }));
    const fooled = anew(await signInAgain(bob, server));
    await expect(fooled.reset()).rejects.toMatchObject(refusal('KEY_GENERATION_MISMATCH'));
  });

  it('are not begun anew on an older list than was seen', async () => {
    const pins = new MemoryPinStore();
    const { app } = bob.device;
    let older: unknown;
    bob.liar.alter('GET', ME, (answer) => (older = answer));
    await anew().own();
    bob.liar.repent();
    await bob.device.keys.rotate();
    await new Keys(app, pins).own();
    bob.liar.alter('GET', ME, () => older);
    const { server: there, uid, clientId, tokens } = app;
    const kBr = { kid: `9${app.kBr.kid}`, k: randomBytes(32) };
    const keys = new Keys({ server: there, uid, clientId, tokens, kBr }, pins);
    await expect(keys.reset()).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
  });

  describe('of the time before a password reset', () => {
    /** The same device with the key that a reset of the password leaves, and with this memory. */
    const afterReset = (pins: MemoryPinStore, kid = `9${bob.device.app.kBr.kid}`) => {
      const { server: there, uid, clientId, tokens } = bob.device.app;
      return new Keys({ server: there, uid, clientId, tokens, kBr: { kid, k: fresh } }, pins);
    };
    const fresh = randomBytes(32);
    const met = async () => {
      const pins = new MemoryPinStore();
      await new Keys(bob.device.app, pins).own();
      return pins;
    };
    const ownOf = async (keys: Keys) => {
      const { checks, isSound } = await keys.audit();
      const own = checks.find(({ what }) => what === 'your key list');
      return [own?.verdict, own?.error?.code, isSound];
    };

    it('are to be asked about in an audit, which does not pass', async () => {
      const asked = ['ask', 'KEY_GENERATION_MISMATCH', false];
      expect(await ownOf(afterReset(await met()))).toEqual(asked);
      expect(await ownOf(afterReset(new MemoryPinStore()))).toEqual(asked);
    });

    it('are a lie in an audit when this device remembers others, or a later list', async () => {
      const pins = await met();
      let older: unknown;
      bob.liar.alter('GET', ME, (answer) => (older = answer));
      await anew().own();
      bob.liar.repent();
      await bob.device.keys.rotate();
      await new Keys(bob.device.app, pins).own();
      bob.liar.alter('GET', ME, () => older);
      expect(await ownOf(afterReset(pins))).toEqual(['lie', 'KEY_LIST_ROLLBACK', false]);
      bob.liar.repent();
      const stranger = await deriveIdentity(randomBytes(32));
      const { list } = await anew().own();
      const skl = await stranger.sign(KEY_LIST_TYPE, { ...list, ver: list.ver + 1 });
      bob.liar.alter('GET', ME, (answer: OwnKeys) => ({ ...answer, skl }));
      expect(await ownOf(afterReset(pins))).toEqual(['lie', 'IDENTITY_CHANGED', false]);
    });

    it('are a lie in an audit when the key of this device is no later one', async () => {
      const { kid } = bob.device.app.kBr;
      const sameTime = `${kid.split('-')[0] ?? ''}-AAAAAAAAAAAAAAAAAAAAAA`;
      for (const lied of [sameTime, `1-AAAAAAAAAAAAAAAAAAAAAA`]) {
        const seen = await ownOf(afterReset(await met(), lied));
        expect(seen).toEqual(['lie', 'KEY_GENERATION_MISMATCH', false]);
      }
    });
  });

  it('have no history that goes on beyond the current list', async () => {
    const HISTORY = /\/me\/history$/;
    const stranger = await deriveIdentity(randomBytes(32));
    const { list } = await anew().own();
    let skl = '';
    let pages = 0;
    bob.liar.answer('GET', HISTORY, () => {
      pages += 1;
      return { lists: [{ ver: pages, skl, wrapped: {}, at: list.iat }], next: pages };
    });
    const sign = async () => {
      const prev = skl === '' ? null : hashOf(skl);
      skl = await stranger.sign(KEY_LIST_TYPE, { ...list, ver: pages + 1, prev });
    };
    await sign();
    bob.liar.before(HISTORY, async function again() {
      await Promise.resolve();
      bob.liar.before(HISTORY, async () => {
        await sign();
        if (pages > 50) throw new Error('asked for ever');
        await again();
      });
    });
    await expect(bob.device.keys.history()).rejects.toMatchObject(refusal('KEY_LIST_FORKED'));
    expect(pages).toBeLessThan(5);
  });
});

describe('a revocation by token', () => {
  const USERS = /^\/keys\/v1\/users\//;

  it('counts once, however often it is shown, and leaves the memory sound', async () => {
    const [text = ''] = (await bob.device.keys.revocations()).values();
    await Keys.handIn(alice.device.app.server, text);
    const pins = new MemoryPinStore();
    const keys = new Keys(alice.device.app, pins);
    const place = { realm: alice.device.app.server.realm, uid: bob.device.app.uid };
    alice.liar.alter('GET', USERS, (answer: OwnKeys) => ({
      ...answer,
      revocations: Array.from({ length: 20 }, () => answer.revocations?.[0]),
    }));
    await expect(keys.lookUp(place.uid)).rejects.toMatchObject(refusal('KEY_REVOKED'));
    const pin = await pins.get({ ...place, clientId: alice.device.app.clientId });
    expect(pin?.revoked).toHaveLength(1);
    alice.liar.alter('GET', USERS, (answer: OwnKeys) => ({
      ...answer,
      revocations: Array.from({ length: 21 }, () => answer.revocations?.[0]),
    }));
    await expect(keys.lookUp(place.uid)).rejects.toMatchObject({ code: 'malformed-answer' });
  });
});
