import { sha256 as noble } from '@noble/hashes/sha2.js';

/** A SHA-256 computation that takes its input in pieces. */
export interface Sha256 {
  /** Appends bytes to the message. */
  update(bytes: Uint8Array): void;
  /** Ends the message and returns its hash, 32 bytes. */
  digest(): Uint8Array;
}

/**
 * Hashes a message.
 *
 * @returns 32 bytes
 * @see FIPS 180-4 §6.2
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  return noble(bytes);
}

/**
 * Starts a SHA-256 computation over a message that arrives in pieces, such as a file.
 *
 * @see FIPS 180-4 §6.2
 */
export function createSha256(): Sha256 {
  const hash = noble.create();
  return {
    update: (bytes) => {
      hash.update(bytes);
    },
    digest: () => hash.digest(),
  };
}
