import { FlattenedEncrypt } from 'jose';

import { toBase64Url, utf8 } from './encoding.ts';
import { generateEncryptionKey, privateBytes } from './encryption-key.ts';
import { deriveSubKey } from './sub-keys.ts';
import { unwrapPrivateKey, wrapPrivateKey } from './wrapped-key.ts';

const kBr = { kid: '1789990000-AAAAAAAAAAAAAAAAAAAAAA', k: new Uint8Array(32).fill(3) };
const place = {
  realm: 'r3alm',
  uid: 'aeaa1725c7a24ff983c6295725d5fc9b',
  clientId: 'abc',
  version: 3,
};
const failed = expect.objectContaining({ code: 'unwrap-failed' }) as Error;

async function wrapped() {
  const { privateJwk } = await generateEncryptionKey();
  const context = { ...place, kid: privateJwk.kid };
  return { privateJwk, context, jwe: await wrapPrivateKey({ privateJwk, kBr, context }) };
}

describe('A wrapped key', () => {
  it('opens in its place', async () => {
    const { privateJwk, context, jwe } = await wrapped();
    expect(await unwrapPrivateKey(jwe, kBr, context)).toEqual(privateJwk);
  });

  it('has the header and the bound context of the specification', async () => {
    const { context, jwe } = await wrapped();
    const { protected: header, aad, encrypted_key } = JSON.parse(jwe) as Record<string, string>;
    expect(JSON.parse(Buffer.from(header ?? '', 'base64url').toString())).toEqual({
      ...{ alg: 'dir', enc: 'A256GCM', kid: kBr.kid },
      ...{ typ: 'ks-wrap+jwe', cty: 'jwk+json' },
    });
    expect(encrypted_key).toBeUndefined();
    expect(Buffer.from(aad ?? '', 'base64url').toString()).toBe(
      `keyservice/v1/wrapped-key\nr3alm\n${place.uid}\nabc\n${context.kid}\n3\n${kBr.kid}\n`,
    );
  });

  it('opens nowhere else, whatever aad the server sends', async () => {
    const { context, jwe } = await wrapped();
    const elsewhere = [
      { realm: 'other' },
      { uid: '00' },
      { clientId: 'abd' },
      { kid: 'other' },
      { version: 4 },
    ];
    for (const change of elsewhere) {
      await expect(unwrapPrivateKey(jwe, kBr, { ...context, ...change })).rejects.toThrow(failed);
    }
    const lied = { ...(JSON.parse(jwe) as object), aad: 'AAAA' };
    expect(await unwrapPrivateKey(JSON.stringify(lied), kBr, context)).toBeDefined();
  });

  it('does not open under another kBr', async () => {
    const { context, jwe } = await wrapped();
    const other = { ...kBr, k: new Uint8Array(32).fill(4) };
    await expect(unwrapPrivateKey(jwe, other, context)).rejects.toThrow(failed);
    await expect(unwrapPrivateKey(jwe, { ...kBr, kid: '2-AA' }, context)).rejects.toThrow(failed);
  });

  it('does not open when a member is changed or missing', async () => {
    const { context, jwe } = await wrapped();
    const parts = JSON.parse(jwe) as Record<string, string>;
    for (const name of ['protected', 'iv', 'ciphertext', 'tag']) {
      const value = parts[name] ?? '';
      const changed = (value.startsWith('A') ? 'B' : 'A') + value.slice(1);
      for (const variant of [
        { ...parts, [name]: changed },
        { ...parts, [name]: undefined },
      ]) {
        const text = JSON.stringify(variant);
        await expect(unwrapPrivateKey(text, kBr, context)).rejects.toThrow(failed);
      }
    }
    for (const text of ['', 'null', '[]', '{}', '"x"']) {
      await expect(unwrapPrivateKey(text, kBr, context)).rejects.toThrow(failed);
    }
  });

  it('does not open to another type, another name for kBr, another key, or half a key', async () => {
    const { context, privateJwk } = await wrapped();
    const other = await generateEncryptionKey();
    const aad = utf8(
      [
        'keyservice/v1/wrapped-key',
        place.realm,
        place.uid,
        place.clientId,
        context.kid,
        3,
        kBr.kid,
        '',
      ].join('\n'),
    );
    const make = async (header: object, plaintext: unknown) =>
      JSON.stringify(
        await new FlattenedEncrypt(utf8(JSON.stringify(plaintext)))
          .setProtectedHeader({
            ...{ alg: 'dir', enc: 'A256GCM', kid: kBr.kid, typ: 'ks-wrap+jwe' },
            ...header,
          })
          .setAdditionalAuthenticatedData(aad)
          .encrypt(deriveSubKey(kBr.k, 'wrap')),
      );
    const honest = await make({}, privateJwk);
    expect(await unwrapPrivateKey(honest, kBr, context)).toEqual(privateJwk);
    const wrong = [
      await make({ typ: 'ks-env+jwe' }, privateJwk),
      await make({ zip: 'DEF' }, privateJwk),
      await make({ kid: '2-AA' }, privateJwk),
      await make({}, other.privateJwk),
      await make({}, { ...privateJwk, d: toBase64Url(privateBytes(other.privateJwk)) }),
      await make({}, { ...privateJwk, d: undefined }),
      await make({}, [privateJwk]),
    ];
    for (const jwe of wrong) {
      await expect(unwrapPrivateKey(jwe, kBr, context)).rejects.toThrow(failed);
    }
  });

  it('is not made for another key, or with a context that could be read in two ways', async () => {
    const { privateJwk } = await generateEncryptionKey();
    const context = { ...place, kid: privateJwk.kid };
    const wrap = (change: object) =>
      wrapPrivateKey({ privateJwk, kBr, context: { ...context, ...change } });
    await expect(wrap({ kid: 'other' })).rejects.toThrow(RangeError);
    await expect(wrap({ realm: 'a\nb' })).rejects.toThrow(RangeError);
    const { jwe } = await wrapped();
    await expect(unwrapPrivateKey(jwe, kBr, { ...context, uid: 'a\nb' })).rejects.toThrow(
      RangeError,
    );
    const halved = { ...privateJwk, d: toBase64Url(new Uint8Array(32)) };
    await expect(wrapPrivateKey({ privateJwk: halved, kBr, context })).rejects.toThrow(
      expect.objectContaining({ code: 'key-invalid' }) as Error,
    );
  });
});
