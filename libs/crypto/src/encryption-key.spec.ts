import { diffieHellman, createPrivateKey, createPublicKey } from 'node:crypto';

import { fromBase64Url, fromHex, toBase64Url } from './encoding.ts';
import {
  generateEncryptionKey,
  generateHybridKey,
  importPrivateKey,
  importPublicKey,
  publicHalf,
} from './encryption-key.ts';
import { thumbprint } from './thumbprint.ts';

const invalid = expect.objectContaining({ code: 'key-invalid' }) as Error;

const named = (x: string) => ({
  ...{ kty: 'OKP', crv: 'X25519', x, alg: 'HPKE-4-KE', use: 'enc' },
  kid: thumbprint({ kty: 'OKP', crv: 'X25519', x }),
});

describe('An encryption key', () => {
  it('is a pair that Node can use', async () => {
    const [mine, theirs] = [await generateEncryptionKey(), await generateEncryptionKey()];
    const secret = (a: typeof mine, b: typeof mine) =>
      diffieHellman({
        privateKey: createPrivateKey({ key: { ...a.privateJwk }, format: 'jwk' }),
        publicKey: createPublicKey({ key: { ...b.publicJwk }, format: 'jwk' }),
      });
    expect(secret(mine, theirs)).toEqual(secret(theirs, mine));
    expect(importPublicKey({ ...mine.publicJwk, st: 'active', wsha: 'x' })).toEqual(mine.publicJwk);
    expect(importPrivateKey(mine.privateJwk)).toEqual(mine.privateJwk);
    expect(mine.publicJwk.kid).not.toBe(theirs.publicJwk.kid);
  });

  it('is refused when published with a private part', async () => {
    const { privateJwk } = await generateEncryptionKey();
    expect(() => importPublicKey(privateJwk)).toThrow(invalid);
  });

  it.each([
    { kty: 'EC' },
    { crv: 'Ed25519' },
    { alg: 'HPKE-3-KE' },
    { alg: 'ECDH-ES' },
    { alg: undefined },
    { use: 'sig' },
    { use: undefined },
    { kid: 'other' },
    { kid: undefined },
    { x: 7 },
    { x: undefined },
    { x: 'AAAA' },
    { x: '*' },
    { d: undefined },
  ])('is refused with %j', async (wrong) => {
    const { publicJwk } = await generateEncryptionKey();
    expect(() => importPublicKey({ ...publicJwk, ...wrong })).toThrow(invalid);
  });

  it('is refused when it is no JWK at all', () => {
    for (const value of [null, undefined, 'x', [], 1]) {
      expect(() => importPublicKey(value)).toThrow(invalid);
      expect(() => importPrivateKey(value)).toThrow(invalid);
    }
  });

  it.each([
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ])('of low order is refused: %s', (hex) => {
    expect(() => importPublicKey(named(toBase64Url(fromHex(hex))))).toThrow(invalid);
  });

  it('is refused in a second spelling: above the prime, with the top bit, or another base64url', async () => {
    const { publicJwk } = await generateEncryptionKey();
    const bytes = fromBase64Url(publicJwk.x);
    const topBit = bytes.map((byte, i) => (i === 31 ? byte | 128 : byte));
    const abovePrime = fromHex(`f6${'ff'.repeat(30)}7f`); // 9, the base point, plus p
    expect(() => importPublicKey(named(toBase64Url(topBit)))).toThrow(invalid);
    expect(() => importPublicKey(named(toBase64Url(abovePrime)))).toThrow(invalid);
    expect(() => importPublicKey(named(`${publicJwk.x}=`))).toThrow(invalid);
    const last = publicJwk.x.charCodeAt(42);
    const respelled = publicJwk.x.slice(0, 42) + String.fromCharCode(last + 1);
    expect(() => importPublicKey(named(respelled))).toThrow(invalid);
  });

  it('is refused when its halves do not belong together', async () => {
    const [mine, theirs] = [await generateEncryptionKey(), await generateEncryptionKey()];
    const { d } = theirs.privateJwk;
    expect(() => importPrivateKey({ ...mine.privateJwk, d })).toThrow(invalid);
    expect(() => importPrivateKey({ ...mine.privateJwk, d: 'AA' })).toThrow(invalid);
    expect(() => importPrivateKey(mine.publicJwk)).toThrow(invalid);
  });
});

describe('A hybrid key', () => {
  const { publicJwk, privateJwk } = generateHybridKey();
  const bytes = fromBase64Url(publicJwk.pub);
  const renamed = (pub: string) => ({
    ...{ ...publicJwk, pub },
    kid: thumbprint({ kty: 'AKP', alg: 'HPKE-11-KE', pub }),
  });

  it('comes back as it went, its halves belong together', () => {
    expect(bytes).toHaveLength(1216);
    expect(importPublicKey({ ...publicJwk, st: 'active' })).toEqual(publicJwk);
    expect(importPrivateKey(privateJwk)).toEqual(privateJwk);
    expect(publicHalf(privateJwk)).toEqual(publicJwk);
    const other = generateHybridKey().privateJwk.priv;
    for (const priv of [other, 'AA', undefined]) {
      expect(() => importPrivateKey({ ...privateJwk, priv })).toThrow(invalid);
    }
  });

  it('is refused with a private part, another purpose or another name', () => {
    expect(() => importPublicKey(privateJwk)).toThrow(invalid);
    for (const change of [
      { alg: 'HPKE-10-KE' },
      { alg: 'HPKE-4-KE' },
      { use: 'sig' },
      { kid: '' },
    ]) {
      expect(() => importPublicKey({ ...publicJwk, ...change })).toThrow(invalid);
    }
  });

  it('is refused when it is too short or too long, or a coefficient is not below q', () => {
    const long = new Uint8Array(1217);
    const [low, high] = [bytes.slice(), bytes.slice()];
    low.set([0x01, 0x0d], 0); // 3329 in the lower of two coefficients, with 4 bits of the next
    high.set([0x0f, 0xff], 1150);
    for (const wrong of [bytes.subarray(1), long, low, high]) {
      expect(() => importPublicKey(renamed(toBase64Url(wrong)))).toThrow(invalid);
    }
  });

  it('is refused when its X25519 half has low order', () => {
    const weak = bytes.slice();
    weak.fill(0, 1184);
    expect(() => importPublicKey(renamed(toBase64Url(weak)))).toThrow(invalid);
  });
});

describe('A public key', () => {
  it.each(['d', 'priv', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'])(
    'is refused when it carries %s, the private part of some kind of key',
    async (member) => {
      const { publicJwk } = await generateEncryptionKey();
      expect(() => importPublicKey({ ...publicJwk, [member]: 'AA' })).toThrow(invalid);
    },
  );
});
