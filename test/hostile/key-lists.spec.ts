import {
  bundleKeys,
  deriveIdentity,
  deriveToken,
  fromHex,
  generateEncryptionKey,
  type Identity,
  randomBytes,
  thumbprint,
  toHex,
  wrapPrivateKey,
  type WrapContext,
} from '#lib/crypto';
import { KEY_LIST_TYPE, type KeyList } from '#lib/protocol';
import { Keys, MemoryPinStore, type PinStore } from '#lib/client';
import type { Device } from '../../apps/demo/src/person.ts';
import { Device as NewDevice } from '../../apps/demo/src/person.ts';
import { TestServer } from '../support/test-server.ts';
import { hashOf, join, refusal, type Victim } from './people.ts';

describe('a server that lies about keys', () => {
  let server: TestServer;
  let alice: Victim;
  let bob: Victim;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await join(server, 'Alice');
    bob = await join(server, 'Bob');
  });
  afterAll(() => server.stop());
  afterEach(() => {
    alice.liar.repent();
    alice.ahead.ms = 0;
  });

  /** Alice on a device that has met nobody. */
  const fresh = () => new NewDevice(alice.device.app);
  const bobsUid = () => bob.device.app.uid;
  const USERS = /^\/keys\/v1\/users\//;
  const ME = /^\/keys\/v1\/me$/;

  /** A list of Bob's, changed, and signed by whoever is asked. */
  async function list(of: Device, by: Identity, change: Partial<KeyList> = {}): Promise<string> {
    const { list: own } = await of.keys.own();
    return by.sign(KEY_LIST_TYPE, { ...own, ...change });
  }
  const identityOf = (of: Device) => deriveIdentity(of.app.kBr.k);
  const stranger = () => deriveIdentity(randomBytes(32));
  async function newKeys(): Promise<Pick<KeyList, 'keys'>> {
    const { publicJwk } = await generateEncryptionKey();
    return { keys: [{ ...publicJwk, st: 'active', wsha: hashOf('nothing') }] };
  }

  describe('of others', () => {
    it('is refused when its key was put into a list that Bob signed', async () => {
      const { keys } = await newKeys();
      alice.liar.alter('GET', USERS, (answer: { skl: string }) => {
        const [header = '', payload = '', signature = ''] = answer.skl.split('.');
        const truth = JSON.parse(Buffer.from(payload, 'base64url').toString()) as KeyList;
        const lie = Buffer.from(JSON.stringify({ ...truth, keys })).toString('base64url');
        return { ...answer, skl: [header, lie, signature].join('.') };
      });
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('is refused when the same is done to a discovery', async () => {
      alice.liar.alter('POST', /^\/keys\/v1\/discoveries$/, (answer) => {
        const [first] = answer.results;
        const parts = first.skl.split('.');
        return { results: [{ ...first, skl: [parts[0], parts[1], 'A'.repeat(86)].join('.') }] };
      });
      await expect(fresh().keys.discover([bob.person.email])).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('is refused when a list names Bob’s identity and another key signed it', async () => {
      const forged = await list(bob.device, await stranger(), await newKeys());
      alice.liar.alter('GET', USERS, (answer: { skl: string }) => {
        const [header = ''] = answer.skl.split('.');
        return { ...answer, skl: [header, ...forged.split('.').slice(1)].join('.') };
      });
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('is refused when Bob has another identity than at first contact', async () => {
      const device = fresh();
      await device.keys.lookUp(bobsUid());
      const skl = await list(bob.device, await stranger(), await newKeys());
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(device.keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('IDENTITY_CHANGED'),
      );
    });

    it('is refused when it shows a version before the newest one seen', async () => {
      const device = fresh();
      const first = await device.keys.lookUp(bobsUid());
      expect(first.version).toBe(1);
      const { skl } = await publicListOf(bob.device);
      const second = await list(bob.device, await identityOf(bob.device), {
        ...(await newKeys()),
        ...{ ver: 2, prev: hashOf(skl) },
      });
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl: second }));
      expect((await device.keys.lookUp(bobsUid())).version).toBe(2);
      alice.liar.repent();
      await expect(device.keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_ROLLBACK'),
      );
    });

    it('is refused when it shows two lists of one version', async () => {
      const device = fresh();
      await device.keys.lookUp(bobsUid());
      const skl = await list(bob.device, await identityOf(bob.device), await newKeys());
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(device.keys.lookUp(bobsUid())).rejects.toMatchObject(refusal('KEY_LIST_FORKED'));
    });

    it('is refused when a version does not follow the one that was seen', async () => {
      const device = fresh();
      await device.keys.lookUp(bobsUid());
      const other = { ver: 2, prev: hashOf('another history') };
      const skl = await list(bob.device, await identityOf(bob.device), other);
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(device.keys.lookUp(bobsUid())).rejects.toMatchObject(refusal('KEY_LIST_FORKED'));
    });

    it.each([
      ['user', { sub: '0'.repeat(32) }],
      ['app', { cid: 'another-app' }],
      ['realm', { iss: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ])('is refused when the list was signed for another %s', async (_, change) => {
      const skl = await list(bob.device, await identityOf(bob.device), change);
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('is refused when it answers with the list of somebody else', async () => {
      const { skl } = await publicListOf(alice.device);
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('is refused when a key has low order, though its owner signed it', async () => {
      const x = Buffer.alloc(32).toString('base64url');
      const kid = thumbprint({ kty: 'OKP', crv: 'X25519', x });
      const { keys } = await newKeys();
      const weak = keys.map((key) => ({ ...key, x, kid }));
      const skl = await list(bob.device, await identityOf(bob.device), { keys: weak });
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    const odd: [string, (own: KeyList) => Partial<KeyList>][] = [
      ['is a first one and follows another', () => ({ prev: hashOf('another') })],
      ['is a second one and follows none', () => ({ ver: 2 })],
      ['comes from the future', ({ iat }) => ({ iat: iat + 86_400 })],
      ['holds longer than any may', ({ exp }) => ({ exp: exp + 60 })],
      ['ends before it begins', ({ iat }) => ({ exp: iat })],
      ['names a key twice', ({ keys }) => ({ keys: [...keys, ...keys] })],
      [
        'has no active key',
        ({ keys }) => ({
          keys: keys.map(({ kid, alg, wsha }) => ({ kid, alg, wsha, st: 'revoked', rev: 1 })),
        }),
      ],
    ];
    it.each(odd)('is refused when a list %s, though its owner signed it', async (_, change) => {
      const { list: own } = await bob.device.keys.own();
      const skl = await list(bob.device, await identityOf(bob.device), change(own));
      alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_INVALID'),
      );
    });

    it('cannot have two first contacts at once remember two identities', async () => {
      const later = { ...(await newKeys()), ver: 3, prev: hashOf('a second list') };
      const forged = await list(bob.device, await stranger(), later);
      let asked = 0;
      alice.liar.alter('GET', USERS, (answer) =>
        ++asked > 1 ? { ...answer, skl: forged } : answer,
      );
      const pins = new MemoryPinStore();
      let looks = 0;
      let bothLooked: () => void = () => undefined;
      const isKnownToNeither = new Promise<void>((done) => (bothLooked = done));
      const store: PinStore = {
        async get(key) {
          const known = await pins.get(key);
          if (++looks === 2) bothLooked();
          await isKnownToNeither;
          return known;
        },
        update: pins.update.bind(pins),
        all: pins.all.bind(pins),
      };
      const lookUp = () => new Keys(alice.device.app, store).lookUp(bobsUid());
      const both = await Promise.allSettled([lookUp(), lookUp()]);
      const refused = both.filter(({ status }) => status === 'rejected');
      expect(refused).toMatchObject([{ reason: refusal('IDENTITY_CHANGED') }]);
    });

    it('is refused when it holds on to a list that has expired', async () => {
      alice.ahead.ms = 401 * 86_400_000;
      await expect(fresh().keys.lookUp(bobsUid())).rejects.toMatchObject(
        refusal('KEY_LIST_EXPIRED'),
      );
    });
  });

  describe('of one’s own', () => {
    /** What the server answers for a list of Alice’s, signed by her, that commits to this wrapped key. */
    async function answer(wrapped: string, change: Partial<KeyList> = {}) {
      const { list: own, publicJwk } = await alice.device.keys.own();
      const since = change.ver ?? 1;
      const keys: KeyList['keys'] = [{ ...publicJwk, st: 'active', since, wsha: hashOf(wrapped) }];
      const identity = await identityOf(alice.device);
      const skl = await identity.sign(KEY_LIST_TYPE, { ...own, keys, ...change });
      return { skl, wrapped: { [publicJwk.kid]: wrapped }, settings: { discoverable: 'app' } };
    }

    /** Alice’s private key, wrapped under her kBr for this place. */
    async function wrap(change: Partial<WrapContext> = {}): Promise<string> {
      const { app, keys } = alice.device;
      const { privateJwk } = await keys.own();
      const { uid, clientId, kBr } = app;
      const here = { realm: app.server.realm, uid, clientId, kid: privateJwk.kid, version: 1 };
      return wrapPrivateKey({ privateJwk, kBr, context: { ...here, ...change } });
    }

    it('opens when it is what it should be', async () => {
      const truth = await answer(await wrap());
      alice.liar.alter('GET', ME, () => truth);
      await expect(fresh().keys.own()).resolves.toMatchObject({ list: { ver: 1 } });
    });

    it('is refused when a list is signed by anybody else', async () => {
      const skl = await list(alice.device, await stranger());
      alice.liar.alter('GET', ME, (truth) => ({ ...truth, skl }));
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('KEY_LIST_INVALID'));
    });

    it('is refused when an older wrapped key lies beside a newer list', async () => {
      const { skl, wrapped } = await publicListOf(alice.device);
      const newer = await answer(await wrap({ version: 2 }), { ver: 2, prev: hashOf(skl) });
      alice.liar.alter('GET', ME, () => ({ ...newer, wrapped }));
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('WRAP_MISMATCH'));
    });

    it.each([
      ['user', { uid: '0'.repeat(32) }],
      ['app', { clientId: 'another-app' }],
      ['version', { version: 2 }],
      ['realm', { realm: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ])('is refused when the wrapped key was made for another %s', async (_, change) => {
      const moved = await answer(await wrap(change));
      alice.liar.alter('GET', ME, () => moved);
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('DECRYPT_FAILED'));
    });

    it('is refused when the wrapped key was made for another key', async () => {
      const { app, keys } = alice.device;
      const { publicJwk } = await keys.own();
      const other = (await generateEncryptionKey()).privateJwk;
      const { uid, clientId, kBr } = app;
      const context = { realm: app.server.realm, uid, clientId, kid: other.kid, version: 1 };
      const wrapped = await wrapPrivateKey({ privateJwk: other, kBr, context });
      const moved = await answer(wrapped);
      expect(Object.keys(moved.wrapped)).toEqual([publicJwk.kid]);
      alice.liar.alter('GET', ME, () => moved);
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('DECRYPT_FAILED'));
    });

    const SCOPED = /\/account\/scoped-key-data$/;
    const LOGIN = /\/account\/login$/;
    it.each([
      ['secret', 'KEY_GENERATION_MISMATCH', SCOPED, { keyRotationSecret: 'f'.repeat(64) }],
      ['time', 'KEY_GENERATION_MISMATCH', SCOPED, { keyRotationTimestamp: 1_000_000 }],
      ['uid', 'KEY_GENERATION_MISMATCH', LOGIN, { uid: '0'.repeat(32) }],
    ] as const)(
      'is refused when a new device derived another kBr, by a wrong %s',
      async (_, code, path, wrong) => {
        alice.liar.alter('POST', path, (truth) =>
          path === LOGIN ? { ...truth, ...wrong } : { app_key: { ...truth.app_key, ...wrong } },
        );
        const { keys } = await alice.person.anotherDevice();
        await expect(keys.publish()).rejects.toMatchObject(refusal(code));
      },
    );

    it('is refused when a new device derived another kBr, by a wrong wrapped kB', async () => {
      let token = '';
      alice.liar.alter('POST', LOGIN, (truth: { keyFetchToken: string }) => {
        token = truth.keyFetchToken;
        return truth;
      });
      alice.liar.alter('GET', /\/account\/keys$/, () => {
        const { bundleKey } = deriveToken(fromHex(token), 'keyFetchToken');
        return { bundle: toHex(bundleKeys(bundleKey, randomBytes(32), randomBytes(32))) };
      });
      const { keys } = await alice.person.anotherDevice();
      await expect(keys.publish()).rejects.toMatchObject(refusal('KEY_GENERATION_MISMATCH'));
    });

    it('is not published again under another kBr by a device that remembers the first one', async () => {
      const pins = new MemoryPinStore();
      await new Keys(alice.device.app, pins).own();
      alice.liar.alter('POST', SCOPED, ({ app_key }) => ({
        app_key: { ...app_key, keyRotationSecret: 'f'.repeat(64) },
      }));
      const { app } = await alice.person.anotherDevice();
      let published = 0;
      alice.liar.answer('PUT', ME, () => ++published);
      await expect(new Keys(app, pins).publish()).rejects.toMatchObject(
        refusal('KEY_GENERATION_MISMATCH'),
      );
      expect(published).toBe(0);
    });

    it('is not published again by a device that remembers it, when the server denies it', async () => {
      const device = fresh();
      await device.keys.own();
      let published = 0;
      alice.liar.answer('PUT', ME, () => ++published);
      alice.liar.answer('GET', ME, () => ({ type: 'not-found' }), { status: 404 });
      await expect(device.keys.publish()).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
      expect(published).toBe(0);
    });

    it('is refused when it answers with the keys of another user', async () => {
      const bobs = await publicListOf(bob.device);
      alice.liar.alter('GET', ME, () => bobs);
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('KEY_LIST_INVALID'));
    });

    it('is refused when the list belongs to another generation of kBr', async () => {
      const other = await answer(await wrap(), { kbr: `1-${'A'.repeat(22)}` });
      alice.liar.alter('GET', ME, () => other);
      await expect(fresh().keys.own()).rejects.toMatchObject(refusal('KEY_GENERATION_MISMATCH'));
    });

    it('is refused when it forgets a version that this device has seen', async () => {
      const device = fresh();
      const { skl } = await publicListOf(alice.device);
      const newer = await answer(await wrap({ version: 2 }), { ver: 2, prev: hashOf(skl) });
      alice.liar.alter('GET', ME, () => newer);
      await device.keys.own();
      alice.liar.repent();
      await expect(device.keys.publish()).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
    });
  });

  /** What the server keeps, as its owner is shown it. */
  async function publicListOf(device: Device): Promise<{ skl: string; wrapped: object }> {
    const token = await device.app.tokens.for('keys');
    const response = await fetch(`${server.url}/keys/v1/me`, {
      headers: { authorization: `Bearer ${token}` },
    });
    return (await response.json()) as { skl: string; wrapped: object };
  }
});
