import { hmac } from '@noble/hashes/hmac.js';
import { sha256 } from '@noble/hashes/sha2.js';

/**
 * Authenticates a message under a key: HMAC-SHA256.
 *
 * @returns 32 bytes
 * @see RFC 2104 §2
 */
export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  return hmac(sha256, key, message);
}
