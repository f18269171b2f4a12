/**
 * The threats of the Key Service, by their numbers in docs/protocol/keys.md, each with a real server behind a
 * proxy that lies, and the nine flaws of the 2015 prototype. What each check is worth is proved by
 * `npm run mutants -- keys`, which takes the checks out one by one (keys.mutants.json).
 */
import {
  Account,
  App,
  authorize,
  checkOwn,
  ClientError,
  type Contact,
  IntegrityError,
  Keys,
  type KeysOptions,
  type LostDevice,
  MemoryPinStore,
  type OwnPair,
  replaceAppKey,
  Server,
} from '#lib/client';
import {
  concat,
  decryptFloe,
  deriveIdentity,
  deriveScopedKey,
  deriveSubKey,
  encryptFloe,
  fromBase64Url,
  fromHex,
  fromUtf8,
  generateEncryptionKey,
  hkdf,
  type Identity,
  openRecoveryData,
  randomBytes,
  sealRecoveryData,
  deriveRecoveryKeyId,
  generateRecoveryKey,
  thumbprint,
  toBase64Url,
  toHex,
  utf8,
  wrapPrivateKey,
  type WrapContext,
  xor,
} from '#lib/crypto';
import {
  KEY_LIST_TYPE,
  type KeyList,
  type OwnKeys,
  type ScopedKeyData,
  type ScopedKeyDataByScope,
} from '#lib/protocol';
import { DEMO_APP, Device } from '../../apps/demo/src/person.ts';
import { post } from '../support/account-api.ts';
import { forget, stretch, typedBearer } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';
import { hashOf, join, signInAgain, type Victim } from './people.ts';

const ME = /^\/keys\/v1\/me$/;
const USERS = /^\/keys\/v1\/users\//;
const DAY_MS = 86_400_000;
const FIVE_MINUTES_MS = 300_000;

let server: TestServer;
let alice: Victim;
/** Somebody new for each test, whose keys may change. */
let bob: Victim;

beforeAll(async () => {
  server = await TestServer.start();
  alice = await join(server, 'Alice');
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice.liar.repent();
  alice.ahead.ms = 0;
  bob = await join(server, 'Bob');
});

/** The app of this person, on a device that remembers nobody. */
const anew = (of: Victim, options: KeysOptions = {}) =>
  new Keys(of.device.app, new MemoryPinStore(), options);
const uidOf = (of: Victim) => of.device.app.uid;
const identityOf = (of: Victim) => deriveIdentity(of.device.app.kBr.k);
const stranger = () => deriveIdentity(randomBytes(32));
const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) =>
      error instanceof IntegrityError || error instanceof ClientError ? error.code : String(error),
  );

/** The server's answer to somebody's own question, as it is. */
async function shownTo(who: Victim, path = 'me'): Promise<OwnKeys> {
  const token = await who.device.app.tokens.for('keys');
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`${server.url}/keys/v1/${path}`, { headers });
  return (await response.json()) as OwnKeys;
}

/** Hands the server a list by this person's token, whoever signed it. */
async function hand(who: Victim, body: object) {
  const authorization = `Bearer ${await who.device.app.tokens.for('keys')}`;
  const url = `${server.url}/keys/v1/me`;
  const etag = (await fetch(url, { headers: { authorization } })).headers.get('etag');
  const headers = {
    ...{ authorization, 'content-type': 'application/json' },
    ...(etag === null ? { 'if-none-match': '*' } : { 'if-match': etag }),
  };
  return fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) });
}

async function newKey(): Promise<KeyList['keys']> {
  const { publicJwk } = await generateEncryptionKey();
  return [{ ...publicJwk, st: 'active', wsha: hashOf('nothing') }];
}

/** Bob's current list, changed, and signed by whoever is asked. */
async function bobs(change: Partial<KeyList> = {}, by?: Identity): Promise<string> {
  const { list } = await bob.device.keys.own();
  return (by ?? (await identityOf(bob))).sign(KEY_LIST_TYPE, { ...list, ...change });
}

/** Shows Alice this list for Bob's. */
const show = (skl: string) => {
  alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
};

describe('T1: the server swaps Bob’s key', () => {
  it('T1: a key put into the list that Bob signed is refused', async () => {
    const keys = await newKey();
    alice.liar.alter('GET', USERS, (answer: { skl: string }) => {
      const [header = '', payload = '', signature = ''] = answer.skl.split('.');
      const truth = JSON.parse(Buffer.from(payload, 'base64url').toString()) as KeyList;
      const lie = Buffer.from(JSON.stringify({ ...truth, keys })).toString('base64url');
      return { ...answer, skl: [header, lie, signature].join('.') };
    });
    expect(await codeOf(anew(alice).lookUp(uidOf(bob)))).toBe('KEY_LIST_INVALID');
  });

  it('T1: a list signed anew by another identity is IDENTITY_CHANGED to whoever met Bob', async () => {
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    show(await bobs({ keys: await newKey() }, await stranger()));
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('IDENTITY_CHANGED');
  });

  it('T1: a link to another identity that Bob’s key did not sign is refused', async () => {
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    const mallory = await stranger();
    const old = (await identityOf(bob)).publicJwk.x;
    const link = { ver: 2, old, new: mallory.publicJwk.x, sig: 'A'.repeat(86) };
    const { skl } = await shownTo(bob);
    show(await bobs({ ver: 2, prev: hashOf(skl), links: [link] }, mallory));
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_LIST_INVALID');
  });
});

describe('T5: an older private key is put back', () => {
  it('T5: the wrapped key of the version before, beside the newest list, is WRAP_MISMATCH', async () => {
    const before = await shownTo(bob);
    const { publicJwk } = await bob.device.keys.rotate();
    const [older] = Object.values(before.wrapped);
    bob.liar.alter('GET', ME, (answer: OwnKeys) => ({
      ...answer,
      wrapped: { ...answer.wrapped, [publicJwk.kid]: older },
    }));
    expect(await codeOf(anew(bob).own())).toBe('WRAP_MISMATCH');
    bob.liar.repent();
  });

  it('T5: the version before, shown whole, is KEY_LIST_ROLLBACK to whoever saw the newer one', async () => {
    const before = await shownTo(bob);
    await bob.device.keys.rotate();
    bob.liar.alter('GET', ME, () => before);
    expect(await codeOf(bob.device.keys.refresh())).toBe('KEY_LIST_ROLLBACK');
  });

  it('T5: somebody else’s older list is KEY_LIST_ROLLBACK to whoever saw the newer one', async () => {
    const { skl } = await shownTo(bob);
    await bob.device.keys.rotate();
    const device = anew(alice);
    expect((await device.lookUp(uidOf(bob))).version).toBe(2);
    show(skl);
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_LIST_ROLLBACK');
  });
});

describe('T6: a private key is moved', () => {
  it.each([
    ['user', { uid: '0'.repeat(32) }],
    ['app', { clientId: 'another-app' }],
    ['key', {}],
    ['version', { version: 2 }],
  ])('T6: to another %s, it is DECRYPT_FAILED', async (axis, change: Partial<WrapContext>) => {
    const { app, keys } = bob.device;
    const own = await keys.own();
    const { privateJwk } = axis === 'key' ? await generateEncryptionKey() : own;
    const here = { realm: app.server.realm, uid: app.uid, clientId: app.clientId, version: 1 };
    const context = { ...here, kid: privateJwk.kid, ...change };
    const wrapped = await wrapPrivateKey({ privateJwk, kBr: app.kBr, context });
    const active = { ...own.publicJwk, st: 'active' as const, wsha: hashOf(wrapped) };
    const skl = await bobs({ keys: [active] });
    bob.liar.alter('GET', ME, (answer: OwnKeys) => ({
      ...answer,
      ...{ skl, wrapped: { [active.kid]: wrapped } },
    }));
    expect(await codeOf(anew(bob).own())).toBe('DECRYPT_FAILED');
  });
});

describe('T7: two devices publish at once', () => {
  it('T7: of 50 first publications one stands, and all end with its key', async () => {
    const carol = await join(server, 'Carol', { publishes: false });
    const other = await signInAgain(carol, server);
    const devices = Array.from({ length: 50 }, (_, i) =>
      i % 2 === 0 ? anew(carol) : new Keys(other.app, new MemoryPinStore()),
    );
    const pairs = await Promise.all(devices.map((keys) => keys.publish()));
    expect(new Set(pairs.map(({ publicJwk }) => publicJwk.kid)).size).toBe(1);
    expect(new Set(pairs.map(({ privateJwk }) => JSON.stringify(privateJwk))).size).toBe(1);
    const puts = carol.liar.answered.filter(({ method }) => method === 'PUT');
    expect(puts.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(new Set(puts.map(({ status }) => status))).toEqual(new Set([201, 412]));
  });
});

describe('T8: somebody asks for everybody', () => {
  it('T8: a crawler is stopped by the budget, and learns nothing from what is absent', async () => {
    const other = await TestServer.start({ BUDGETS: 'look-up.account=30/86400,all=1000000/60' });
    try {
      const crawler = await join(other, 'Crawler');
      const known = await join(other, 'Known');
      const ask = (emails: string[]) => crawler.device.keys.discover(emails);
      const addresses = [known.person.email, 'nobody@example.org'];
      expect([...(await ask(addresses)).keys()]).toEqual([known.person.email]);
      let found = 0;
      const crawl = async () => {
        for (let i = 0; i < 1000; i++) found += (await ask([`guess-${i}@example.org`])).size;
      };
      await expect(crawl()).rejects.toMatchObject({ code: 'too-many-requests', status: 429 });
      expect(found).toBe(0);
      const asked = crawler.liar.answered.filter(({ path }) => path.endsWith('/discoveries'));
      expect(asked.length).toBeLessThan(10);
    } finally {
      await other.stop();
    }
  });
});

describe('T10: a key is used after its time', () => {
  it('T10: a list that has expired is KEY_LIST_EXPIRED', async () => {
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    alice.ahead.ms = 401 * DAY_MS;
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_LIST_EXPIRED');
  });

  it('T10: a server that falls silent is believed for five minutes, then it is KEY_LIST_STALE', async () => {
    const device = anew(alice);
    const { publicJwk } = await device.lookUp(uidOf(bob));
    alice.liar.answer('GET', USERS, () => ({ type: 'unavailable' }), { status: 500 });
    alice.ahead.ms = FIVE_MINUTES_MS - 10_000;
    expect((await device.lookUp(uidOf(bob))).publicJwk).toEqual(publicJwk);
    alice.ahead.ms = FIVE_MINUTES_MS + 10_000;
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_LIST_STALE');
  });

  it('T10: a share goes to the key of today, though the contact is of yesterday', async () => {
    const { keys, sharing } = alice.device;
    const yesterday = await keys.lookUp(uidOf(bob));
    const { publicJwk } = await bob.device.keys.rotate();
    alice.ahead.ms = bob.ahead.ms = FIVE_MINUTES_MS + 10_000;
    await sharing.share({ typ: 'item', title: 'note', secret: { text: 'x' } }, [yesterday]);
    const { items, refused } = await bob.device.sharing.inbox();
    expect([items.length, refused]).toEqual([1, []]);
    const { records } = await bob.device.storage.raw('inbox');
    expect(records[0]?.payload).toContain(publicJwk.kid);
  });

  it('T10: what was sent to a retired key still opens; to a revoked one, too, and it is said', async () => {
    const { keys, sharing } = alice.device;
    const to = await keys.lookUp(uidOf(bob));
    const body = { typ: 'item', title: 'note', secret: { text: 'x' } } as const;
    await sharing.share(body, [to]);
    await bob.device.keys.rotate();
    expect((await bob.device.sharing.inbox()).items).toMatchObject([{ wasRevoked: false }]);
    await bob.device.keys.revoke('compromise', [to.publicJwk.kid]);
    expect((await bob.device.sharing.inbox()).items).toMatchObject([{ wasRevoked: true }]);
  });

  it('T10: a revocation by token is seen at once, and cannot be hidden from whoever saw it', async () => {
    const [text = ''] = (await bob.device.keys.revocations()).values();
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    expect(await Keys.handIn(alice.device.app.server, text)).toMatchObject({ uid: uidOf(bob) });
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_REVOKED');
    alice.liar.alter('GET', USERS, ({ uid, skl }) => ({ uid, skl }));
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_LIST_ROLLBACK');
    alice.liar.repent();
    await bob.device.keys.rotate();
    expect((await device.lookUp(uidOf(bob))).version).toBe(2);
  });

  it('T10: a revocation that Bob did not sign is REVOCATION_FORGED', async () => {
    const { publicJwk } = await bob.device.keys.own();
    const revocations = [{ kid: publicJwk.kid, sig: 'A'.repeat(86) }];
    alice.liar.alter('GET', USERS, (answer) => ({ ...answer, revocations }));
    expect(await codeOf(anew(alice).lookUp(uidOf(bob)))).toBe('REVOCATION_FORGED');
  });
});

/** A new password without the old one; kB survives with a recovery key. */
async function forgetPassword(who: Victim, { withRecoveryKey = false } = {}): Promise<string> {
  const { email } = who.person;
  const authorization = typedBearer('sessionToken', who.person.account.sessionToken);
  let more = {};
  const password = `another ${toHex(randomBytes(8))}`;
  const { authPW, unwrap } = await stretch(email, password);
  if (withRecoveryKey) {
    const of = { key: generateRecoveryKey(), uid: fromHex(uidOf(who)) };
    const recoveryKeyId = deriveRecoveryKeyId(of);
    const { kB } = await who.person.account.fetchKeys();
    const recoveryData = await sealRecoveryData(of, kB);
    await post(
      server,
      'recoveryKey',
      { recoveryKeyId, recoveryData, enabled: true },
      authorization,
    );
    const opened = await openRecoveryData(of, recoveryData);
    more = { wrapKb: toHex(xor(opened, unwrap)), recoveryKeyId };
  }
  const token = typedBearer('accountResetToken', await forget(server, { email, uid: uidOf(who) }));
  await post(server, 'account/reset', { authPW, ...more }, token).expect(200);
  return password;
}

describe('T16: the password is lost, without a recovery key', () => {
  it('T16: contacts are told IDENTITY_RESET, and the old kBr publishes nothing any more', async () => {
    const device = anew(alice);
    const before = await device.lookUp(uidOf(bob));
    const old = bob.device;
    server.clock.advance(1); // generations are told apart by seconds
    const password = await forgetPassword(bob);
    const again = await signInAgain(bob, server, password);
    expect(await codeOf(again.keys.publish())).toBe('KEY_GENERATION_MISMATCH');
    expect((await device.lookUp(uidOf(bob))).version).toBe(1);
    const { list } = await again.keys.reset();
    expect([list.ver, list.reset?.ver]).toEqual([2, 2]);
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('IDENTITY_RESET');
    const { checks, isSound } = await device.audit();
    const [asked] = checks.filter(({ error }) => error !== undefined);
    expect([isSound, asked?.verdict, asked?.error?.code]).toEqual([true, 'ask', 'IDENTITY_RESET']);
    const accepted = await device.contacts.accept(uidOf(bob));
    expect([accepted.isChecked, accepted.identity.x === before.identity.x]).toEqual([false, false]);
    // By a token of today, and the kBr of before.
    const { server: there, uid, clientId, tokens } = again.app;
    const holder = { server: there, uid, clientId, tokens, kBr: old.app.kBr };
    const holdover = new Keys(holder, new MemoryPinStore());
    expect(await codeOf(holdover.rotate())).toBe('KEY_GENERATION_MISMATCH');
    const prev = hashOf((await shownTo({ ...bob, device: again })).skl);
    const stale = { ...list, ver: 3, prev, kbr: old.app.kBr.kid, links: undefined };
    const skl = await (await identityOf(bob)).sign(KEY_LIST_TYPE, stale);
    const answer = await hand({ ...bob, device: again }, { skl, wrapped: {} });
    expect([answer.status, await answer.json()]).toMatchObject([
      409,
      { type: expect.stringContaining('stale-key-generation') as string },
    ]);
  });
});

describe('T17: the password is lost, with a recovery key', () => {
  it('T17: nobody sees anything', async () => {
    const device = anew(alice);
    const before = await device.lookUp(uidOf(bob));
    const password = await forgetPassword(bob, { withRecoveryKey: true });
    const again = await signInAgain(bob, server, password);
    const { list, privateJwk } = await again.keys.publish();
    expect([list.ver, privateJwk]).toEqual([1, (await bob.device.keys.own()).privateJwk]);
    expect(await device.lookUp(uidOf(bob))).toMatchObject({
      ...{ version: 1, identity: before.identity, isNew: false },
    });
  });
});

/** Loses a device of this person; another one, with the password alone, locks it out. */
async function deviceLost(who: Victim, account = signedIn(who), input: Partial<LostDevice> = {}) {
  const signIn = async (by: Account) => {
    const started = await App.start(by.server, DEMO_APP);
    return started.finish((await authorize(by, started.url)).redirect);
  };
  const { clientId } = DEMO_APP;
  const done = await replaceAppKey(await account, { clientId, signIn, ...input });
  return { ...done, device: new Device(done.app) };
}

async function signedIn({ person, liar, ahead }: Victim): Promise<Account> {
  const now = () => Date.now() + ahead.ms;
  return Account.signIn(await Server.at(server.url, { now, fetch: liar.fetch }), person);
}

describe('T18: a device is lost', () => {
  it('T18: another kBr takes over, contacts follow, and the stolen one opens old versions alone', async () => {
    const device = anew(alice);
    const before = await device.lookUp(uidOf(bob));
    const { number } = await device.contacts.safety(uidOf(bob));
    expect(await device.contacts.compare(uidOf(bob), number)).toBe(true);
    const { app } = bob.device;
    const shared = { typ: 'item', title: 'n', secret: { a: 'b' } } as const;
    await alice.device.sharing.share(shared, [before]);
    await bob.device.storage.put('notes', 'one', { text: 'before' });
    const token = await app.tokens.for('keys');

    const lost = await deviceLost(bob);
    expect([lost.wasBegun, lost.refused, lost.moved >= 1]).toEqual([false, [], true]);
    expect(lost.own?.list).toMatchObject({ ver: 2, links: [{ ver: 2, old: before.identity.x }] });
    expect(lost.own?.list.keys.map(({ st }) => st).sort()).toEqual(['active', 'revoked']);
    // Contacts follow by themselves; the thief could have signed the link, so it has to be compared again.
    const after = await device.lookUp(uidOf(bob));
    expect([after.version, after.isNew, after.isChecked]).toEqual([2, false, false]);
    expect(after.identity.x).not.toBe(before.identity.x);
    // What was stored and sent before still opens with the new kBr.
    expect((await lost.device.storage.get('notes', 'one'))?.value).toEqual({ text: 'before' });
    const [item] = (await lost.device.sharing.inbox()).items;
    expect([item?.body, item?.wasRevoked]).toEqual([shared, true]);

    // The stolen tokens open nothing, and the stolen kBr nothing that is there now.
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${server.url}/keys/v1/me`, { headers })).status).toBe(401);
    expect(await codeOf(anew(bob).own())).toBe('invalid_grant');
    const shown = await shownTo({ ...bob, device: lost.device });
    for (const text of Object.values(shown.wrapped)) {
      const { protected: header } = JSON.parse(text) as { protected: string };
      expect(fromUtf8(fromBase64Url(header))).not.toContain(app.kBr.kid);
    }
    for (const collection of await lost.device.storage.collections()) {
      for (const { payload } of (await lost.device.storage.raw(collection)).records) {
        expect(payload).not.toContain(app.kBr.kid);
      }
    }
    const stolen = { realm: app.server.realm, uid: app.uid, clientId: app.clientId, kBr: app.kBr };
    await expect(checkOwn(shown, stolen)).rejects.toMatchObject({
      code: 'KEY_GENERATION_MISMATCH',
    });
  });

  it('T18: a hand-over that was cut off goes on where it was, and nothing is lost', async () => {
    const values = Array.from({ length: 120 }, (_, i) => [`n${i}`, { i }] as const);
    for (const part of [values.slice(0, 60), values.slice(60)]) {
      await bob.device.storage.post('notes', Object.fromEntries(part));
    }
    let moved = 0;
    const cut = deviceLost(bob, undefined, {
      onProgress: (progress) => {
        ({ moved } = progress);
        if (moved >= 50) throw new Error('cut off');
      },
    });
    await expect(cut).rejects.toThrow('cut off');
    const { device, ...rest } = await deviceLost(bob);
    expect([rest.wasBegun, rest.own?.list.ver, rest.moved]).toEqual([true, 2, 120 - moved]);
    const { records, refused } = await device.storage.records('notes');
    expect([refused, new Map(records.map(({ id, value }) => [id, value]))]).toEqual([
      [],
      new Map(values),
    ]);
    // It is over, so the next device that is lost is another beginning.
    const again = await deviceLost(bob);
    expect([again.wasBegun, again.own?.list.ver, again.moved]).toEqual([false, 3, 120]);
  });

  it('T18: of two devices that lock out a third at once, both end with the same key', async () => {
    await bob.device.storage.put('notes', 'one', { text: 'before' });
    const ends = await Promise.all([deviceLost(bob), deviceLost(bob)]);
    expect(ends.map(({ app }) => app.kBr.kid)[0]).toBe(ends[1].app.kBr.kid);
    expect(ends.map(({ wasBegun }) => wasBegun).sort()).toEqual([false, true]);
    for (const { device } of ends) {
      expect((await device.keys.own()).list.ver).toBe(2);
      expect((await device.storage.get('notes', 'one'))?.value).toEqual({ text: 'before' });
    }
  });

  const ROTATE = /\/scoped-key\/rotate$/;
  const SCOPED = /\/account\/scoped-key-data$/;
  it.each<[string, (truth: ScopedKeyData) => Partial<ScopedKeyData>]>([
    ['no new secret', ({ former }) => ({ keyRotationSecret: former?.keyRotationSecret })],
    ['an earlier time', () => ({ keyRotationTimestamp: 1_000_000 })],
    ['another secret', () => ({ keyRotationSecret: 'a'.repeat(64) })],
    [
      'another former one',
      ({ former }) => ({ former: former && { ...former, keyRotationSecret: 'b'.repeat(64) } }),
    ],
    ['no former one', () => ({ former: undefined })],
  ])('T18: a server that rotates to %s is KEY_GENERATION_MISMATCH', async (_, lie) => {
    bob.liar.alter('POST', ROTATE, (truth: ScopedKeyData) => ({ ...truth, ...lie(truth) }));
    expect(await codeOf(deviceLost(bob))).toBe('KEY_GENERATION_MISMATCH');
  });

  it('T18: a server that only says that the key was replaced is KEY_GENERATION_MISMATCH', async () => {
    bob.liar.alter('POST', SCOPED, ({ app_key: truth }: ScopedKeyDataByScope) => ({
      app_key: {
        ...truth,
        former: { keyRotationSecret: 'c'.repeat(64), keyRotationTimestamp: 1_000_000 },
      },
    }));
    expect(await codeOf(deviceLost(bob))).toBe('KEY_GENERATION_MISMATCH');
  });

  it('T18: a server that gives a replaced key out again is KEY_GENERATION_MISMATCH', async () => {
    await deviceLost(bob);
    const first = { keyRotationSecret: '0'.repeat(64) };
    const lie = (truth: ScopedKeyData) => (truth.former ? { ...truth, ...first } : truth);
    bob.liar.alter('POST', ROTATE, lie);
    bob.liar.alter('POST', SCOPED, ({ app_key: truth }: ScopedKeyDataByScope) => ({
      app_key: truth && lie(truth),
    }));
    expect(await codeOf(deviceLost(bob))).toBe('KEY_GENERATION_MISMATCH');
  });

  it('T18: whoever missed a version follows the links; a link into the past is KEY_LIST_FORKED', async () => {
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    const first = bob.device.app.kBr;
    const { device: rotated } = await deviceLost(bob);
    await rotated.keys.rotate();
    expect((await device.lookUp(uidOf(bob))).version).toBe(3);
    const late = anew(alice);
    const { list } = await rotated.keys.own();
    show(
      await (
        await deriveIdentity(first.k)
      ).sign(KEY_LIST_TYPE, { ...list, ver: 9, links: undefined }),
    );
    await late.lookUp(uidOf(bob));
    alice.liar.repent();
    expect(await codeOf(late.lookUp(uidOf(bob)))).toBe('KEY_LIST_FORKED');
  });
});

describe('T19: a bearer token is stolen', () => {
  it('T19: it replaces no key: the server wants a signature, and contacts say IDENTITY_CHANGED', async () => {
    const device = anew(alice);
    await device.lookUp(uidOf(bob));
    const { list } = await bob.device.keys.own();
    const shown = await shownTo(bob);
    const thief = await stranger();
    const { publicJwk, privateJwk } = await generateEncryptionKey();
    const { app } = bob.device;
    const context = { realm: app.server.realm, uid: app.uid, clientId: app.clientId };
    const kBr = { kid: app.kBr.kid, k: randomBytes(32) };
    const where = { ...context, kid: publicJwk.kid, version: 2 };
    const wrapped = await wrapPrivateKey({ privateJwk, kBr, context: where });
    const [key] = list.keys;
    const retired = { kid: key?.kid, alg: key?.alg, wsha: key?.wsha, st: 'retired', rev: list.iat };
    const keys = [{ ...publicJwk, st: 'active', since: 2, wsha: hashOf(wrapped) }, retired];
    const next = { ...list, ver: 2, prev: hashOf(shown.skl), keys };
    const skl = await thief.sign(KEY_LIST_TYPE, next);
    const body = { skl, wrapped: { [publicJwk.kid]: wrapped } };
    const answer = await hand(bob, body);
    expect([answer.status, await answer.json()]).toMatchObject([
      403,
      { type: expect.stringContaining('signature-required') as string },
    ]);
    expect((await shownTo(bob)).skl).toBe(shown.skl);
    show(skl);
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('IDENTITY_CHANGED');
  });
});

describe('T20: a downgrade', () => {
  it('T20: who had a hybrid key has one still, or it is KEY_DOWNGRADED', async () => {
    await anew(bob, { hybrid: true }).rotate();
    const device = anew(alice);
    const met = await device.lookUp(uidOf(bob));
    expect(met.keys.map(({ alg }) => alg).sort()).toEqual(['HPKE-11-KE', 'HPKE-4-KE']);
    const { skl } = await shownTo(bob);
    const { list } = await bob.device.keys.refresh();
    const keys = list.keys.filter(({ alg }) => alg === 'HPKE-4-KE');
    show(await bobs({ ver: 3, prev: hashOf(skl), keys }));
    expect(await codeOf(device.lookUp(uidOf(bob)))).toBe('KEY_DOWNGRADED');
    // Signed for, it may end.
    const ended = list.keys.map((key) =>
      key.alg === 'HPKE-11-KE' && key.st === 'active'
        ? { ...{ kid: key.kid, alg: key.alg, wsha: key.wsha }, st: 'retired' as const, rev: 1 }
        : key,
    );
    show(await bobs({ ver: 3, prev: hashOf(skl), keys: ended }));
    expect((await device.lookUp(uidOf(bob))).version).toBe(3);
  });

  it('T20: a share to people who all have hybrid keys goes to those, and opens', async () => {
    await anew(bob, { hybrid: true }).rotate();
    const to = await anew(alice).lookUp(uidOf(bob));
    await alice.device.sharing.share({ typ: 'item', title: 'n', secret: { a: 'b' } }, [to]);
    const { records } = await bob.device.storage.raw('inbox');
    expect(records[0]?.payload).toContain('HPKE-11-KE');
    expect((await bob.device.sharing.inbox()).items).toHaveLength(1);
  });

  it.each([
    ['alg none', { alg: 'none' }],
    ['another algorithm', { alg: 'HS256' }],
    ['an unknown extension', { crit: ['x'], x: 1 }],
    ['another type', { typ: 'ks-share+jws' }],
  ])('T20: a list with %s in its header is refused', async (_, change) => {
    const [header = '', payload = ''] = (await bobs()).split('.');
    const odd = { ...(JSON.parse(fromUtf8(fromBase64Url(header))) as object), ...change };
    const signed = `${toBase64Url(utf8(JSON.stringify(odd)))}.${payload}`;
    show(`${signed}.${await (await identityOf(bob)).signText(signed)}`);
    expect(await codeOf(anew(alice).lookUp(uidOf(bob)))).toBe('KEY_LIST_INVALID');
  });
});

describe('T21: a key that must not be encrypted to, though its owner signed it', () => {
  const low = Buffer.alloc(32).toString('base64url');
  it.each<[string, (key: object) => object]>([
    ['of low order', () => ({ x: low, kid: thumbprint({ kty: 'OKP', crv: 'X25519', x: low }) })],
    ['with its private part', () => ({ d: 'A'.repeat(43) })],
    ['for another algorithm', () => ({ alg: 'HPKE-3-KE' })],
    ['under another name', () => ({ kid: 'A'.repeat(43) })],
    ['not canonical', (key) => ({ x: 'x' in key ? `${String(key.x)}=` : '' })],
  ])('T21: %s is refused', async (_, change) => {
    const { list } = await bob.device.keys.own();
    const keys = list.keys.map((key) => ({ ...key, ...change(key) }));
    show(await bobs({ keys }));
    expect(await codeOf(anew(alice).lookUp(uidOf(bob)))).toBe('KEY_LIST_INVALID');
  });
});

describe('T24: keys are published without end', () => {
  it('T24: one change a minute; what is too much changes nothing', async () => {
    const other = await TestServer.start({ BUDGETS: 'key-burst.account=1/60' });
    try {
      const carol = await join(other, 'Carol');
      await expect(carol.device.keys.rotate()).rejects.toMatchObject({
        ...{ name: 'ClientError', code: 'too-many-requests', status: 429 },
      });
      expect((await carol.device.keys.refresh()).list.ver).toBe(1);
      other.clock.advance(61);
      carol.ahead.ms = 61_000;
      expect((await carol.device.keys.rotate()).list.ver).toBe(2);
    } finally {
      await other.stop();
    }
  });
});

describe('T25: a new device is made to derive another kBr', () => {
  const SCOPED = /\/account\/scoped-key-data$/;
  it.each([
    ['secret', { keyRotationSecret: 'f'.repeat(64) }],
    ['earlier time', { keyRotationTimestamp: 1_000_000 }],
    ['later time', { keyRotationTimestamp: 4_000_000_000_000 }],
  ])(
    'T25: by a wrong %s it is KEY_GENERATION_MISMATCH, and nothing is published',
    async (_, wrong) => {
      const before = await shownTo(bob);
      bob.liar.alter('POST', SCOPED, (truth) => ({ app_key: { ...truth.app_key, ...wrong } }));
      const { keys } = await bob.person.anotherDevice();
      expect(await codeOf(keys.publish())).toBe('KEY_GENERATION_MISMATCH');
      bob.liar.repent();
      expect((await shownTo(bob)).skl).toBe(before.skl);
    },
  );

  it('T25: a device that remembers its list publishes none, when the server denies it', async () => {
    let published = 0;
    bob.liar.answer('PUT', ME, () => ++published);
    bob.liar.answer('GET', ME, () => ({ type: 'not-found' }), { status: 404 });
    expect(await codeOf(bob.device.keys.publish())).toBe('KEY_LIST_ROLLBACK');
    expect(published).toBe(0);
  });
});

describe('What was wrong in 2015', () => {
  it('F1: a private key, though wrapped, goes to its owner alone', async () => {
    await alice.device.keys.lookUp(uidOf(bob));
    const [mine] = Object.values((await shownTo(bob)).wrapped);
    const shown = JSON.stringify(await shownTo(alice, `users/${uidOf(bob)}`));
    expect(shown).toContain('skl');
    expect(shown).not.toContain('wrapped');
    const { ciphertext } = JSON.parse(mine ?? '') as { ciphertext: string };
    expect(shown).not.toContain(ciphertext);
  });

  it('F2: a list is published for oneself alone', async () => {
    const carol = await join(server, 'Carol', { publishes: false });
    const shown = await shownTo(bob);
    const answer = await hand(carol, { skl: shown.skl, wrapped: shown.wrapped });
    expect(answer.status).toBe(422);
    expect(await codeOf(alice.device.keys.lookUp(uidOf(carol)))).toBe('not-found');
  });

  it('F3: keys of users, apps and purposes have nothing in common', async () => {
    const { kB } = await bob.person.account.fetchKeys();
    const { app } = bob.device;
    const old = hkdf(kB, utf8('0'.repeat(32)), app.clientId, 32);
    const input = { kB, keyRotationSecret: new Uint8Array(32), keyRotationTimestamp: 0 };
    const derive = (uid: string, identifier: string) =>
      toHex(deriveScopedKey({ ...input, uid: fromHex(uid), identifier }).k);
    const kBr = derive(app.uid, `app:${app.clientId}`);
    expect(kBr).toBe(toHex(app.kBr.k));
    const others = [
      ...[toHex(old), derive(app.uid, 'app:other'), derive('0'.repeat(32), 'app:demo-app')],
      ...(['wrap', 'identity', 'state'] as const).map((use) => toHex(deriveSubKey(app.kBr.k, use))),
    ];
    expect(new Set([kBr, ...others]).size).toBe(7);
  });

  it('F4: a wrapped key of one’s own does not open in another’s place', async () => {
    const [mine] = Object.values((await shownTo(alice)).wrapped);
    const { list, publicJwk } = await bob.device.keys.own();
    const keys = list.keys.map((key) => ({ ...key, wsha: hashOf(mine ?? '') }));
    const skl = await bobs({ keys });
    bob.liar.alter('GET', ME, (answer: OwnKeys) => ({
      ...answer,
      ...{ skl, wrapped: { [publicJwk.kid]: mine } },
    }));
    expect(await codeOf(anew(bob).own())).toBe('DECRYPT_FAILED');
  });

  it('F5: the second device of a new user takes the key of the first', async () => {
    const carol = await join(server, 'Carol', { publishes: false });
    const other = await signInAgain(carol, server);
    let first: OwnPair | undefined;
    const isFaster = async () => {
      first = await other.keys.publish();
    };
    // Once it was told that there are none, and before it publishes its own.
    carol.liar.before(ME, () => {
      carol.liar.before(ME, isFaster);
      return Promise.resolve();
    });
    const { privateJwk } = await carol.device.keys.publish();
    expect(privateJwk).toEqual(first?.privateJwk);
  });

  it('F6: an address is looked for as it is, not as a pattern', async () => {
    const { email } = bob.person;
    const patterns = [
      email.replace('@example.org', '@example.or.'),
      email.replace(/^./, '.'),
      email.replace(/^./, '%'),
      `.*${email}`,
    ];
    const { contacts } = alice.device.keys;
    expect((await contacts.discover([email])).size).toBe(1);
    expect((await contacts.discover(patterns)).size).toBe(0);
  });

  it('F7: a file that is cut off, or mixed with another, does not open', async () => {
    const key = randomBytes(32);
    const encrypt = async (aad: string) => {
      const options = { key, aad: utf8(aad), segmentLength: 4096 };
      const parts: Uint8Array[] = [];
      for await (const part of encryptFloe(once(new Uint8Array(10_000)), options)) parts.push(part);
      return concat(...parts);
    };
    const open = async (bytes: Uint8Array) => {
      for await (const part of decryptFloe(once(bytes), { key, aad: utf8('one') }))
        expect(part).toBeDefined();
      return 'opened';
    };
    const [one, two] = [await encrypt('one'), await encrypt('two')];
    expect(await open(one)).toBe('opened');
    const segment = (bytes: Uint8Array, i: number) =>
      bytes.subarray(74 + i * 4096, 74 + (i + 1) * 4096);
    const mixed = one.slice();
    mixed.set(segment(two, 1), 74 + 4096);
    const cut = [one.subarray(0, 74 + 2 * 4096), one.subarray(0, -1)];
    for (const wrong of [mixed, ...cut]) {
      await expect(open(wrong)).rejects.toMatchObject({ code: 'file-forged' });
    }
  });

  it('F8: whoever has Bob’s key cannot write to him in Alice’s name', async () => {
    const to = await alice.device.keys.lookUp(uidOf(bob));
    const own = await bob.device.keys.own();
    const { sharing } = bob.device;
    expect(own.publicJwk.kid).toBe(to.publicJwk.kid);
    const body = { typ: 'item', title: 'n', secret: { a: 'b' } } as const;
    const self: Contact = await bob.device.keys.contacts.lookUp(uidOf(bob));
    await sharing.share(body, [self]);
    bob.liar.alter('GET', /\/storage\/inbox$/, (records: { id: string; payload: string }[]) =>
      records.map((record) => ({
        ...record,
        payload: JSON.stringify({ ...(JSON.parse(record.payload) as object), from: uidOf(alice) }),
      })),
    );
    const { items, refused } = await sharing.inbox();
    expect([items, refused.map(({ error }) => error.code)]).toEqual([[], ['SIGNATURE_INVALID']]);
  });

  it('F9: a key that was replaced is not used for ever', async () => {
    const contact = await alice.device.keys.lookUp(uidOf(bob));
    await bob.device.keys.rotate();
    const fresh = await alice.device.keys.lookUp(uidOf(bob));
    expect(fresh.publicJwk.kid).not.toBe(contact.publicJwk.kid);
    alice.ahead.ms = FIVE_MINUTES_MS + 10_000;
    expect((await alice.device.keys.contacts.fresh(contact)).publicJwk).toEqual(fresh.publicJwk);
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- FLOE reads streams
async function* once(bytes: Uint8Array) {
  yield bytes;
}
