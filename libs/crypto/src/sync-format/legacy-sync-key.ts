/**
 * The Sync Key of the years before accounts: 16 bytes that a person copies from device to device, also
 * called the recovery key.
 *
 * @see sync.md §6.3.1
 * @module
 */
import { fromBase32, toBase32 } from '../base32.ts';
import { expectLength, forWebCrypto } from '../checks.ts';
import { concat, utf8 } from '../encoding.ts';
import { hmacSha256 } from '../hmac.ts';
import { CryptoRefusal } from '../refusal.ts';
import type { KeyBundle } from './key-bundle.ts';

/** RFC 4648 base32 in lower case, with 8 for l and 9 for o. */
const ALPHABET = 'abcdefghijk8mn9pqrstuvwxyz234567';
const KEY_LENGTH = 16;
const KEY_CHARACTERS = 26;
const KEY_INFO = 'Sync-AES_256_CBC-HMAC256';
const PASSPHRASE_ITERATIONS = 4096;

/**
 * Derives the Sync Key Bundle from a Sync Key: HKDF-Expand alone, with the Sync Key as the PRK.
 *
 *     encryptionKey = HMAC-SHA256(syncKey, info | 0x01)
 *     hmacKey       = HMAC-SHA256(syncKey, encryptionKey | info | 0x02),  info = "Sync-AES_256_CBC-HMAC256" | username
 *
 * @param syncKey - 16 bytes
 * @param username - as in the URLs of Storage 1.1: an address is hashed already
 * @throws RangeError when the key is not 16 bytes long
 */
export function deriveLegacySyncKeyBundle(syncKey: Uint8Array, username: string): KeyBundle {
  expectLength('The Sync Key', syncKey, KEY_LENGTH);
  const info = utf8(KEY_INFO + username);
  // Libraries refuse to expand a PRK that is shorter than the hash.
  const encryptionKey = hmacSha256(syncKey, concat(info, Uint8Array.of(1)));
  const hmacKey = hmacSha256(syncKey, concat(encryptionKey, info, Uint8Array.of(2)));
  return { encryptionKey, hmacKey };
}

/** Spells bytes in the base32 that people can read aloud, without padding. */
export const toFriendlyBase32 = (bytes: Uint8Array): string => toBase32(bytes, ALPHABET);

/**
 * Reads friendly base32.
 *
 * @throws RangeError on another character, an impossible length, or unused bits that are not zero
 */
export const fromFriendlyBase32 = (text: string): Uint8Array => fromBase32(text, ALPHABET);

/** Spells a Sync Key as it is shown: `a-bbbbc-cccdd-ddeee-effff-ggggh`. */
export function formatSyncKey(syncKey: Uint8Array): string {
  expectLength('The Sync Key', syncKey, KEY_LENGTH);
  const text = toFriendlyBase32(syncKey);
  return [text.slice(0, 1), ...(text.slice(1).match(/.{5}/g) ?? [])].join('-');
}

/**
 * Reads a Sync Key as a person types it: with or without its hyphens, in any case, spaces around it.
 *
 * @returns 16 bytes
 * @throws CryptoRefusal `sync-key-malformed`
 */
export function parseSyncKey(typed: string): Uint8Array {
  const text = normalizeSyncKey(typed);
  try {
    if (text.length !== KEY_CHARACTERS) throw new RangeError('The length is wrong.');
    return fromFriendlyBase32(text);
  } catch (cause) {
    throw new CryptoRefusal('sync-key-malformed', 'This is not a Sync Key.', { cause });
  }
}

/**
 * Turns the passphrase of a store older than format 5 into a Sync Key.
 *
 *     syncKey = PBKDF2-HMAC-SHA1(passphrase, salt: syncID, 4096 iterations, 16)
 *
 * @param syncID - from `meta/global`, ASCII
 * @returns 16 bytes
 */
export async function syncKeyFromPassphrase(
  passphrase: string,
  syncID: string,
): Promise<Uint8Array> {
  const secret = forWebCrypto(utf8(normalizeSyncKey(passphrase)));
  const key = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveBits']);
  const parameters = {
    name: 'PBKDF2',
    hash: 'SHA-1',
    salt: forWebCrypto(utf8(syncID)),
    iterations: PASSPHRASE_ITERATIONS,
  };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, KEY_LENGTH * 8));
}

/** Hyphens go only where a Sync Key (31 characters) or an old passphrase (23) has them. */
function normalizeSyncKey(typed: string): string {
  const text = typed.trim().toLowerCase();
  const isShown = /^.(-.{5}){5}$/.test(text) || /^.{5}(-.{5}){3}$/.test(text);
  return isShown ? text.replaceAll('-', '') : text;
}
