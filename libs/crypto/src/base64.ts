const STANDARD = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const URL_SAFE = STANDARD.replace('+/', '-_');
const NOT_A_DIGIT = 64;

const codesOf = (alphabet: string) => Uint8Array.from(alphabet, (char) => char.charCodeAt(0));
const valuesOf = (alphabet: string) => {
  const values = new Uint8Array(128).fill(NOT_A_DIGIT);
  codesOf(alphabet).forEach((code, value) => {
    values[code] = value;
  });
  return values;
};

const standard = { codes: codesOf(STANDARD), values: valuesOf(STANDARD) };
const urlSafe = { codes: codesOf(URL_SAFE), values: valuesOf(URL_SAFE) };
const ascii = new TextDecoder();

function encode(bytes: Uint8Array, { codes }: { codes: Uint8Array }): string {
  const out = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let bits = 0;
  let pending = 0;
  let length = 0;
  for (const byte of bytes) {
    pending = ((pending << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out[length++] = codes[(pending >> bits) & 63] ?? 0;
    }
  }
  if (bits > 0) out[length++] = codes[(pending << (6 - bits)) & 63] ?? 0;
  return ascii.decode(out);
}

function decode(text: string, { values }: { values: Uint8Array }): Uint8Array {
  if (text.length % 4 === 1) throw new RangeError('Base64 text has an impossible length.');
  const out = new Uint8Array(Math.floor((text.length * 3) / 4));
  let bits = 0;
  let pending = 0;
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    const value = values[text.charCodeAt(i)] ?? NOT_A_DIGIT;
    if (value === NOT_A_DIGIT) throw new RangeError('Text holds a character outside its alphabet.');
    pending = ((pending << 6) | value) & 0xffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out[length++] = (pending >> bits) & 255;
    }
  }
  if ((pending & ((1 << bits) - 1)) !== 0) throw new RangeError('Base64 text is not canonical.');
  return out;
}

/**
 * Encodes bytes as base64url without padding.
 *
 * @see RFC 4648 §5
 */
export function toBase64Url(bytes: Uint8Array): string {
  return encode(bytes, urlSafe);
}

/**
 * Decodes base64url without padding; every byte string has exactly one accepted spelling.
 *
 * @throws RangeError on padding, a foreign character, or unused bits that are not zero
 * @see RFC 4648 §3.5, §5
 */
export function fromBase64Url(text: string): Uint8Array {
  return decode(text, urlSafe);
}

/**
 * Encodes bytes as base64 with padding.
 *
 * @see RFC 4648 §4
 */
export function toBase64(bytes: Uint8Array): string {
  const text = encode(bytes, standard);
  return text.padEnd(Math.ceil(text.length / 4) * 4, '=');
}

/**
 * Decodes base64 with padding; every byte string has exactly one accepted spelling.
 *
 * @throws RangeError on missing or surplus padding, a foreign character, or unused bits that are not zero
 * @see RFC 4648 §3.5, §4
 */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw new RangeError('Base64 text lacks its padding.');
  return decode(text.replace(/={1,2}$/, ''), standard);
}
