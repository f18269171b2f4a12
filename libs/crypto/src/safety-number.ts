/**
 * What two people compare to be sure that they have each other's identity keys: 60 digits to read aloud, or a
 * code for a camera.
 *
 *     id     = realm LF uid LF clientId
 *     h(0)   = SHA-512(0x0000 | key | id | key)
 *     h(i)   = SHA-512(h(i-1) | key), i = 1 to 5199
 *     digits = for i = 0 to 5: the 5 bytes of h(5199) at 5·i, as a big-endian number, mod 100000, in five digits
 *     number = the digits of both, the lesser first
 *     code   = "LOCKSTEP1:" | Crockford(h of oneself[0..32) | h of the other[0..32))
 *
 * @see keys.md §3.7; Signal's numeric fingerprints, version 0
 * @module
 */
import { sha512 } from '@noble/hashes/sha2.js';

import { expectNone } from './checks.ts';
import { fromCrockford, toCrockford } from './crockford.ts';
import { concat, equalBytes, fromBase64Url, utf8 } from './encoding.ts';
import type { IdentityJwk } from './identity.ts';
import type { KeyPlace } from './key-statements.ts';

/** Somebody, and the identity key that is held to be theirs. */
export interface SafetyParty extends KeyPlace {
  identity: IdentityJwk;
}

const ITERATIONS = 5200;
const CODE_PREFIX = 'LOCKSTEP1:';
const HALF = 32;

/**
 * The hash that digits and code are cut from.
 *
 * @param key - the identity key, in the spelling that its owner hashes
 * @param id - who it belongs to
 * @returns 64 bytes
 */
export function fingerprintHash(key: Uint8Array, id: Uint8Array): Uint8Array {
  let hash = sha512(concat(new Uint8Array(2), key, id, key));
  for (let i = 1; i < ITERATIONS; i++) hash = sha512(concat(hash, key));
  return hash;
}

/** The 30 digits of one party. */
export function fingerprintDigits(hash: Uint8Array): string {
  let digits = '';
  for (let i = 0; i < 30; i += 5) {
    const group = hash.subarray(i, i + 5).reduce((value, byte) => value * 256 + byte, 0);
    digits += String(group % 100_000).padStart(5, '0');
  }
  return digits;
}

/** Both parties' digits, in an order that is the same on both sides. */
export const joinDigits = (a: string, b: string): string => (a < b ? a + b : b + a);

function hashOf({ realm, uid, clientId, identity }: SafetyParty): Uint8Array {
  expectNone('\n', { realm, uid, clientId });
  return fingerprintHash(fromBase64Url(identity.x), utf8([realm, uid, clientId].join('\n')));
}

/**
 * The safety number of two people in one app; whoever asks, it is the same.
 *
 * @returns 60 digits
 * @throws RangeError when a field holds a line feed
 */
export function safetyNumber(a: SafetyParty, b: SafetyParty): string {
  return joinDigits(fingerprintDigits(hashOf(a)), fingerprintDigits(hashOf(b)));
}

/**
 * What one's own device shows to the other's camera.
 *
 * @returns 113 characters of the alphanumeric mode of QR codes
 */
export function safetyCode(own: SafetyParty, other: SafetyParty): string {
  const halves = concat(hashOf(own).subarray(0, HALF), hashOf(other).subarray(0, HALF));
  return CODE_PREFIX + toCrockford(halves);
}

const WHOLE = new RegExp(`^(?:\\d{60}|${CODE_PREFIX}[0-9A-Z]{103})$`, 'i');

/** Tells whether a text is a whole safety number, however it is spaced, or a whole code, and not half of one. */
export const isWholeSafety = (said: string): boolean => WHOLE.test(said.replaceAll(/[\s-]/g, ''));

/**
 * Compares what a camera read from the other's device: there, the two have changed places.
 *
 * @returns undefined when it is no safety code at all
 */
export function compareSafetyCode(
  own: SafetyParty,
  other: SafetyParty,
  scanned: string,
): boolean | undefined {
  if (!scanned.toUpperCase().startsWith(CODE_PREFIX)) return undefined;
  try {
    const halves = fromCrockford(scanned.slice(CODE_PREFIX.length));
    if (halves.length !== 2 * HALF) return undefined;
    const expected = concat(hashOf(other).subarray(0, HALF), hashOf(own).subarray(0, HALF));
    return equalBytes(halves, expected);
  } catch {
    return undefined;
  }
}
