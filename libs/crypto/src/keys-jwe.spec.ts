import { CompactEncrypt } from 'jose';

import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from './encoding.ts';
import {
  generateKeysJwk,
  openScopedKeys,
  sealScopedKeys,
  type KeysPrivateJwk,
  type KeysPublicJwk,
  type ScopedKeyJwk,
} from './keys-jwe.ts';

/** The flow example of the scoped-keys document. */
const published = {
  privateJwk: {
    ...{ kty: 'EC', crv: 'P-256', d: 'KXAjjEr4KT9UlYI4BE0BefVdoxP8vqO389U7lQlCigs' },
    x: 'SiBn6uebjigmQqw4TpNzs3AUyCae1_sG2b9Fzhq3Fyo',
    y: 'q99Xq1RWNTFpk99pdQOSjUvwELss51PkmAGCXhLfMV4',
  } satisfies KeysPrivateJwk as KeysPrivateJwk,
  jwe: 'eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImVwayI6eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6Ik40elBSYXpCODd2cGVCZ0h6RnZrdmRfNDhvd0ZZWXhFVlhSTXJPVTZMRG8iLCJ5IjoiNG5jVXhONnhfeFQxVDFrenlfU19WMmZZWjd1VUpUX0hWUk5aQkxKUnN4VSJ9fQ.._0sYf7HdWuRv2cM0.U5ZK5BYZWhLluS7q4y4ZFW1t_sSPt4me-5Ltscs1dWpoPnIZa3xEng2xsUOBaHfBra6m4wdgzrg6qINhBz0LuDwAfrHOtfRlpqeV3nrKhas1mGEQzr6lD4zBVYpmF_chm61IySnVxprsA1BulinIER2EIJbA.3Lh7cwCocbA2VkBBnsKgXA',
};

const scope = 'app:abc';
const keys: Record<string, ScopedKeyJwk> = {
  [scope]: { kty: 'oct', scope, k: 'AAEC', kid: '1-AA' },
};
const refusedWith = (code: string) => expect.objectContaining({ code }) as Error;

describe('Scoped keys in transport', () => {
  it('open from the published JWE', async () => {
    expect(await openScopedKeys(published.jwe, published.privateJwk)).toEqual({
      app_key: {
        ...{ k: 'Kkbk1_Q0oCcTmggeDH6880bQrxin2RLu5D00NcJazdQ', kty: 'oct' },
        kid: '1510726317-Voc-Eb9IpoTINuo9ll7bjA',
      },
    });
  });

  it('come back as they were sent, with the kid of the request echoed', async () => {
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const asFirefox = { ...publicJwk, kid: 'request-1', ext: true, key_ops: [] };
    const jwe = await sealScopedKeys(asFirefox, keys);
    expect(await openScopedKeys(jwe, privateJwk)).toEqual(keys);
    const header: unknown = JSON.parse(fromUtf8(fromBase64Url(jwe.split('.')[0] ?? '')));
    expect(header).toEqual({
      ...{ alg: 'ECDH-ES', enc: 'A256GCM', kid: 'request-1' },
      epk: {
        kty: 'EC',
        crv: 'P-256',
        x: expect.any(String) as string,
        y: expect.any(String) as string,
      },
    });
  });

  it('do not open with another key, or when changed', async () => {
    const [mine, other] = [await generateKeysJwk(), await generateKeysJwk()];
    const jwe = await sealScopedKeys(mine.publicJwk, keys);
    await expect(openScopedKeys(jwe, other.privateJwk)).rejects.toThrow(
      refusedWith('scoped-keys-forged'),
    );
    for (const at of [0, 2, 3, 4]) {
      const parts = jwe.split('.');
      parts[at] = `${parts[at]?.startsWith('A') === true ? 'B' : 'A'}${parts[at]?.slice(1) ?? ''}`;
      await expect(openScopedKeys(parts.join('.'), mine.privateJwk)).rejects.toThrow(
        refusedWith('scoped-keys-forged'),
      );
    }
  });

  it.each([
    ['key wrapping', { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }],
    ['compression', { alg: 'ECDH-ES', enc: 'A256GCM', zip: 'DEF' }],
    ['another content algorithm', { alg: 'ECDH-ES', enc: 'A128GCM' }],
    ['another content mode', { alg: 'ECDH-ES', enc: 'A256CBC-HS512' }],
  ])('do not open under %s', async (_, header) => {
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const jwe = await new CompactEncrypt(utf8(JSON.stringify(keys)))
      .setProtectedHeader(header)
      .encrypt({ ...publicJwk });
    await expect(openScopedKeys(jwe, privateJwk)).rejects.toThrow(
      refusedWith('scoped-keys-forged'),
    );
  });

  it.each(['[]', '{"s":{"kty":"EC"}}', '{"s":{"kty":"oct","k":1,"kid":"1"}}', '{"s":null}', 'x'])(
    'do not open to %s',
    async (plaintext) => {
      const { publicJwk, privateJwk } = await generateKeysJwk();
      const jwe = await new CompactEncrypt(utf8(plaintext))
        .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM' })
        .encrypt({ ...publicJwk });
      await expect(openScopedKeys(jwe, privateJwk)).rejects.toThrow(
        refusedWith('scoped-keys-forged'),
      );
    },
  );

  it('are not sealed to anything but a public key on P-256', async () => {
    const { publicJwk, privateJwk } = await generateKeysJwk();
    const offCurve = { ...publicJwk, y: toBase64Url(new Uint8Array(32).fill(7)) };
    const wrong = [privateJwk, offCurve, { ...publicJwk, crv: 'P-384' }, { ...publicJwk, x: '' }];
    for (const jwk of wrong as KeysPublicJwk[]) {
      await expect(sealScopedKeys(jwk, keys)).rejects.toThrow(refusedWith('key-invalid'));
    }
  });
});
