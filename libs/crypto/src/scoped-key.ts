import { expectLength, expectNone } from './checks.ts';
import { concat, sha256, toBase64Url } from './encoding.ts';
import { hkdf } from './hkdf.ts';
import { ONEPW_NAMESPACE } from './onepw.ts';

/** A key and the id that tells its generations apart. */
export interface KeyWithId {
  kid: string;
  k: Uint8Array;
}

/** What a scoped key is derived from. */
export interface ScopedKeyInput {
  /** The account's class-B master key, 32 bytes. */
  kB: Uint8Array;
  /** 32 bytes; all zero until the key of this scope is rotated. */
  keyRotationSecret: Uint8Array;
  /** Milliseconds since the epoch, when kB or the rotation secret last changed. */
  keyRotationTimestamp: number;
  /** The account's id, 16 bytes. */
  uid: Uint8Array;
  /** The scope; for an application's kBr see `appKeyIdentifier`. */
  identifier: string;
}

const NO_SALT = new Uint8Array();

function expectTimestamp(timestamp: number): void {
  if (!Number.isSafeInteger(timestamp) || timestamp < 0) {
    throw new RangeError('The rotation timestamp is not a whole number of milliseconds.');
  }
}

/**
 * Derives the key of one scope for one account.
 *
 *     okm = HKDF(kB | keyRotationSecret, salt: uid, NS + "scoped_key" LF identifier, 48)
 *     kid = round(keyRotationTimestamp / 1000) "-" b64url(okm[0..16))
 *     k   = okm[16..48)
 *
 * The same account and scope give the same key on every device, and no scope can compute another's.
 *
 * @returns kid, and k of 32 bytes
 * @throws RangeError when an input has another length, the time is not in whole milliseconds, or the
 * identifier holds a line feed
 * @see ecosystem-platform, "Scoped keys"; accounts.md §4; RFC 5869 §2
 */
export function deriveScopedKey(input: ScopedKeyInput): KeyWithId {
  const { kB, keyRotationSecret, keyRotationTimestamp, uid, identifier } = input;
  expectLength('kB', kB, 32);
  expectLength('The rotation secret', keyRotationSecret, 32);
  expectLength('The uid', uid, 16);
  expectNone('\n', { identifier });
  expectTimestamp(keyRotationTimestamp);
  const info = `${ONEPW_NAMESPACE}scoped_key\n${identifier}`;
  const okm = hkdf(concat(kB, keyRotationSecret), uid, info, 48);
  const seconds = Math.round(keyRotationTimestamp / 1000);
  return { kid: `${seconds}-${toBase64Url(okm.subarray(0, 16))}`, k: okm.slice(16) };
}

/**
 * Derives the key of the legacy Sync scope, https://identity.mozilla.com/apps/oldsync.
 *
 *     k   = HKDF(kB, no salt, NS + "oldsync", 64)
 *     kid = timestamp in milliseconds "-" b64url(SHA-256(kB)[0..16))
 *
 * @param timestampMs - keysChangedAt
 * @returns kid, and k of 64 bytes: an AES key and an HMAC key
 * @throws RangeError when kB is not 32 bytes long or the time is not in whole milliseconds
 * @see accounts.md §4
 */
export function deriveOldSyncKey(kB: Uint8Array, timestampMs: number): KeyWithId {
  expectLength('kB', kB, 32);
  expectTimestamp(timestampMs);
  return {
    kid: `${timestampMs}-${toBase64Url(sha256(kB).subarray(0, 16))}`,
    k: hkdf(kB, NO_SALT, `${ONEPW_NAMESPACE}oldsync`, 64),
  };
}

/** Names the scope whose key is an application's kBr: `"app:" + clientId`. */
export function appKeyIdentifier(clientId: string): string {
  return `app:${clientId}`;
}
