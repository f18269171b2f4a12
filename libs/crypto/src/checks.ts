/** Checks on arguments, shared by the derivations. */

/** @throws RangeError when `bytes` is not `length` bytes long */
export function expectLength(what: string, bytes: Uint8Array, length: number): void {
  if (bytes.length !== length) {
    throw new RangeError(`${what} is ${bytes.length} bytes long; it needs ${length}.`);
  }
}

/** @throws RangeError when a field holds its own separator, which would let two contexts look alike */
export function expectNone(separator: string, fields: Record<string, string | number>): void {
  for (const [name, value] of Object.entries(fields)) {
    if (String(value).includes(separator)) {
      throw new RangeError(`${name} holds the character that ends a field.`);
    }
  }
}

/** Tells whether a value from JSON is an object, neither null nor an array. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Gives WebCrypto its view of bytes; bytes in shared memory are copied first. */
export function forWebCrypto(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? (bytes as Uint8Array<ArrayBuffer>) : bytes.slice();
}
