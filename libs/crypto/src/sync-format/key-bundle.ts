import { expectLength } from '../checks.ts';
import {
  concat,
  equalBytes,
  fromBase64,
  randomBytes,
  sha256,
  toBase64,
  toBase64Url,
} from '../encoding.ts';
import { CryptoRefusal } from '../refusal.ts';
import { deriveOldSyncKey } from '../scoped-key.ts';

/** The two keys that seal records of Firefox's formats, 32 bytes each: AES-256-CBC and HMAC-SHA256. */
export interface KeyBundle {
  encryptionKey: Uint8Array;
  hmacKey: Uint8Array;
}

/** Draws a bundle: what `crypto/keys` holds, and a Collection Key Bundle of format 6. */
export function generateKeyBundle(): KeyBundle {
  return keyBundleFromBytes(randomBytes(64));
}

/**
 * Splits 64 bytes into a bundle.
 *
 *     bundle = encryptionKey(32) | hmacKey(32)
 *
 * The scoped key of https://identity.mozilla.com/apps/oldsync (`deriveOldSyncKey`, kSync) is the Sync Key
 * Bundle in this form.
 *
 * @throws RangeError when it is not 64 bytes long
 * @see sync.md §6.3.2, §6.5
 */
export function keyBundleFromBytes(bytes: Uint8Array): KeyBundle {
  expectLength('The key bundle', bytes, 64);
  return { encryptionKey: bytes.slice(0, 32), hmacKey: bytes.slice(32) };
}

/** The 64 bytes of a bundle. */
export function keyBundleToBytes({ encryptionKey, hmacKey }: KeyBundle): Uint8Array {
  expectLength('The encryption key', encryptionKey, 32);
  expectLength('The HMAC key', hmacKey, 32);
  return concat(encryptionKey, hmacKey);
}

/**
 * Derives the Sync Key Bundle of an account.
 *
 *     bundle = HKDF(kB, no salt, "identity.mozilla.com/picl/v1/oldsync", 64)
 *
 * @param kB - 32 bytes
 * @throws RangeError when kB is not 32 bytes long
 * @see sync.md §6.3.2
 */
export function deriveSyncKeyBundle(kB: Uint8Array): KeyBundle {
  return keyBundleFromBytes(deriveOldSyncKey(kB, 0).k);
}

/** How `crypto/keys` spells a bundle: base64 of each key. */
export function keyBundleToPair({ encryptionKey, hmacKey }: KeyBundle): [string, string] {
  return [toBase64(encryptionKey), toBase64(hmacKey)];
}

/** @throws CryptoRefusal `sync-keys-malformed` unless it is two base64 texts of 32 bytes */
export function keyBundleFromPair(pair: unknown): KeyBundle {
  try {
    const [encryptionKey, hmacKey] = (pair as readonly string[]).map(fromBase64);
    if (!encryptionKey || !hmacKey) throw new TypeError('A key is missing.');
    expectLength('The encryption key', encryptionKey, 32);
    expectLength('The HMAC key', hmacKey, 32);
    return { encryptionKey, hmacKey };
  } catch (cause) {
    throw new CryptoRefusal('sync-keys-malformed', 'This is not a pair of keys.', { cause });
  }
}

/** Tells whether two bundles are the same keys. */
export function isSameKeyBundle(a: KeyBundle, b: KeyBundle): boolean {
  return equalBytes(keyBundleToBytes(a), keyBundleToBytes(b));
}

/** Names a bundle without telling it: base64url of SHA-256, its first 16 bytes. */
export function keyBundleId(bundle: KeyBundle): string {
  return toBase64Url(sha256(keyBundleToBytes(bundle)).subarray(0, 16));
}
