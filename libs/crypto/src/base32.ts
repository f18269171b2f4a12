/**
 * Base32 for people, five bits a character and without padding, in whatever 32 letters and digits a format has.
 *
 * @see RFC 4648 §6
 * @module
 */

/** Spells bytes; the last character is filled up with zero bits. @param alphabet - 32 characters */
export function toBase32(bytes: Uint8Array, alphabet: string): string {
  let text = '';
  let [bits, pending] = [0, 0];
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xfff;
    for (bits += 8; bits >= 5;) {
      bits -= 5;
      text += alphabet.charAt((pending >> bits) & 31);
    }
  }
  return bits === 0 ? text : text + alphabet.charAt((pending << (5 - bits)) & 31);
}

/**
 * Reads what `toBase32` spelled.
 *
 * @throws RangeError on any other character, an impossible length, or unused bits that are not zero
 */
export function fromBase32(text: string, alphabet: string): Uint8Array {
  const bytes: number[] = [];
  let [bits, pending] = [0, 0];
  for (const character of text) {
    const value = alphabet.indexOf(character);
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
