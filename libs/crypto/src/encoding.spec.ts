import { createHash } from 'node:crypto';

import {
  concat,
  createSha256,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  fromUtf8,
  randomBytes,
  sha256,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  xor,
} from './encoding.ts';

const lengths = [...Array(70).keys(), 65_535, 65_536, 65_537, 200_000];

describe('Encodings', () => {
  it('agree with Buffer for every length', () => {
    for (const length of lengths) {
      const bytes = randomBytes(length);
      const buffer = Buffer.from(bytes);
      expect(toHex(bytes)).toBe(buffer.toString('hex'));
      expect(toBase64(bytes)).toBe(buffer.toString('base64'));
      expect(toBase64Url(bytes)).toBe(buffer.toString('base64url'));
      expect(equalBytes(fromHex(toHex(bytes)), bytes)).toBe(true);
      expect(equalBytes(fromBase64(toBase64(bytes)), bytes)).toBe(true);
      expect(equalBytes(fromBase64Url(toBase64Url(bytes)), bytes)).toBe(true);
    }
  });

  it.each(['a', 'abc', 'AB', 'a b0', '0x', 'é0', '0\n'])('refuse %j as hex', (text) => {
    expect(() => fromHex(text)).toThrow(RangeError);
  });

  it.each([
    'A',
    'AAAAA',
    'AA==',
    'AA=',
    'AB',
    'AAB',
    'A+AA',
    'A/AA',
    'AA A',
    'AAA\n',
    'AAAé',
    'A.AA',
  ])('refuse %j as base64url', (text) => {
    expect(() => fromBase64Url(text)).toThrow(RangeError);
  });

  it.each(['AA', 'AAA', 'AB==', 'AAB=', 'A===', '====', 'A-AA', 'A_AA', 'AA==AA==', 'AA=A'])(
    'refuse %j as base64',
    (text) => {
      expect(() => fromBase64(text)).toThrow(RangeError);
    },
  );

  it('refuse bytes that are not UTF-8', () => {
    expect(() => fromUtf8(Uint8Array.of(0xc3))).toThrow('utf-8');
    expect(() => fromUtf8(Uint8Array.of(0xed, 0xa0, 0x80))).toThrow('utf-8');
    expect(fromUtf8(utf8('\ufeffpässwörd 🔑'))).toBe('\ufeffpässwörd 🔑');
  });
});

describe('Byte strings', () => {
  it('are joined, combined and compared', () => {
    expect(concat(Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3))).toEqual(
      Uint8Array.of(1, 2, 3),
    );
    expect(xor(Uint8Array.of(5, 255), Uint8Array.of(3, 255))).toEqual(Uint8Array.of(6, 0));
    expect(() => xor(Uint8Array.of(1), Uint8Array.of(1, 2))).toThrow(RangeError);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2))).toBe(true);
    expect(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3))).toBe(false);
    expect(equalBytes(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
  });

  it('are hashed as Node hashes them, whole and in pieces', () => {
    const bytes = randomBytes(100_000);
    const expected = new Uint8Array(createHash('sha256').update(bytes).digest());
    const pieces = createSha256();
    for (let i = 0; i < bytes.length; i += 777) pieces.update(bytes.subarray(i, i + 777));
    expect(sha256(bytes)).toEqual(expected);
    expect(pieces.digest()).toEqual(expected);
  });

  it('are random', () => {
    const bytes = randomBytes(200_000);
    expect(bytes.length).toBe(200_000);
    expect(bytes.subarray(-32).some((byte) => byte !== 0)).toBe(true);
    expect(equalBytes(randomBytes(32), randomBytes(32))).toBe(false);
  });
});
