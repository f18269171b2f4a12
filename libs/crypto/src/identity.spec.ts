import { createPrivateKey, createPublicKey, verify } from 'node:crypto';

import { CompactSign, exportJWK, generateKeyPair } from 'jose';

import { fromHex, toBase64Url, utf8 } from './encoding.ts';
import { deriveIdentity, readSigner, verifySigned, type IdentityJwk } from './identity.ts';
import { deriveSubKey } from './sub-keys.ts';
import { thumbprint } from './thumbprint.ts';

const kBr = Uint8Array.from({ length: 32 }, (_, i) => i);
const forged = expect.objectContaining({ code: 'signature-invalid' }) as Error;
const part = (value: unknown) => toBase64Url(utf8(JSON.stringify(value)));

describe('The identity', () => {
  it('is the Ed25519 key of the derived seed', async () => {
    const { publicJwk, kid } = await deriveIdentity(kBr);
    const pkcs8 = Buffer.concat([
      fromHex('302e020100300506032b657004220420'),
      deriveSubKey(kBr, 'identity'),
    ]);
    const key = createPublicKey(createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' }));
    expect(publicJwk).toEqual(key.export({ format: 'jwk' }));
    expect(kid).toBe(thumbprint(publicJwk));
    expect((await deriveIdentity(kBr)).publicJwk).toEqual(publicJwk);
    await expect(deriveIdentity(kBr.subarray(1))).rejects.toThrow('32');
  });

  it('has the thumbprint of RFC 8037, appendix A.3', () => {
    const x = '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo';
    expect(thumbprint({ kty: 'OKP', crv: 'Ed25519', x })).toBe(
      'kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k',
    );
  });

  it('signs what Node verifies and its reader returns', async () => {
    const { publicJwk, kid, sign } = await deriveIdentity(kBr);
    const jws = await sign('ks-skl+jws', { v: 1, text: 'é' });
    const [header = '', payload = '', signature = ''] = jws.split('.');
    expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toEqual({
      ...{ alg: 'EdDSA', typ: 'ks-skl+jws', kid },
      jwk: publicJwk,
    });
    const key = createPublicKey({ key: { ...publicJwk }, format: 'jwk' });
    const bytes = Buffer.from(signature, 'base64url');
    expect(verify(null, Buffer.from(`${header}.${payload}`), key, bytes)).toBe(true);
    expect(await verifySigned(jws, publicJwk, 'ks-skl+jws')).toEqual({ v: 1, text: 'é' });
    expect(readSigner(jws)).toEqual({ jwk: publicJwk, kid });
  });

  it('verifies the example of RFC 8037, appendix A.4, when it has the asked-for type: it has none', async () => {
    const jws =
      'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg';
    const jwk = {
      kty: 'OKP',
      crv: 'Ed25519',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
    } as const;
    await expect(verifySigned(jws, jwk, 'x')).rejects.toThrow(forged);
  });
});

describe('A signed object', () => {
  const signed = async () => {
    const identity = await deriveIdentity(kBr);
    return { ...identity, jws: await identity.sign('a+jws', { v: 1 }) };
  };

  it('is refused under another key, even when its header names that signer', async () => {
    const { jws } = await signed();
    const other = await deriveIdentity(new Uint8Array(32));
    await expect(verifySigned(jws, other.publicJwk, 'a+jws')).rejects.toThrow(forged);
  });

  it('is refused under another type', async () => {
    const { jws, publicJwk } = await signed();
    await expect(verifySigned(jws, publicJwk, 'b+jws')).rejects.toThrow(forged);
    await expect(verifySigned(jws, publicJwk, 'A+jws')).rejects.toThrow(forged);
  });

  it('is refused when a part is changed, cut or spelled otherwise', async () => {
    const { jws, publicJwk } = await signed();
    const [header = '', payload = '', signature = ''] = jws.split('.');
    const last = signature.slice(0, -1);
    // 64 bytes leave four unused bits in the last character.
    const respelled = ['A', 'Q', 'g', 'w'].map((_, i) =>
      last.concat(String.fromCharCode(signature.charCodeAt(85) + i + 1)),
    );
    const variants = [
      `${header}.${part({ v: 2 })}.${signature}`,
      `${header}.${payload}.${last}`,
      `${header}.${payload}.`,
      `${header}.${payload}`,
      `${jws}.`,
      `${jws}=`,
      ` ${jws}`,
      ...respelled.map((text) => `${header}.${payload}.${text}`),
    ];
    for (const variant of variants) {
      await expect(verifySigned(variant, publicJwk, 'a+jws')).rejects.toThrow(forged);
    }
  });

  it.each([
    ['no algorithm', { alg: 'none' }],
    ['a MAC under the public key', { alg: 'HS256' }],
    ['another curve', { alg: 'ES256' }],
    ['an extension', { alg: 'EdDSA', crit: ['b64'], b64: true }],
    ['an unencoded payload', { alg: 'EdDSA', b64: true }],
    ['a type that is no text', { alg: 'EdDSA', typ: ['a+jws'] }],
  ])('is refused with %s in its signed header', async (_, members) => {
    const { publicJwk } = await signed();
    const seed = toBase64Url(deriveSubKey(kBr, 'identity'));
    const pair = { ...publicJwk, d: seed };
    const header = part({ typ: 'a+jws', ...members });
    const payload = part({ v: 1 });
    const privateKey = createPrivateKey({ key: pair, format: 'jwk' });
    const { sign } = await import('node:crypto');
    const make = (head: string) =>
      `${head}.${payload}.${sign(null, Buffer.from(`${head}.${payload}`), privateKey).toString('base64url')}`;
    // The same construction with an honest header passes, so the header alone is refused.
    const honest = make(part({ alg: 'EdDSA', typ: 'a+jws' }));
    expect(await verifySigned(honest, publicJwk, 'a+jws')).toEqual({ v: 1 });
    expect(
      await verifySigned(make(part({ alg: 'Ed25519', typ: 'a+jws' })), publicJwk, 'a+jws'),
    ).toEqual({ v: 1 });
    await expect(verifySigned(make(header), publicJwk, 'a+jws')).rejects.toThrow(forged);
  });

  it.each([
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff',
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f', // not canonical
  ])('names no signer %s', (hex) => {
    const x = toBase64Url(fromHex(hex));
    const jwk = { kty: 'OKP', crv: 'Ed25519', x } as const;
    const header = toBase64Url(utf8(JSON.stringify({ alg: 'EdDSA', kid: thumbprint(jwk), jwk })));
    expect(() => readSigner(`${header}.e30.AAAA`)).toThrow('does not verify');
  });

  it('is refused under a key of low order, which would accept one signature for many messages', async () => {
    const identityPoint = toBase64Url(Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0)));
    const weak: IdentityJwk = { kty: 'OKP', crv: 'Ed25519', x: identityPoint };
    const signature = toBase64Url(Uint8Array.from({ length: 64 }, (_, i) => (i === 0 ? 1 : 0)));
    const jws = `${part({ alg: 'EdDSA', typ: 'a+jws' })}.${part({ v: 1 })}.${signature}`;
    await expect(verifySigned(jws, weak, 'a+jws')).rejects.toThrow(forged);
  });

  it('names a signer only when its header is whole', async () => {
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { extractable: true });
    const jwk = (await exportJWK(publicKey)) as IdentityJwk;
    const kid = thumbprint(jwk);
    const sign = (header: object) =>
      new CompactSign(utf8('{}')).setProtectedHeader({ alg: 'EdDSA', ...header }).sign(privateKey);
    expect(readSigner(await sign({ jwk, kid }))).toEqual({ jwk, kid });
    const wrong = [
      { kid },
      { jwk },
      { jwk, kid: 'other' },
      { jwk: { ...jwk, crv: 'X25519' }, kid },
      { jwk: { ...jwk, d: jwk.x }, kid },
      { jwk: { ...jwk, x: jwk.x.slice(4) }, kid },
    ];
    for (const header of wrong) {
      const jws = await sign(header);
      expect(() => readSigner(jws)).toThrow(forged);
    }
    expect(() => readSigner('nonsense')).toThrow(forged);
    expect(() => readSigner('bnVsbA.e30.AA')).toThrow(forged);
  });
});
