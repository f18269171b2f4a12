import { fromBase32, toBase32 } from './base32.ts';

/** Crockford's base32: no I, L, O and U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Spells bytes for people, five bits a character; the last character is filled up with zero bits. */
export const toCrockford = (bytes: Uint8Array): string => toBase32(bytes, ALPHABET);

/**
 * Reads what people type: case, spaces and hyphens do not matter, O is 0, I and L are 1.
 *
 * @throws RangeError on any other character, an impossible length, or unused bits that are not zero
 */
export function fromCrockford(text: string): Uint8Array {
  const clean = text.replaceAll(/[\s-]/g, '').toUpperCase();
  return fromBase32(clean.replaceAll('O', '0').replaceAll(/[IL]/g, '1'), ALPHABET);
}
