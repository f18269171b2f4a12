import {
  fromUtf8,
  hmacSha256,
  openEnvelope,
  randomBytes,
  sealEnvelope,
  toBase64Url,
  utf8,
} from '#lib/crypto';
import { SHARE_TYPE, type ShareBody, type ShareStatement } from '#lib/protocol';
import type { Contact } from '#lib/client';
import { sealContent, sealContentKey } from '../../libs/crypto/src/jose-hpke.ts';
import { TestServer } from '../support/test-server.ts';
import { join, refusal, type Victim } from './people.ts';

const secret: ShareBody = { typ: 'item', title: 'Netflix', secret: { password: 'correct horse' } };

/** As the inbox holds it. */
interface Arrived {
  id: string;
  modified: number;
  payload: string;
}

describe('a server that tampers with shares', () => {
  let server: TestServer;
  let alice: Victim;
  let bob: Victim;
  let mallory: Victim;
  const INBOX = /\/storage\/inbox$/;

  beforeAll(async () => {
    server = await TestServer.start();
    alice = await join(server, 'Alice');
    bob = await join(server, 'Bob');
    mallory = await join(server, 'Mallory');
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    for (const { device, liar, ahead } of [bob, mallory]) {
      liar.repent();
      ahead.ms = 0;
      const { records } = await device.storage.raw('inbox');
      for (const { id } of records) await device.sharing.decline(id);
    }
  });

  async function contact(of: Victim, from: Victim = alice): Promise<Contact> {
    return from.device.keys.lookUp(of.device.app.uid);
  }
  /** Alice shares with these people. @returns the id */
  async function share(...people: Victim[]): Promise<string> {
    const contacts = await Promise.all(people.map((person) => contact(person)));
    return alice.device.sharing.share(secret, contacts);
  }
  async function arrived(at: Victim): Promise<Arrived> {
    const { records } = await at.device.storage.raw('inbox');
    const [first] = records;
    if (!first) throw new Error('Nothing arrived.');
    return first;
  }
  const boxIn = ({ payload }: Arrived) => (JSON.parse(payload) as { box: string }).box;
  /** What Bob's inbox shows instead. */
  function deliver(id: string, from: Victim, box: string): void {
    const payload = JSON.stringify({ v: 1, from: from.device.app.uid, box });
    bob.liar.alter('GET', INBOX, () => [{ id, modified: 1, payload }]);
  }
  async function expectRefused(code: Parameters<typeof refusal>[0]): Promise<void> {
    const { items, refused } = await bob.device.sharing.inbox();
    expect(items).toEqual([]);
    expect(refused).toMatchObject([{ error: refusal(code) }]);
  }
  /** The signed statement in an envelope that this person may open. */
  async function statementIn(box: string, reader: Victim): Promise<string> {
    const { app, keys } = reader.device;
    const { privateJwk } = await keys.own();
    const place = { uid: app.uid, realm: app.server.realm, clientId: app.clientId };
    return fromUtf8(await openEnvelope(box, { privateJwk, ...place, keyListVersion: 1 }));
  }
  /** An envelope for Bob around any text. */
  async function sealForBob(text: string, ...others: Contact[]): Promise<string> {
    const { app } = alice.device;
    const recipients = [await contact(bob), ...others];
    return sealEnvelope({
      plaintext: utf8(text),
      recipients: recipients.map(({ uid, publicJwk, version }) => ({
        ...{ uid, publicJwk, keyListVersion: version },
      })),
      ...{ realm: app.server.realm, clientId: app.clientId, cty: SHARE_TYPE },
    });
  }
  /** A statement of this person to Bob, signed, with changes. */
  async function sign(by: Victim, change: Partial<ShareStatement> = {}): Promise<string> {
    const { identity } = await by.device.keys.own();
    const { uid, clientId, server: at } = by.device.app;
    const to = [(await bob.device.keys.own()).publicJwk.kid];
    const now = at.seconds();
    const statement: ShareStatement = {
      ...{ v: 1, id: ID, realm: at.realm, from: { uid, cid: clientId, ver: 1 } },
      ...{ to, iat: now, exp: now + 3600, body: secret, ...change },
    };
    return identity.sign(SHARE_TYPE, statement);
  }
  const ID = 'AAAAAAAAAAAAAAAAAAAAAA';

  it('is believed when it does not', async () => {
    await share(bob);
    const { items, refused } = await bob.device.sharing.inbox();
    expect(refused).toEqual([]);
    expect(items).toMatchObject([{ body: secret, from: { uid: alice.device.app.uid } }]);
  });

  it('passes what these tests build, when it is in order', async () => {
    deliver(ID, alice, await sealForBob(await sign(alice)));
    const { items } = await bob.device.sharing.inbox();
    expect(items).toMatchObject([{ id: ID, body: secret }]);
  });

  it('is found out when a recipient re-addresses what he received', async () => {
    const id = await share(mallory);
    const statement = await statementIn(boxIn(await arrived(mallory)), mallory);
    deliver(id, alice, await sealForBob(statement));
    await expectRefused('RECIPIENT_MISMATCH');
  });

  it('is found out when an envelope has a recipient that was not signed', async () => {
    await share(bob);
    const { id, payload } = await arrived(bob);
    const statement = await statementIn(boxIn({ id, payload, modified: 0 }), bob);
    deliver(id, alice, await sealForBob(statement, await contact(mallory)));
    await expectRefused('RECIPIENT_MISMATCH');
  });

  it('is found out when an envelope lost a recipient', async () => {
    await share(bob, mallory);
    const bso = await arrived(bob);
    const box = JSON.parse(boxIn(bso)) as { recipients: { header: { kid: string } }[] };
    const { kid } = (await bob.device.keys.own()).publicJwk;
    const recipients = box.recipients.filter(({ header }) => header.kid === kid);
    deliver(bso.id, alice, JSON.stringify({ ...box, recipients }));
    await expectRefused('RECIPIENT_MISMATCH');
  });

  it('is found out when an envelope for somebody else is delivered', async () => {
    const id = await share(mallory);
    deliver(id, alice, boxIn(await arrived(mallory)));
    await expectRefused('NOT_A_RECIPIENT');
  });

  it('is found out when a share comes again after it was accepted', async () => {
    await share(bob);
    const again = await arrived(bob);
    const { items } = await bob.device.sharing.inbox();
    for (const item of items) await bob.device.sharing.accept(item);
    bob.liar.alter('GET', INBOX, () => [again]);
    await expectRefused('REPLAYED');
  });

  it('is found out when a share comes again under another id', async () => {
    await share(bob);
    deliver('BBBBBBBBBBBBBBBBBBBBBA', alice, boxIn(await arrived(bob)));
    await expectRefused('REPLAYED');
  });

  it('cannot have another share accepted in the place of one that was', async () => {
    await share(bob);
    const { items } = await bob.device.sharing.inbox();
    const [item] = items;
    if (!item) throw new Error('Nothing arrived.');
    await bob.device.sharing.accept(item);
    const other = { ...item, statement: `${item.statement}x` };
    await expect(bob.device.sharing.accept(other)).rejects.toMatchObject(refusal('REPLAYED'));
  });

  it('is found out when it names another sender', async () => {
    const id = await share(bob);
    deliver(id, mallory, boxIn(await arrived(bob)));
    await expectRefused('SIGNATURE_INVALID');
  });

  it('is found out when somebody signs in the name of another', async () => {
    const { uid, clientId } = alice.device.app;
    const statement = await sign(mallory, { from: { uid, cid: clientId, ver: 1 } });
    deliver(ID, mallory, await sealForBob(statement));
    await expectRefused('SENDER_MISMATCH');
  });

  const elsewhere: [string, { cid?: string; realm?: string }][] = [
    ['app', { cid: 'another-app' }],
    ['realm', { realm: 'AAAAAAAAAAAAAAAAAAAAAA' }],
  ];
  it.each(elsewhere)(
    'is found out when a share was signed for another %s',
    async (_, { cid, realm }) => {
      const { app } = alice.device;
      const from = { uid: app.uid, cid: cid ?? app.clientId, ver: 1 };
      const change = { from, realm: realm ?? app.server.realm };
      deliver(ID, alice, await sealForBob(await sign(alice, change)));
      await expectRefused('SENDER_MISMATCH');
    },
  );

  it('is found out when it hides the key list that the sender signed under', async () => {
    const { uid, clientId } = alice.device.app;
    const statement = await sign(alice, { from: { uid, cid: clientId, ver: 2 } });
    deliver(ID, alice, await sealForBob(statement));
    await expectRefused('KEY_LIST_ROLLBACK');
  });

  it('is found out when nobody signed', async () => {
    const signed = await sign(alice);
    deliver(ID, alice, await sealForBob(`${signed.slice(0, -86)}${'A'.repeat(86)}`));
    await expectRefused('SIGNATURE_INVALID');
  });

  it('is found out when it replaces the commitment to the content key', async () => {
    const id = await share(bob);
    const box = JSON.parse(boxIn(await arrived(bob))) as { protected: string };
    const header = JSON.parse(Buffer.from(box.protected, 'base64url').toString()) as object;
    const cc = toBase64Url(new Uint8Array(32));
    const changed = toBase64Url(utf8(JSON.stringify({ ...header, cc })));
    deliver(id, alice, JSON.stringify({ ...box, protected: changed }));
    await expectRefused('COMMITMENT_MISMATCH');
  });

  it('is found out when a sender gives two recipients two content keys', async () => {
    // Content that opens under both, as two different ones, can be made; the commitment is what it fails at.
    const { app } = alice.device;
    const [one, other] = [randomBytes(32), randomBytes(32)];
    const cc = toBase64Url(hmacSha256(other, utf8('ks/v1/cek-commit')));
    const header = { enc: 'A256GCM', typ: 'ks-env+jwe', cty: SHARE_TYPE, cc };
    const sealedTo = async (person: Victim, cek: Uint8Array) => {
      const { uid, publicJwk, version: ver } = await contact(person);
      const { kid } = publicJwk;
      const place = [app.server.realm, app.clientId, uid, kid, ver, ''];
      const extraInfo = utf8(['keyservice/v1/env', ...place].join('\n'));
      const { ek, encryptedKey } = await sealContentKey(cek, { publicJwk, extraInfo });
      return { header: { alg: 'HPKE-4-KE', kid, ek, ver }, encrypted_key: encryptedKey };
    };
    const recipients = [await sealedTo(bob, one), await sealedTo(mallory, other)];
    const to = recipients.map((recipient) => recipient.header.kid).sort();
    const statement = utf8(await sign(alice, { to }));
    const content = await sealContent(one, toBase64Url(utf8(JSON.stringify(header))), statement);
    deliver(ID, alice, JSON.stringify({ ...content, recipients }));
    await expectRefused('COMMITMENT_MISMATCH');
  });

  it.each([
    ['app', { clientId: 'another-app' }],
    ['realm', { realm: 'AAAAAAAAAAAAAAAAAAAAAA' }],
    ['user', { uid: '0'.repeat(32) }],
  ])('is found out when an envelope was sealed for another %s', async (_, change) => {
    const { app } = alice.device;
    const { uid, publicJwk, version } = await contact(bob);
    const context = { uid, clientId: app.clientId, realm: app.server.realm, ...change };
    const box = await sealEnvelope({
      plaintext: utf8(await sign(alice)),
      recipients: [{ uid: context.uid, publicJwk, keyListVersion: version }],
      ...{ realm: context.realm, clientId: context.clientId, cty: SHARE_TYPE },
    });
    deliver(ID, alice, box);
    await expectRefused('ENVELOPE_FORGED');
  });

  it('is found out when an envelope was sealed for a key list that never was', async () => {
    const { app } = alice.device;
    const { uid, publicJwk } = await contact(bob);
    const box = await sealEnvelope({
      plaintext: utf8(await sign(alice)),
      recipients: [{ uid, publicJwk, keyListVersion: 2 }],
      ...{ realm: app.server.realm, clientId: app.clientId, cty: SHARE_TYPE },
    });
    deliver(ID, alice, box);
    await expectRefused('RECIPIENT_MISMATCH');
  });

  it('is found out when an envelope names one recipient twice', async () => {
    const box = JSON.parse(await sealForBob(await sign(alice))) as { recipients: object[] };
    const recipients = [...box.recipients, ...box.recipients];
    deliver(ID, alice, JSON.stringify({ ...box, recipients }));
    await expectRefused('ENVELOPE_FORGED');
  });

  it.each([
    ['of another version', { v: 2 }],
    ['with another algorithm', { alg: 'none' }],
    ['with extensions', { crit: ['exp'] }],
  ])('is found out when an envelope comes %s', async (_, change) => {
    const box = JSON.parse(await sealForBob(await sign(alice))) as { recipients: object[] };
    const recipients = box.recipients.map((recipient) => {
      const { header } = recipient as { header: object };
      return { ...recipient, header: { ...header, ...change } };
    });
    deliver(ID, alice, JSON.stringify({ ...box, recipients }));
    await expectRefused('ENVELOPE_FORGED');
  });

  it('is found out when it alters the content', async () => {
    const id = await share(bob);
    const box = JSON.parse(boxIn(await arrived(bob))) as { ciphertext: string };
    const ciphertext = `${box.ciphertext.startsWith('A') ? 'B' : 'A'}${box.ciphertext.slice(1)}`;
    deliver(id, alice, JSON.stringify({ ...box, ciphertext }));
    await expectRefused('ENVELOPE_FORGED');
  });

  it('is found out when it keeps a share back until it is too late', async () => {
    await share(bob);
    bob.ahead.ms = 31 * 86_400_000;
    await expectRefused('SHARE_EXPIRED');
  });

  it.each([
    ['has not begun', 3600, 7200],
    ['lives longer than any may', -60, 31 * 86_400],
    ['was made before all time', Number.MIN_SAFE_INTEGER, 3600],
  ])('is found out when a share %s', async (_, begins, ends) => {
    const now = bob.device.app.server.seconds();
    const iat = Math.max(now + begins, Number.MIN_SAFE_INTEGER);
    deliver(ID, alice, await sealForBob(await sign(alice, { iat, exp: now + ends })));
    await expectRefused('SHARE_EXPIRED');
  });

  it('is found out when it spoils what was accepted', async () => {
    await share(bob);
    const { items } = await bob.device.sharing.inbox();
    for (const item of items) await bob.device.sharing.accept(item);
    bob.liar.alter('GET', /\/storage\/shares$/, (answer) =>
      answer.map((bso: { id: string }) =>
        bso.id === items[0]?.id ? { ...bso, payload: '{}' } : bso,
      ),
    );
    const { shares, refused } = await bob.device.sharing.accepted();
    expect(shares.map(({ id }) => id)).not.toContain(items[0]?.id);
    expect(refused).toMatchObject([{ id: items[0]?.id, error: refusal('RECORD_FORGED') }]);
  });

  it('does not learn the length of a password from what is shared or accepted', async () => {
    const lengths = async (password: string) => {
      const body: ShareBody = { typ: 'item', title: 'Netflix', secret: { password } };
      await alice.device.sharing.share(body, [await contact(bob)]);
      const box = boxIn(await arrived(bob));
      const { items } = await bob.device.sharing.inbox();
      for (const item of items) await bob.device.sharing.accept(item);
      const { records } = await bob.device.storage.raw('shares');
      return [box.length, records.find(({ id }) => id === items[0]?.id)?.payload.length];
    };
    const short = await lengths('a');
    expect(await lengths('a longer one, of 30 characters')).toEqual(short);
  });

  it('cannot keep other shares from being read', async () => {
    const id = await share(bob);
    const good = await arrived(bob);
    bob.liar.alter('GET', INBOX, () => [{ id: ID, modified: 1, payload: 'nothing' }, good]);
    const { items, refused } = await bob.device.sharing.inbox();
    expect(items.map((item) => item.id)).toEqual([id]);
    expect(refused).toMatchObject([{ id: ID, error: refusal('ENVELOPE_FORGED') }]);
  });

  it('a co-recipient who takes its place in another inbox does not keep a share from arriving', async () => {
    const content = { title: 'Nothing' };
    alice.liar.before(new RegExp(`^/deposit/v1/${bob.device.app.uid}/`), async (url) => {
      const { http } = mallory.device.app.server;
      const json = { payload: JSON.stringify(content) };
      await mallory.device.app.tokens.bearing('share', { method: 'PUT', url, json }, (ask) =>
        http.run(ask),
      );
    });
    await share(mallory, bob);
    const { items, refused } = await bob.device.sharing.inbox();
    expect(items.map(({ body, from }) => [body, from.uid])).toEqual([
      [secret, alice.device.app.uid],
    ]);
    expect(refused).toHaveLength(1);
  });
});
