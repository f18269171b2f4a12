import { hkdf as noble } from '@noble/hashes/hkdf.js';
import { sha256 } from '@noble/hashes/sha2.js';

import { utf8 } from './encoding.ts';

/**
 * Derives key material that is independent for every salt and info.
 *
 *     HKDF-SHA256(ikm, salt, info, L) = HKDF-Expand(HKDF-Extract(salt, ikm), info, L)
 *
 * @param salt - an empty salt equals 32 zero bytes
 * @param info - text is encoded as UTF-8
 * @param length - L, 1 to 8160 bytes
 * @throws RangeError when the length is out of range
 * @see RFC 5869 §2
 */
export function hkdf(
  ikm: Uint8Array,
  salt: Uint8Array,
  info: string | Uint8Array,
  length: number,
): Uint8Array {
  if (!Number.isInteger(length) || length < 1 || length > 255 * 32) {
    throw new RangeError('HKDF-SHA256 gives 1 to 8160 bytes.');
  }
  return noble(sha256, ikm, salt, typeof info === 'string' ? utf8(info) : info, length);
}
