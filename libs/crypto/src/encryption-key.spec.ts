import { diffieHellman, createPrivateKey, createPublicKey } from 'node:crypto';

import { fromBase64Url, fromHex, toBase64Url } from './encoding.ts';
import { generateEncryptionKey, importPrivateKey, importPublicKey } from './encryption-key.ts';
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
