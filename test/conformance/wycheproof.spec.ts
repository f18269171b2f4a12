import {
  CryptoRefusal,
  fromHex,
  hkdf,
  importPublicKey,
  openRecoveryData,
  readRecipients,
  thumbprint,
  toHex,
  unwrapPrivateKey,
  webCryptoAead,
} from '#lib/crypto';

import type { X25519PublicJwk } from '../../libs/crypto/src/encryption-key.ts';
import { verifyBytes, type IdentityJwk } from '../../libs/crypto/src/identity.ts';
import { openContentKey, sealContentKey } from '../../libs/crypto/src/jose-hpke.ts';
import { isUsablePoint } from '../../libs/crypto/src/x25519-point.ts';
import { describeVectors } from './vectors.ts';

interface Test {
  tcId: number;
  comment: string;
  flags: string[];
  result: 'valid' | 'invalid' | 'acceptable';
}

interface File<G> {
  testGroups: G[];
}

type HkdfGroup = {
  tests: (Test & { ikm: string; salt: string; info: string; size: number; okm: string })[];
};
type GcmGroup = {
  keySize: number;
  ivSize: number;
  tests: (Test & Record<'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag', string>)[];
};
type EdGroup = { publicKeyJwk: IdentityJwk; tests: (Test & { msg: string; sig: string })[] };
type X25519Group = {
  tests: (Test & { public: Record<string, string>; private: Record<'x' | 'd', string> })[];
};

type RawGroup = { tests: (Test & { public: string })[] };
type KeySetGroup = { private: { keys?: object[] } };
type JweGroup = { private: { k?: string; kid?: string }; tests: (Test & { jwe: unknown })[] };

/** Whether this is not the one spelling of a u-coordinate: little-endian, below 2^255 - 19. */
const isAbovePrime = (hex: string) =>
  BigInt(`0x${toHex(fromHex(hex).toReversed())}`) >= 2n ** 255n - 19n;

/** A key of X25519, whatever its bytes. */
const x25519 = (x: string): X25519PublicJwk => ({
  ...{ kty: 'OKP', crv: 'X25519', x, alg: 'HPKE-4-KE', use: 'enc' },
  kid: thumbprint({ kty: 'OKP', crv: 'X25519', x }),
});

describeVectors('wycheproof', 'Wycheproof', (vectors) => {
  it('hkdf_sha256: agrees on every output, and refuses every invalid length', () => {
    const { testGroups } = vectors.json('hkdf_sha256_test.json') as File<HkdfGroup>;
    for (const test of testGroups.flatMap(({ tests }) => tests)) {
      const derive = () =>
        toHex(hkdf(fromHex(test.ikm), fromHex(test.salt), fromHex(test.info), test.size));
      if (test.result === 'valid')
        expect({ id: test.tcId, okm: derive() }).toEqual({ id: test.tcId, okm: test.okm });
      else expect(derive).toThrow(RangeError);
    }
  });

  it('aes_gcm: seals to the known bytes, and refuses every forged tag', async () => {
    const { testGroups } = vectors.json('aes_gcm_test.json') as File<GcmGroup>;
    let [valid, invalid] = [0, 0];
    for (const { keySize, ivSize, tests } of testGroups) {
      if (keySize !== 256 || ivSize !== 96) continue; // the only sizes in use here
      for (const test of tests) {
        const [key, iv, aad] = [fromHex(test.key), fromHex(test.iv), fromHex(test.aad)];
        const sealed = fromHex(test.ct + test.tag);
        const opening = Promise.resolve(webCryptoAead.open(key, iv, aad, sealed));
        if (test.result === 'valid') {
          valid++;
          expect(toHex(await opening)).toBe(test.msg);
          expect(toHex(await webCryptoAead.seal(key, iv, aad, fromHex(test.msg)))).toBe(
            toHex(sealed),
          );
        } else {
          invalid++;
          await expect(opening).rejects.toThrow();
        }
      }
    }
    expect({ valid, invalid }).toEqual({ valid: expect.any(Number), invalid: expect.any(Number) });
    expect(Math.min(valid, invalid)).toBeGreaterThan(20);
  });

  it('ed25519: accepts and refuses exactly the signatures it should', async () => {
    const { testGroups } = vectors.json('ed25519_test.json') as File<EdGroup>;
    const wrong: number[] = [];
    for (const { publicKeyJwk, tests } of testGroups) {
      for (const { tcId, msg, sig, result } of tests) {
        const accepted = await verifyBytes(publicKeyJwk, fromHex(msg), fromHex(sig));
        if (accepted !== (result === 'valid')) wrong.push(tcId);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('x25519_jwk: imports every sound key, and no invalid, low-order or non-canonical one', () => {
    const { testGroups } = vectors.json('x25519_jwk_test.json') as File<X25519Group>;
    const wrong: string[] = [];
    for (const test of testGroups.flatMap(({ tests }) => tests)) {
      const { x = '' } = test.public;
      const kid = thumbprint({ kty: 'OKP', crv: 'X25519', x });
      const weak = ['ZeroSharedSecret', 'NonCanonicalPublic'].some((flag) =>
        test.flags.includes(flag),
      );
      let accepted = true;
      try {
        importPublicKey({ ...test.public, alg: 'HPKE-4-KE', use: 'enc', kid });
      } catch {
        accepted = false;
      }
      if (accepted !== (test.result !== 'invalid' && !weak))
        wrong.push(`${test.tcId} ${test.comment}`);
    }
    expect(wrong).toEqual([]);
  });

  it('x25519_jwk: HPKE opens to every sound pair what was sealed to it', async () => {
    const { testGroups } = vectors.json('x25519_jwk_test.json') as File<X25519Group>;
    const cek = new Uint8Array(32).fill(1);
    const extraInfo = new Uint8Array();
    const pairs = testGroups
      .flatMap(({ tests }) => tests)
      .filter(({ private: { d } }) => d.length === 43);
    for (const { private: pair } of pairs.slice(0, 60)) {
      const publicJwk = x25519(pair.x);
      const sealed = await sealContentKey(cek, { publicJwk, extraInfo });
      const privateJwk = { ...publicJwk, d: pair.d };
      expect(await openContentKey(sealed, { privateJwk, extraInfo })).toEqual(cek);
    }
  });

  it('x25519: no public key of low order or in a second spelling is imported, in raw bytes', () => {
    const { testGroups } = vectors.json('x25519_test.json') as File<RawGroup>;
    const weak = ['LowOrderPublic', 'ZeroSharedSecret', 'NonCanonicalPublic'];
    const wrong: string[] = [];
    for (const { tcId, public: hex, flags } of testGroups.flatMap(({ tests }) => tests)) {
      const isWeak = flags.some((flag) => weak.includes(flag)) || isAbovePrime(hex);
      if (isUsablePoint(fromHex(hex)) === isWeak) wrong.push(`${tcId} ${flags.join()}`);
    }
    expect(wrong).toEqual([]);
  });

  it('json_web_key: no key of these sets is imported as a public encryption key', () => {
    const { testGroups } = vectors.json('json_web_key_test.json') as File<KeySetGroup>;
    let count = 0;
    for (const { private: set } of testGroups) {
      for (const jwk of set.keys ?? [set]) {
        count++;
        expect(() => importPublicKey(jwk)).toThrow(CryptoRefusal);
      }
    }
    expect(count).toBeGreaterThan(20);
  });

  it('json_web_encryption: nothing of it opens as anything of ours, under its own key', async () => {
    const { testGroups } = vectors.json('json_web_encryption_test.json') as File<JweGroup>;
    const context = { realm: 'r', uid: 'u', clientId: 'c', kid: 'k', version: 1 };
    let count = 0;
    for (const { private: jwk, tests } of testGroups) {
      const bytes = Buffer.from(jwk.k ?? '', 'base64url');
      const k = new Uint8Array(32);
      k.set(bytes.subarray(0, 32));
      for (const { jwe } of tests) {
        count++;
        const [header = '', , iv = '', ciphertext = '', tag = ''] = String(jwe).split('.');
        const flattened = JSON.stringify({ protected: header, iv, ciphertext, tag });
        const kBr = { kid: jwk.kid ?? '', k };
        await expect(unwrapPrivateKey(flattened, kBr, context)).rejects.toThrow(CryptoRefusal);
        await expect(unwrapPrivateKey(String(jwe), kBr, context)).rejects.toThrow(CryptoRefusal);
        expect(() => readRecipients(String(jwe))).toThrow(CryptoRefusal);
        const of = { key: k.subarray(0, 20), uid: k.subarray(0, 16) };
        await expect(openRecoveryData(of, String(jwe))).rejects.toThrow(CryptoRefusal);
      }
    }
    expect(count).toBeGreaterThan(100);
  });
});
