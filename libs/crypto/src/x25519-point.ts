import { fromHex, toHex } from './encoding.ts';

const P = fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f');

/** Every canonical u of low order, on the curve and on its twist: 0, 1, two of order 8, and p − 1. */
const LOW_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
]);

/**
 * Tells whether bytes are the one spelling of an X25519 point of full order. By a table: a
 * multiplication would take longer than the signature over the whole list.
 *
 * @see RFC 7748 §5, §6.1
 */
export function isUsablePoint(bytes: Uint8Array): boolean {
  return isCanonical(bytes) && !LOW_ORDER.has(toHex(bytes));
}

/** Whether these are 32 bytes, least significant first, of a number below 2^255 − 19. */
export function isCanonical(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  for (let i = 31; i >= 0; i--) {
    const [byte = 0, limit = 0] = [bytes[i], P[i]];
    if (byte !== limit) return byte < limit;
  }
  return false;
}
