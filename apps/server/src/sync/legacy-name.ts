import { createHash } from 'node:crypto';

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** RFC 4648 base32 in lower case, without padding. */
export function toBase32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) text += ALPHABET[(held >> (bits - 5)) & 31] ?? '';
    held &= 255;
  }
  return bits > 0 ? text + (ALPHABET[(held << (5 - bits)) & 31] ?? '') : text;
}

/**
 * The user name that a client makes of what a person typed: base32(SHA-1(lower case)) for anything
 * that is no plain name, such as a mail address.
 *
 * @returns lower case, of `a-z 0-9 . _ -`
 * @see User API 1.0, "Account to username"
 */
export function toUsername(account: string): string {
  const lower = account.toLowerCase();
  if (/^[a-z0-9._-]+$/.test(lower)) return lower;
  return toBase32(createHash('sha1').update(lower).digest());
}
