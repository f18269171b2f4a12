import { concat, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './encoding.ts';
import { generateEncryptionKey, generateHybridKey } from './encryption-key.ts';
import { openEnvelope, readRecipients, sealEnvelope, type EnvelopeReader } from './envelope.ts';
import { hmacSha256 } from './hmac.ts';
import { sealContent, sealContentKey } from './jose-hpke.ts';

const place = { realm: 'r3alm', clientId: 'abc' };
const refusedWith = (code: string) => expect.objectContaining({ code }) as Error;
const forged = refusedWith('envelope-forged');

interface Parts {
  [member: string]: unknown;
  protected: string;
  recipients: { header: Record<string, unknown>; encrypted_key: string }[];
}

async function person(uid: string, keyListVersion = 1) {
  const { publicJwk, privateJwk } = await generateEncryptionKey();
  const reader: EnvelopeReader = { ...place, privateJwk, uid, keyListVersion };
  return { recipient: { uid, publicJwk, keyListVersion }, reader };
}

async function sealed() {
  const [alice, bob] = [await person('alice', 1), await person('bob', 7)];
  const recipients = [alice.recipient, bob.recipient];
  const jwe = await sealEnvelope({ ...place, plaintext: utf8('hello'), recipients, cty: 'text' });
  return { alice, bob, jwe, parts: JSON.parse(jwe) as Parts };
}

const header = (parts: Parts) =>
  JSON.parse(Buffer.from(parts.protected, 'base64url').toString()) as Record<string, unknown>;

describe('An envelope', () => {
  it('opens for each of its recipients', async () => {
    const { alice, bob, jwe } = await sealed();
    expect(fromUtf8(await openEnvelope(jwe, alice.reader))).toBe('hello');
    expect(fromUtf8(await openEnvelope(jwe, bob.reader))).toBe('hello');
    expect(readRecipients(jwe)).toEqual([
      { kid: alice.recipient.publicJwk.kid, keyListVersion: 1 },
      { kid: bob.recipient.publicJwk.kid, keyListVersion: 7 },
    ]);
  });

  it('has the members of the specification and nothing of its sender', async () => {
    const { parts } = await sealed();
    expect(header(parts)).toEqual({
      ...{ enc: 'A256GCM', typ: 'ks-env+jwe', cty: 'text' },
      cc: expect.stringMatching(/^[\w-]{43}$/) as string,
    });
    expect(Object.keys(parts).sort()).toEqual(
      ['ciphertext', 'iv', 'protected', 'recipients', 'tag'].sort(),
    );
    expect(parts.recipients[1]?.header).toMatchObject({ alg: 'HPKE-4-KE', ver: 7 });
  });

  it('is refused by somebody else', async () => {
    const { jwe } = await sealed();
    const eve = await person('eve');
    await expect(openEnvelope(jwe, eve.reader)).rejects.toThrow(refusedWith('not-a-recipient'));
  });

  it.each([{ realm: 'other' }, { clientId: 'abd' }, { uid: 'bob' }, { keyListVersion: 2 }])(
    'is refused in another context: %j',
    async (change) => {
      const { alice, jwe } = await sealed();
      await expect(openEnvelope(jwe, { ...alice.reader, ...change })).rejects.toThrow(forged);
    },
  );

  it('is refused when any content byte, header or key is changed', async () => {
    const { alice, bob, parts } = await sealed();
    const flip = (text: string) => (text.startsWith('A') ? 'B' : 'A') + text.slice(1);
    const [mine, his] = parts.recipients;
    const withMine = (change: object, members: object = {}) => ({
      ...parts,
      recipients: [{ ...mine, header: { ...mine?.header, ...change }, ...members }, his],
    });
    const withHeader = (change: object) => ({
      ...parts,
      protected: toBase64Url(utf8(JSON.stringify({ ...header(parts), ...change }))),
    });
    const [ciphertext, tag] = [parts['ciphertext'], parts['tag']].map((text) =>
      fromBase64Url(String(text)),
    ) as [Uint8Array, Uint8Array];
    const shifted = {
      ciphertext: toBase64Url(ciphertext.subarray(0, -1)),
      tag: toBase64Url(concat(ciphertext.subarray(-1), tag)),
    };
    const variants = [
      { ...parts, ...shifted },
      { ...parts, iv: flip(String(parts['iv'])) },
      { ...parts, iv: 'AAAA' },
      { ...parts, tag: flip(String(parts['tag'])) },
      { ...parts, tag: '' },
      { ...parts, ciphertext: flip(String(parts['ciphertext'])) },
      { ...parts, ciphertext: undefined },
      { ...parts, iv: undefined },
      { ...parts, recipients: undefined },
      { ...parts, aad: 'AAAA' },
      { ...parts, unprotected: {} },
      withHeader({ cty: 'other' }),
      withHeader({ typ: 'ks-wrap+jwe' }),
      withHeader({ enc: 'A128GCM' }),
      withHeader({ zip: 'DEF' }),
      withHeader({ crit: ['x'] }),
      withHeader({ cc: undefined }),
      withHeader({ cty: 7 }),
      withMine({ ek: flip(String(mine?.header['ek'])) }),
      withMine({ ek: his?.header['ek'] }),
      withMine({ ek: 'AAAA' }),
      withMine({ alg: 'HPKE-3-KE' }),
      withMine({ ver: 'x' }),
      withMine({ psk_id: 'AA' }),
      withMine({}, { encrypted_key: his?.encrypted_key }),
      withMine({}, { encrypted_key: undefined }),
      { ...parts, recipients: [mine, mine] },
      { ...parts, recipients: [mine, null] },
    ];
    for (const variant of variants) {
      await expect(openEnvelope(JSON.stringify(variant), alice.reader)).rejects.toThrow(forged);
    }
    for (const text of ['', '[]', 'null', '{}']) {
      await expect(openEnvelope(text, bob.reader)).rejects.toThrow(forged);
      expect(() => readRecipients(text)).toThrow(forged);
    }
  });

  it('is refused when its sender committed to another content key, or asked for extensions', async () => {
    const { alice, parts } = await sealed();
    const { publicJwk } = alice.recipient;
    const { kid } = publicJwk;
    const extraInfo = utf8(`keyservice/v1/env\nr3alm\nabc\nalice\n${kid}\n1\n`);
    const cek = new Uint8Array(32).fill(9);
    const cc = hmacSha256(cek, utf8('ks/v1/cek-commit'));
    const seal = async (commitment: Uint8Array, members: object = {}) => {
      const { ek, encryptedKey } = await sealContentKey(cek, { publicJwk, extraInfo });
      const protectedHeader = { ...header(parts), cc: toBase64Url(commitment), ...members };
      const content = await sealContent(
        cek,
        toBase64Url(utf8(JSON.stringify(protectedHeader))),
        utf8('other'),
      );
      const entry = { header: { alg: 'HPKE-4-KE', kid, ek, ver: 1 }, encrypted_key: encryptedKey };
      return JSON.stringify({ ...content, recipients: [entry] });
    };
    const honest = await seal(cc);
    expect(fromUtf8(await openEnvelope(honest, alice.reader))).toBe('other');
    for (const members of [{ zip: 'DEF' }, { crit: ['x'], x: 1 }, { typ: 'x' }, { enc: 'x' }]) {
      await expect(openEnvelope(await seal(cc, members), alice.reader)).rejects.toThrow(forged);
    }
    const lie = await seal(new Uint8Array(32));
    await expect(openEnvelope(lie, alice.reader)).rejects.toThrow(
      refusedWith('commitment-mismatch'),
    );
  });

  it('is not sealed to nobody, to one key twice, or to an invalid key', async () => {
    const { recipient } = await person('alice');
    const seal = (recipients: (typeof recipient)[], change: object = {}) =>
      sealEnvelope({ ...place, plaintext: utf8(''), recipients, ...change });
    await expect(seal([])).rejects.toThrow(RangeError);
    await expect(seal([recipient, recipient])).rejects.toThrow(RangeError);
    await expect(seal([{ ...recipient, uid: 'a\nb' }])).rejects.toThrow(RangeError);
    await expect(seal([recipient], { realm: 'a\nb' })).rejects.toThrow(RangeError);
    const publicJwk = { ...recipient.publicJwk, x: toBase64Url(new Uint8Array(32)) };
    await expect(seal([{ ...recipient, publicJwk }])).rejects.toThrow(refusedWith('key-invalid'));
  });
});

describe('An envelope to hybrid keys', () => {
  function hybrid(uid: string) {
    const { publicJwk, privateJwk } = generateHybridKey();
    const reader: EnvelopeReader = { ...place, privateJwk, uid, keyListVersion: 1 };
    return { recipient: { uid, publicJwk, keyListVersion: 1 }, reader };
  }

  it('opens for each of its recipients, and names the algorithm', async () => {
    const [alice, bob] = [hybrid('alice'), hybrid('bob')];
    const recipients = [alice.recipient, bob.recipient];
    const jwe = await sealEnvelope({ ...place, plaintext: utf8('hello'), recipients });
    for (const { reader } of [alice, bob]) {
      expect(fromUtf8(await openEnvelope(jwe, reader))).toBe('hello');
    }
    const { header } = (JSON.parse(jwe) as Parts).recipients[0] ?? {};
    expect(header).toMatchObject({
      alg: 'HPKE-11-KE',
      ek: expect.stringMatching(/^.{1494}$/) as string,
    });
  });

  it('is not made for two algorithms, nor opened when it claims another', async () => {
    const [alice, bob] = [hybrid('alice'), await person('bob')];
    const recipients = [alice.recipient, bob.recipient];
    const input = { ...place, plaintext: utf8('hello'), recipients };
    await expect(sealEnvelope(input)).rejects.toThrow(RangeError);
    const jwe = await sealEnvelope({ ...input, recipients: [alice.recipient] });
    const parts = JSON.parse(jwe) as Parts;
    const [first] = parts.recipients;
    const relabelled = { ...first, header: { ...first?.header, alg: 'HPKE-4-KE' } };
    const foreign = { ...first, header: { ...first?.header, alg: 'HPKE-4-KE', kid: 'other' } };
    for (const list of [[relabelled], [first, foreign]]) {
      const text = JSON.stringify({ ...parts, recipients: list });
      await expect(openEnvelope(text, alice.reader)).rejects.toThrow(forged);
    }
  });
});
