import { Keys, MemoryPinStore, Storage, SyncedPinStore } from '#lib/client';
import { deriveIdentity, randomBytes } from '#lib/crypto';
import { KEY_LIST_TYPE, type PublicKeys } from '#lib/protocol';
import { Device } from '../../apps/demo/src/person.ts';
import { TestServer } from '../support/test-server.ts';
import { join, refusal, type Victim } from './people.ts';

const USERS = /^\/keys\/v1\/users\//;
const PEOPLE = /\/storage\/people\/pins$/;

let server: TestServer;
let alice: Victim;
let bob: Victim;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = await Promise.all([join(server, 'Alice'), join(server, 'Bob')]);
});

const bobsUid = () => bob.device.app.uid;

/** A device of Alice's, with a memory of its own, and the one that her devices share. */
function device(local = new MemoryPinStore()) {
  const { app, storage } = new Device(alice.device.app);
  return new Keys(app, new SyncedPinStore(local, app, storage));
}

/** Alice has compared safety numbers with Bob, on this device. */
async function compared(keys: Keys): Promise<void> {
  const { number } = await bob.device.keys.contacts.safety(alice.device.app.uid);
  expect(await keys.contacts.compare(bobsUid(), number)).toBe(true);
}

/** Has the server show Alice a list of Bob's that it made itself. */
async function swapBob(): Promise<void> {
  const { list } = await bob.device.keys.own();
  const skl = await (await deriveIdentity(randomBytes(32))).sign(KEY_LIST_TYPE, list);
  alice.liar.alter('GET', USERS, (answer) => ({ ...answer, skl }));
}

/** What the server tells others of somebody. */
async function publicListOf(who: Victim): Promise<PublicKeys> {
  const headers = { authorization: `Bearer ${await bob.device.app.tokens.for('keys')}` };
  const url = `${server.url}/keys/v1/users/${who.device.app.uid}`;
  return (await (await fetch(url, { headers })).json()) as PublicKeys;
}

/** What the server has of the record, as it is stored. */
const stored = async () => (await alice.device.storage.raw('people')).records[0];

describe('people one has met', () => {
  it('are remembered by all of one’s devices, and a comparison on one holds on the others', async () => {
    await compared(device());
    const other = device();
    expect(await other.lookUp(bobsUid())).toMatchObject({ isNew: false, isChecked: true });
    const { payload = '' } = (await stored()) ?? {};
    expect(payload).not.toContain(bobsUid());
    expect(payload).not.toContain((await bob.device.keys.own()).identity.publicJwk.x);
  });

  it('are not compared by wrong digits, nor by one’s own code', async () => {
    const { contacts } = device();
    const { number, code } = await contacts.safety(bobsUid());
    const swapped = number.startsWith('0') ? '1' : '0';
    for (const wrong of [swapped + number.slice(1), number.slice(1), '', code]) {
      expect(await contacts.compare(bobsUid(), wrong)).toBe(false);
    }
    expect((await contacts.lookUp(bobsUid())).isChecked).toBe(false);
    const theirs = await bob.device.keys.contacts.safety(alice.device.app.uid);
    expect(await contacts.compare(bobsUid(), theirs.code)).toBe(true);
    expect((await contacts.lookUp(bobsUid())).isChecked).toBe(true);
  });

  it('are put back by a device with a memory, when the server shows an older record', async () => {
    const local = new MemoryPinStore();
    const keys = device(local);
    await keys.lookUp(bobsUid());
    const older = await stored();
    await compared(keys);
    alice.liar.alter('GET', PEOPLE, () => older);
    const same = device(local);
    expect((await same.lookUp(bobsUid())).isChecked).toBe(true);
    alice.liar.repent();
    expect((await device(local).lookUp(bobsUid())).isChecked).toBe(true);
    expect((await device().lookUp(bobsUid())).isChecked).toBe(true);
  });

  it('are put back when the server forges or deletes the record, and an audit says so', async () => {
    const local = new MemoryPinStore();
    await compared(device(local));
    alice.liar.alter('GET', PEOPLE, (record: { payload: string }) => ({
      ...record,
      payload: record.payload.replace(/"c":"../, '"c":"__'),
    }));
    const { checks, isSound } = await device(local).audit();
    expect(isSound).toBe(false);
    expect(checks.flatMap(({ error }) => error ?? [])).toMatchObject([refusal('RECORD_FORGED')]);
    alice.liar.repent();
    await alice.device.storage.delete('people', 'pins');
    expect((await device(local).lookUp(bobsUid())).isChecked).toBe(true);
    expect((await device().lookUp(bobsUid())).isChecked).toBe(true);
  });

  it('are not met anew by a new device when the server forges the record', async () => {
    const local = new MemoryPinStore();
    await compared(device(local));
    const before = await stored();
    alice.liar.alter('GET', PEOPLE, (record: { payload: string }) => ({
      ...record,
      payload: record.payload.replace(/"c":"../, '"c":"__'),
    }));
    const other = device();
    expect((await other.own()).list.ver).toBe(1);
    await expect(other.lookUp(bobsUid())).rejects.toMatchObject(refusal('RECORD_FORGED'));
    await expect(device().lookUp(bobsUid())).rejects.toMatchObject(refusal('RECORD_FORGED'));
    expect((await device(local).lookUp(bobsUid())).isChecked).toBe(true);
    expect(await stored()).toEqual(before);
    await other.contacts.restore();
    alice.liar.repent();
    expect((await other.lookUp(bobsUid())).isChecked).toBe(false);
    expect((await device(local).lookUp(bobsUid())).isChecked).toBe(true);
    expect((await device().lookUp(bobsUid())).isChecked).toBe(true);
  });

  it('are begun anew where the record is of the time before a password reset', async () => {
    const { server: there, uid, clientId, tokens, kBr } = alice.device.app;
    const seconds = Number(kBr.kid.split('-')[0]) + 1;
    const later = { kid: `${seconds}-${kBr.kid.slice(-22)}`, k: randomBytes(32) };
    await compared(device());
    const app = { server: there, uid, clientId, tokens, kBr: later };
    const pins = new SyncedPinStore(new MemoryPinStore(), app, new Storage(app));
    expect(await new Keys(app, pins).lookUp(bobsUid())).toMatchObject({ isNew: true });
    expect(await pins.trouble()).toBeUndefined();
  });

  it('are no choice when two devices met two identities, until they are compared', async () => {
    const local = new MemoryPinStore();
    const fooled = new Keys(alice.device.app, local);
    const mallory = await deriveIdentity(randomBytes(32));
    const { list } = await bob.device.keys.own();
    const skl = await mallory.sign(KEY_LIST_TYPE, list);
    alice.liar.alter('GET', /\/keys\/v1\/users\//, (answer) => ({ ...answer, skl }));
    await fooled.lookUp(bobsUid());
    alice.liar.repent();
    const honest = device();
    await honest.lookUp(bobsUid());
    await expect(device(local).lookUp(bobsUid())).rejects.toMatchObject(
      refusal('IDENTITY_CHANGED'),
    );
    const { checks } = await device(local).audit();
    expect(checks.flatMap(({ error }) => error?.code ?? [])).toContain('IDENTITY_CONFLICT');
    await compared(honest);
    expect(await device(local).lookUp(bobsUid())).toMatchObject({ isChecked: true });
  });

  it('are written by two devices at once', async () => {
    const carol = await join(server, 'Carol');
    const [one, two] = [device(), device()];
    await Promise.all([one.lookUp(bobsUid()), two.lookUp(carol.device.app.uid)]);
    const met = (await device().contacts.known()).map(({ uid }) => uid).sort();
    expect(met).toEqual([bobsUid(), carol.device.app.uid].sort());
  });

  it('are not met anew by a device that did not hear yet what another one knows', async () => {
    const late = device();
    await late.own();
    await compared(device());
    await swapBob();
    await expect(late.lookUp(bobsUid())).rejects.toMatchObject(refusal('IDENTITY_CHANGED'));
    alice.liar.repent();
    expect(await late.lookUp(bobsUid())).toMatchObject({ isChecked: true });
  });

  it('are not met anew by the second of two look-ups at once', async () => {
    await compared(device());
    await swapBob();
    const { contacts } = device();
    const ends = await Promise.allSettled([contacts.lookUp(bobsUid()), contacts.lookUp(bobsUid())]);
    expect(ends.map((end) => (end.status === 'rejected' ? end.reason : end.value))).toMatchObject([
      refusal('IDENTITY_CHANGED'),
      refusal('IDENTITY_CHANGED'),
    ]);
  });

  it('are not shown in an older list than another device saw', async () => {
    const late = device();
    await late.own();
    let older: unknown;
    alice.liar.alter('GET', USERS, (answer) => (older = answer));
    await device().lookUp(bobsUid());
    await bob.device.keys.rotate();
    alice.liar.repent();
    await device().lookUp(bobsUid());
    alice.liar.alter('GET', USERS, () => older);
    await expect(late.lookUp(bobsUid())).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
  });

  it('do not go back to an identity that was left, when the server shows an older record', async () => {
    const local = new MemoryPinStore();
    const keys = device(local);
    await compared(keys);
    await swapBob();
    await keys.contacts.accept(bobsUid());
    const fooled = await stored();
    alice.liar.repent();
    await keys.contacts.accept(bobsUid());
    const { identity } = await keys.lookUp(bobsUid());
    alice.liar.alter('GET', PEOPLE, () => fooled);
    await swapBob();
    await expect(device(local).lookUp(bobsUid())).rejects.toMatchObject(
      refusal('IDENTITY_CHANGED'),
    );
    alice.liar.repent();
    expect((await device(local).lookUp(bobsUid())).identity).toEqual(identity);
  });

  it('are not another account by the same address', async () => {
    const mallory = await join(server, 'Mallory');
    const local = new MemoryPinStore();
    const { contacts } = new Keys(alice.device.app, local);
    const email = bob.person.email.toUpperCase();
    await contacts.discover([email]);
    const [found] = [...(await contacts.discover([mallory.person.email])).values()];
    await contacts.discover([bob.person.email]);
    const { skl } = await publicListOf(mallory);
    alice.liar.alter('POST', /\/keys\/v1\/discoveries$/, () => ({
      results: [{ found: true, uid: found?.uid, skl }],
    }));
    await expect(contacts.discover([email])).rejects.toMatchObject(refusal('IDENTITY_CHANGED'));
    // Whoever asked Bob may say so.
    await contacts.acceptAt(email);
    expect((await contacts.discover([email])).get(email)?.uid).toBe(mallory.device.app.uid);
  });

  it('count as one’s own list does: a new device publishes none when another has', async () => {
    await device().own();
    let published = 0;
    const ME = /^\/keys\/v1\/me$/;
    alice.liar.answer('PUT', ME, () => ++published);
    alice.liar.answer('GET', ME, () => ({ type: 'not-found' }), { status: 404 });
    await expect(device().publish()).rejects.toMatchObject(refusal('KEY_LIST_ROLLBACK'));
    expect(published).toBe(0);
  });
});
