import { CompactEncrypt } from 'jose';
import { fromHex, toHex, utf8 } from './encoding.ts';
import {
  deriveRecoveryKeyId,
  formatRecoveryKey,
  generateRecoveryKey,
  openRecoveryData,
  parseRecoveryKey,
  sealRecoveryData,
} from './recovery-key.ts';

/** The published vector of fxa-auth-client. */
const of = {
  key: fromHex('00443214c74254b635cf84653a56d7c675be77df'),
  uid: fromHex('aaaaabbbbbcccccdddddeeeeefffff00'),
};
const published =
  'eyJlbmMiOiJBMjU2R0NNIiwiYWxnIjoiZGlyIiwia2lkIjoiNmFhMjQ4OTMxNzA0ODg2ZjU0YWM2NGI4MWIxMTFiYzAifQ..' +
  '7t3Mu6qZiHdmVUQz.' +
  'qoXWfU77FBV67Pyy_GXAkoSuAbksIqAXZd2tkq48iD3u_qWEEAeYx-M3m2G373zes3OXsSZdJIGRFmd8bC9s4ZvN3kF3A6vK5g.' +
  'yT7bkdF8AYC6ecwsvRCI7A';
const kB = fromHex('000000111111222222333333444444555555666666777777888888999999abcd');

describe('The recovery key', () => {
  it('derives the published id', () => {
    expect(deriveRecoveryKeyId(of)).toBe('6aa248931704886f54ac64b81b111bc0');
  });

  it('opens the published data, and seals such data', async () => {
    expect(toHex(await openRecoveryData(of, published))).toBe(toHex(kB));
    const sealed = await sealRecoveryData(of, kB);
    expect(sealed.split('.').slice(0, 2)).toEqual(published.split('.').slice(0, 2));
    expect(toHex(await openRecoveryData(of, sealed))).toBe(toHex(kB));
  });

  it('is for one account', async () => {
    const other = { ...of, uid: new Uint8Array(16) };
    expect(deriveRecoveryKeyId(other)).not.toBe(deriveRecoveryKeyId(of));
    await expect(openRecoveryData(other, published)).rejects.toMatchObject({
      code: 'recovery-data-forged',
    });
  });

  it('refuses data that was changed, or made with another algorithm', async () => {
    const parts = published.split('.');
    const changed = parts.map((part, at) =>
      parts.with(at, part.startsWith('A') ? `B${part.slice(1)}` : `A${part.slice(1)}`).join('.'),
    );
    const wrapped = await new CompactEncrypt(utf8('{}'))
      .setProtectedHeader({ alg: 'A256KW', enc: 'A256GCM' })
      .encrypt(new Uint8Array(32));
    for (const jwe of [...changed, wrapped, '', 'a.b.c.d.e']) {
      await expect(openRecoveryData(of, jwe)).rejects.toMatchObject({
        code: 'recovery-data-forged',
      });
    }
  });

  it('is spelled for people, and read as they type it', () => {
    const key = generateRecoveryKey();
    const text = formatRecoveryKey(key);
    expect(text).toMatch(/^A[0-9A-HJKMNP-TV-Z]{3}( [0-9A-HJKMNP-TV-Z]{4}){7}$/);
    expect(toHex(generateRecoveryKey())).not.toBe(toHex(key));
    const sloppy = text.toLowerCase().replaceAll('0', 'o').replaceAll('1', 'l');
    for (const typed of [text, sloppy.replaceAll(' ', '-'), ` ${text.replaceAll(' ', '')}\n`]) {
      expect(toHex(parseRecoveryKey(typed))).toBe(toHex(key));
    }
    const known = fromHex('50443214c74254b635cf84653a56d7c675be77df');
    expect(formatRecoveryKey(known)).toBe('A123 4567 89AB CDEF GHJK MNPQ RSTV WXYZ');
  });

  it.each(['', 'A123', 'B123 4567 89AB CDEF GHJK MNPQ RSTV WXYZ', 'A'.repeat(31) + 'U'])(
    'is not %j',
    (text) => {
      expect(() => parseRecoveryKey(text)).toThrow(
        expect.objectContaining({ code: 'recovery-key-invalid' }) as Error,
      );
    },
  );

  it('refuses other lengths', async () => {
    expect(() => formatRecoveryKey(new Uint8Array(19))).toThrow(RangeError);
    expect(() => deriveRecoveryKeyId({ ...of, key: new Uint8Array(21) })).toThrow(RangeError);
    expect(() => deriveRecoveryKeyId({ ...of, uid: new Uint8Array(15) })).toThrow(RangeError);
    await expect(sealRecoveryData(of, new Uint8Array(31))).rejects.toThrow(RangeError);
  });
});
