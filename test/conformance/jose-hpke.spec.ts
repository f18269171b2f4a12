import { fromBase64Url, fromUtf8, thumbprint, toHex, utf8 } from '#lib/crypto';

import { openContent, openContentKey } from '../../libs/crypto/src/jose-hpke.ts';
import { describeVectors } from './vectors.ts';

interface Jwk {
  kty: 'OKP';
  crv: 'X25519';
  x: string;
  d: string;
  kid: string;
}

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
  jwk: Jwk;
  flattened: Flattened;
  compact: string;
}

/** The functions are those `openEnvelope` uses; only the wrapping around them differs. */
async function open(jwe: Flattened, { x, d }: Jwk, extraInfo: Uint8Array) {
  const header = JSON.parse(fromUtf8(fromBase64Url(jwe.protected))) as { alg: string; ek: string };
  expect(header.alg).toBe('HPKE-4-KE');
  const encrypted = { ek: header.ek, encryptedKey: jwe.encrypted_key };
  const cek = await openContentKey(encrypted, { x, d, extraInfo });
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

  it("builds the draft's Recipient_structure", async () => {
    const { recipientStructure } = await import('../../libs/crypto/src/jose-hpke.ts');
    expect(toHex(recipientStructure(utf8('x')))).toBe(
      '4a4f53452d48504b452072637074ff4132353647434dff78',
    );
  });
});
