import { concat, fromHex, utf8 } from './encoding.ts';
import { deriveIdentity } from './identity.ts';
import {
  compareSafetyCode,
  isWholeSafety,
  fingerprintDigits,
  fingerprintHash,
  joinDigits,
  safetyCode,
  safetyNumber,
} from './safety-number.ts';

const place = { realm: 'r3alm', clientId: 'abc' };
const alice = {
  ...{ ...place, uid: '1'.repeat(32) },
  identity: (await deriveIdentity(new Uint8Array(32).fill(1))).publicJwk,
};
const bob = {
  ...{ ...place, uid: '2'.repeat(32) },
  identity: (await deriveIdentity(new Uint8Array(32).fill(2))).publicJwk,
};
const eve = (await deriveIdentity(new Uint8Array(32).fill(3))).publicJwk;

describe('A safety number', () => {
  it('is made as Signal makes it', () => {
    // libsignal, rust/protocol/src/fingerprint.rs: the keys of Alice and Bob, and their numbers
    const one = fromHex('0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868');
    const two = fromHex('05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b');
    const [a, b] = [
      fingerprintDigits(fingerprintHash(one, utf8('+14152222222'))),
      fingerprintDigits(fingerprintHash(two, utf8('+14153333333'))),
    ];
    expect(joinDigits(a, b)).toBe('300354477692869396892869876765458257569162576843440918079131');
    expect(joinDigits(b, a)).toBe(joinDigits(a, b));
  });

  it('is 60 digits, the same on both sides', () => {
    expect(safetyNumber(alice, bob)).toMatch(/^\d{60}$/);
    expect(safetyNumber(bob, alice)).toBe(safetyNumber(alice, bob));
  });

  it('is another one for another key, person, app or server', () => {
    const others = [
      { ...bob, identity: eve },
      { ...bob, uid: '3'.repeat(32) },
      { ...bob, clientId: 'abcd' },
      { ...bob, realm: 'other' },
    ].map((other) => safetyNumber(alice, other));
    expect(new Set([safetyNumber(alice, bob), ...others]).size).toBe(5);
  });

  it('does not exist where a field could be read as two', () => {
    expect(() => safetyNumber(alice, { ...bob, clientId: 'a\nb' })).toThrow(RangeError);
  });

  it('is computed over both ends of each group’s five bytes', () => {
    const hash = concat(fromHex('ffffffffff'), new Uint8Array(59));
    expect(fingerprintDigits(hash)).toBe(`27775${'0'.repeat(25)}`);
  });
});

describe('A safety code', () => {
  it('fits what the other device shows, and nothing else', () => {
    const shown = safetyCode(bob, alice);
    expect(shown).toMatch(/^LOCKSTEP1:[0-9A-Z]{103}$/);
    expect(compareSafetyCode(alice, bob, shown)).toBe(true);
    expect(compareSafetyCode(alice, bob, safetyCode(alice, bob))).toBe(false);
    expect(compareSafetyCode(alice, { ...bob, identity: eve }, shown)).toBe(false);
    const fooled = safetyCode(bob, { ...alice, identity: eve });
    expect(compareSafetyCode(alice, bob, fooled)).toBe(false);
  });

  it('fits in small letters too, and half of one is told from one that differs', () => {
    const shown = safetyCode(bob, alice);
    expect(compareSafetyCode(alice, bob, shown.toLowerCase())).toBe(true);
    for (const whole of [shown, shown.toLowerCase(), '01234 '.repeat(12)]) {
      expect(isWholeSafety(whole)).toBe(true);
    }
    for (const half of ['', shown.slice(1), shown.slice(0, -1), '01234 '.repeat(11)]) {
      expect(isWholeSafety(half)).toBe(false);
    }
  });

  it('is told from anything else that a camera reads', () => {
    for (const other of ['', 'https://example.org', 'LOCKSTEP1:', 'LOCKSTEP1:!', 'LOCKSTEP1:00']) {
      expect(compareSafetyCode(alice, bob, other)).toBeUndefined();
    }
  });
});
