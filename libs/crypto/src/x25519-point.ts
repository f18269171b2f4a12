import { x25519 } from '@noble/curves/ed25519.js';

// Any scalar does: clamping makes it a multiple of the cofactor 8, which sends a low-order point to zero.
const SCALAR = new Uint8Array(32).fill(1);
const P = 2n ** 255n - 19n;

/**
 * Tells whether bytes are the one spelling of an X25519 point of full order.
 *
 * @see RFC 7748 §5, §6.1
 */
export function isUsablePoint(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const u = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (u >= P) return false;
  try {
    x25519.getSharedSecret(SCALAR, bytes);
    return true;
  } catch {
    return false;
  }
}
