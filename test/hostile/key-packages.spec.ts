import { deriveIdentity, generateEncryptionKey, type Identity, randomBytes } from '#lib/crypto';
import { KEY_PACKAGE_TYPE, type KeyPackage } from '#lib/protocol';
import { TestServer } from '../support/test-server.ts';
import { join, refusal, type Victim } from './people.ts';

const CLAIMS = /^\/keys\/v1\/packages\/claims$/;

let server: TestServer;
let alice: Victim;
let bob: Victim;
beforeAll(async () => {
  server = await TestServer.start();
  [alice, bob] = await Promise.all([join(server, 'Alice'), join(server, 'Bob')]);
});
afterAll(() => server.stop());
afterEach(() => {
  alice.liar.repent();
  alice.ahead.ms = 0;
});

const claim = () => alice.device.keys.claimPackage(bob.device.app.uid);
const bobsIdentity = () => deriveIdentity(bob.device.app.kBr.k);

/** Has the server hand out a package of Bob's, changed, and signed by whoever is asked. */
async function handOut(
  change: object = {},
  { by, typ = KEY_PACKAGE_TYPE }: { by?: Identity; typ?: string } = {},
): Promise<void> {
  const { app } = bob.device;
  const iat = app.server.seconds();
  const { publicJwk: key } = await generateEncryptionKey();
  const payload: KeyPackage = {
    ...{ v: 1, iss: app.server.realm, sub: app.uid, cid: app.clientId, id: 'A'.repeat(22) },
    ...{ iat, exp: iat + 3600, key },
  };
  const signed = await (by ?? (await bobsIdentity())).sign(typ, { ...payload, ...change });
  alice.liar.answer('POST', CLAIMS, () => ({ found: true, package: signed }));
}

describe('key packages', () => {
  it('are each claimed once, then the last resort, and belong to the private half that was kept', async () => {
    const { keys } = bob.device;
    const [own] = await keys.publishPackages(1);
    const [last] = await keys.publishPackages(1, { isLast: true });
    const kids = [await claim(), await claim(), await claim()].map((key) => key?.kid);
    expect(kids).toEqual([own, last, last].map((one) => one?.privateJwk.kid));
  });

  it('are none where nobody has published any', async () => {
    expect(await bob.device.keys.claimPackage(alice.device.app.uid)).toBeUndefined();
  });

  it('pass when they are what they should be', async () => {
    await handOut();
    expect(await claim()).toMatchObject({ alg: 'HPKE-4-KE' });
  });

  it.each<[string, () => Promise<void>]>([
    ['signed by another', async () => handOut({}, { by: await deriveIdentity(randomBytes(32)) })],
    ['another signed statement of Bob’s', () => handOut({}, { typ: 'ks-skl+jws' })],
    ['of another user', () => handOut({ sub: '0'.repeat(32) })],
    ['for another app', () => handOut({ cid: 'another-app' })],
    ['of another server', () => handOut({ iss: 'A'.repeat(22) })],
    ['expired', () => handOut({ exp: bob.device.app.server.seconds() - 1 })],
    ['of no shape', () => handOut({ key: undefined })],
    [
      'with a key under another name',
      async () => {
        const { publicJwk } = await generateEncryptionKey();
        return handOut({ key: { ...publicJwk, kid: 'A'.repeat(43) } });
      },
    ],
    [
      'with a private key',
      async () => handOut({ key: (await generateEncryptionKey()).privateJwk }),
    ],
  ])('are refused when they are %s', async (_, lie) => {
    await lie();
    await expect(claim()).rejects.toMatchObject(refusal('PACKAGE_FORGED'));
  });

  it('are refused when they are no JWS', async () => {
    alice.liar.answer('POST', CLAIMS, () => ({ found: true, package: 'nothing' }));
    await expect(claim()).rejects.toMatchObject(refusal('PACKAGE_FORGED'));
  });

  it('are asked for of nobody whose identity changed', async () => {
    await alice.device.keys.lookUp(bob.device.app.uid);
    const { list } = await bob.device.keys.own();
    const mallory = await deriveIdentity(randomBytes(32));
    const skl = await mallory.sign('ks-skl+jws', list);
    alice.liar.alter('GET', /^\/keys\/v1\/users\//, (answer) => ({ ...answer, skl }));
    await handOut({}, { by: mallory });
    await expect(claim()).rejects.toMatchObject(refusal('IDENTITY_CHANGED'));
  });
});
