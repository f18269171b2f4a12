import {
  type EncryptionPrivateJwk,
  fromBase64Url,
  fromHex,
  fromUtf8,
  generateHybridKey,
  importPublicKey,
  publicHalf,
  randomBytes,
  thumbprint,
  toBase64Url,
  toHex,
  utf8,
} from '#lib/crypto';

import * as oracle from '@panva/hpke-noble';
import { CipherSuite } from 'hpke';
import type { X25519PrivateJwk, XWingPrivateJwk } from '../../libs/crypto/src/encryption-key.ts';
import {
  openContent,
  openContentKey,
  recipientStructure,
  sealContentKey,
} from '../../libs/crypto/src/jose-hpke.ts';
import { isXWingPublicKey, xWingKem, xWingPublicKey } from '../../libs/crypto/src/x-wing.ts';
import { describeVectors } from './vectors.ts';

interface Flattened {
  protected: string;
  aad?: string | undefined;
  iv: string;
  ciphertext: string;
  tag: string;
  encrypted_key: string;
}

interface Vector {
  alg: string;
  jwk: X25519PrivateJwk;
  flattened: Flattened;
  compact: string;
}

/** The functions are those `openEnvelope` uses; only the wrapping around them differs. */
async function open(jwe: Flattened, jwk: EncryptionPrivateJwk, extraInfo: Uint8Array) {
  const header = JSON.parse(fromUtf8(fromBase64Url(jwe.protected))) as { alg: string; ek: string };
  expect(header.alg).toBe(jwk.alg);
  const encrypted = { ek: header.ek, encryptedKey: jwe.encrypted_key };
  const cek = await openContentKey(encrypted, { privateJwk: jwk, extraInfo });
  return fromUtf8(await openContent(cek, jwe));
}

const fromCompact = (compact: string): Flattened => {
  const [header = '', encrypted_key = '', iv = '', ciphertext = '', tag = ''] = compact.split('.');
  return { protected: header, encrypted_key, iv, ciphertext, tag };
};

describeVectors('jose-hpke', 'HPKE-4-KE of draft-ietf-jose-hpke-encrypt', (vectors) => {
  const all = vectors.json('jose-vectors.json') as Vector[];
  const mine = all.filter(({ alg }) => alg === 'HPKE-4-KE');
  const none = new Uint8Array();

  it('is among the vectors', () => {
    expect(mine).toHaveLength(1);
  });

  it.each(mine)(
    'opens in both forms, from the list and from its own file',
    async ({ jwk, ...vector }) => {
      const flattened = vectors.json('HPKE-4-KE-flattened.json') as Flattened;
      const compact = fromCompact(vectors.text('HPKE-4-KE-compact.txt'));
      const opened = [
        await open(vector.flattened, jwk, none),
        await open(fromCompact(vector.compact), jwk, none),
        await open(flattened, jwk, none),
        await open(compact, jwk, none),
      ];
      expect(new Set(opened).size).toBe(1);
      expect(opened[0]).toMatch(/\w{3,}/);
      expect(thumbprint(jwk)).toBe(jwk.kid);
    },
  );

  it.each(mine)('does not open in another context or when changed', async ({ jwk, flattened }) => {
    await expect(open(flattened, jwk, utf8('x'))).rejects.toThrow();
    await expect(open({ ...flattened, aad: 'AAAA' }, jwk, none)).rejects.toThrow();
    await expect(open({ ...flattened, aad: undefined }, jwk, none)).rejects.toThrow();
    const flipped = `${flattened.encrypted_key.startsWith('A') ? 'B' : 'A'}${flattened.encrypted_key.slice(1)}`;
    await expect(open({ ...flattened, encrypted_key: flipped }, jwk, none)).rejects.toThrow();
  });

  it("builds the draft's Recipient_structure", () => {
    expect(toHex(recipientStructure(utf8('x')))).toBe(
      '4a4f53452d48504b452072637074ff4132353647434dff78',
    );
  });
});

describeVectors('jose-hpke-pq', 'HPKE-11-KE of draft-skokan-jose-hpke-pq-pqt', (vectors) => {
  const none = new Uint8Array();
  const jwk = { ...(vectors.json('jwks_HPKE-11-KE.json') as XWingPrivateJwk), use: 'enc' as const };
  const flattened = vectors.json('jwe_HPKE-11-KE-flattened.json') as Flattened;

  it('opens in both forms, and names its key', async () => {
    const opened = await open(flattened, jwk, none);
    expect(opened).toMatch(/\w{3,}/);
    expect(await open(fromCompact(vectors.text('jwe_HPKE-11-KE-compact.txt')), jwk, none)).toBe(
      opened,
    );
    expect(importPublicKey(publicHalf(jwk)).kid).toBe(jwk.kid);
  });

  it('does not open in another context or when changed', async () => {
    await expect(open(flattened, jwk, utf8('x'))).rejects.toThrow();
    await expect(open({ ...flattened, aad: 'AAAA' }, jwk, none)).rejects.toThrow();
    const { privateJwk } = generateHybridKey();
    await expect(open(flattened, privateJwk, none)).rejects.toThrow();
  });
});

interface XWingVector {
  seed: string;
  eseed: string;
  ss: string;
  sk: string;
  pk: string;
  ct: string;
}

describeVectors('xwing', 'X-Wing of draft-connolly-cfrg-xwing-kem', (vectors) => {
  const all = vectors.json('test-vectors.json') as XWingVector[];

  it.each(all)('makes the same key and opens the same secret', async ({ sk, pk, ct, ss }) => {
    expect(toHex(xWingPublicKey(fromHex(sk)))).toBe(pk);
    expect(isXWingPublicKey(fromHex(pk))).toBe(true);
    const kem = xWingKem();
    const key = await kem.DeserializePrivateKey(fromHex(sk), true);
    expect(toHex(await kem.Decap(fromHex(ct), key, undefined))).toBe(ss);
  });
});

describe('HPKE-11, against another implementation', () => {
  const theirs = new CipherSuite(
    oracle.KEM_MLKEM768_X25519,
    oracle.KDF_SHAKE256,
    oracle.AEAD_ChaCha20Poly1305,
  );
  const info = utf8('the same context');

  it('opens what the other sealed, and the other way round', async () => {
    for (let i = 0; i < 10; i++) {
      const { publicJwk, privateJwk } = generateHybridKey();
      const cek = randomBytes(32);
      const ours = await sealContentKey(cek, { publicJwk, extraInfo: info });
      const key = await theirs.DeserializePrivateKey(fromBase64Url(privateJwk.priv));
      const context = { info: recipientStructure(info) };
      const [ek, sealed] = [fromBase64Url(ours.ek), fromBase64Url(ours.encryptedKey)];
      expect(await theirs.Open(key, ek, sealed, context)).toEqual(cek);

      const to = await theirs.DeserializePublicKey(fromBase64Url(publicJwk.pub));
      const other = await theirs.Seal(to, cek, context);
      const encrypted = {
        ek: toBase64Url(other.encapsulatedSecret),
        encryptedKey: toBase64Url(other.ciphertext),
      };
      expect(await openContentKey(encrypted, { privateJwk, extraInfo: info })).toEqual(cek);
    }
  });
});
