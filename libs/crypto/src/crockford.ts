/** Crockford's base32: no I, L, O and U. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** Spells bytes for people, five bits a character; the last character is filled up with zero bits. */
export function toCrockford(bytes: Uint8Array): string {
  let text = '';
  let [bits, pending] = [0, 0];
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5;) {
      bits -= 5;
      text += ALPHABET.charAt((pending >> bits) & 31);
    }
  }
  return bits === 0 ? text : text + ALPHABET.charAt((pending << (5 - bits)) & 31);
}

/**
 * Reads what people type: case, spaces and hyphens do not matter, O is 0, I and L are 1.
 *
 * @throws RangeError on any other character, an impossible length, or unused bits that are not zero
 */
export function fromCrockford(text: string): Uint8Array {
  const clean = text.replaceAll(/[\s-]/g, '').toUpperCase();
  const plain = clean.replaceAll('O', '0').replaceAll(/[IL]/g, '1');
  const bytes: number[] = [];
  let [bits, pending] = [0, 0];
  for (const character of plain) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) throw new RangeError('Text holds a character outside its alphabet.');
    pending = ((pending << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((pending >> bits) & 255);
    }
  }
  if (bits >= 5 || (pending & ((1 << bits) - 1)) !== 0) {
    throw new RangeError('Base32 text is cut off.');
  }
  return Uint8Array.from(bytes);
}
