/** Shorter files look 1 KiB long. */
const MIN = 1024;

/**
 * The length a file is padded to, so that its ciphertext tells the size only roughly: at most 12 % more.
 *
 *     E = floor(log2 L), S = floor(log2 E) + 1; the low E - S bits of the result are zero
 *
 * @param length - L in bytes
 * @throws RangeError when it is not a whole number
 * @see Padmé, in "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs" §4
 */
export function paddedLength(length: number): number {
  if (!Number.isSafeInteger(length) || length < 0) throw new RangeError('There is no such length.');
  if (length <= MIN) return MIN;
  const exponent = Math.floor(Math.log2(length));
  const bits = Math.floor(Math.log2(exponent)) + 1;
  const unit = 2 ** (exponent - bits);
  return Math.ceil(length / unit) * unit;
}
