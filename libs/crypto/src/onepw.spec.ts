import { scryptSync } from 'node:crypto';

import { fromHex, toHex, xor } from './encoding.ts';
import {
  deriveAuthPW,
  deriveUnwrapBKey,
  deriveVerifyHash,
  deriveWrapwrapKey,
  makeClientSalt,
  quickStretch,
  quickStretchV2,
} from './onepw.ts';

/** The published vector of the onepw protocol. */
const email = 'andré@example.org';
const password = 'pässwörd';
const wrapKb = fromHex('7effe354abecbcb234a8dfc2d7644b4ad339b525589738f2d27341bb8622ecd8');

describe('onepw', () => {
  it('derives the published values on the device', async () => {
    const quickStretched = await quickStretch(email, password);
    expect(toHex(quickStretched)).toBe(
      'e4e8889bd8bd61ad6de6b95c059d56e7b50dacdaf62bd84644af7e2add84345d',
    );
    expect(toHex(deriveAuthPW(quickStretched))).toBe(
      '247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375',
    );
    const unwrapBKey = deriveUnwrapBKey(quickStretched);
    expect(toHex(unwrapBKey)).toBe(
      'de6a2648b78284fcb9ffa81ba95803309cfba7af583c01a8a1a63e567234dd28',
    );
    expect(toHex(xor(wrapKb, unwrapBKey))).toBe(
      'a095c51c1c6e384e8d5777d97e3c487a4fc2128a00ab395a73d57fedf41631f0',
    );
  });

  it('derives the published values on the server', () => {
    const authPW = fromHex('247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375');
    const authSalt = fromHex(`00f0${'00'.repeat(30)}`);
    const cost = { N: 65_536, r: 8, p: 1, maxmem: 256 << 20 };
    const bigStretched = new Uint8Array(scryptSync(authPW, authSalt, 32, cost));
    expect(toHex(deriveVerifyHash(bigStretched))).toBe(
      'a4765bf103dc057f4cf4bc2c131ddb6716e8a4333cc55e1d3c449f31f0eec4f1',
    );
    const wrapwrapKey = deriveWrapwrapKey(bigStretched);
    expect(toHex(wrapwrapKey)).toBe(
      '3ebea117efa9faf57ce195899b2905058368e7760cc26ea58a2a1be0da7fb287',
    );
    const wrapWrapKb = Uint8Array.from({ length: 32 }, (_, i) => 0x40 + i);
    expect(toHex(xor(wrapWrapKb, wrapwrapKey))).toBe(toHex(wrapKb));
  });

  it('derives the published values of key stretching v2', async () => {
    const salt = `identity.mozilla.com/picl/v1/quickStretchV2:${'0123456789abcdef'.repeat(2)}`;
    const stretched = await quickStretchV2(salt, password);
    expect(toHex(stretched)).toBe(
      '1962d132874d2be60129f21229c42205e75661b08b7e657c4997972475459e41',
    );
    expect(toHex(deriveAuthPW(stretched))).toBe(
      'd278c764bd1852a14bfc4e9d8c1682b4f1a57edb9a9372bf8c370cc41592155b',
    );
    expect(toHex(deriveUnwrapBKey(stretched))).toBe(
      '616616095eff30032abf6a47df30d9a3fc799d8af5e8519905c1601170553493',
    );
  });

  it('makes salts of v2 that differ, and refuses others', async () => {
    const salts = [makeClientSalt(), makeClientSalt()];
    expect(new Set(salts).size).toBe(2);
    expect(await quickStretchV2(salts[0] ?? '', '')).toHaveLength(32);
    for (const salt of ['', 'x'.repeat(76), `${salts[0]} `, salts[0]?.replace('V2', '') ?? '']) {
      await expect(quickStretchV2(salt, password)).rejects.toThrow(RangeError);
    }
  });

  it.each([deriveAuthPW, deriveUnwrapBKey, deriveVerifyHash, deriveWrapwrapKey])(
    'refuses a key of another length',
    (derive) => {
      expect(() => derive(new Uint8Array(31))).toThrow(RangeError);
    },
  );
});
