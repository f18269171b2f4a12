/**
 * The keys under kBr: one for each purpose, so that no use of one says anything about another.
 *
 * | purpose | key for | used by |
 * | --- | --- | --- |
 * | `wrap` | AES-256-GCM over private encryption keys | wrapped-key.ts |
 * | `identity` | Ed25519, as its seed | identity.ts |
 * | `state` | set aside for what a device remembers outside its records | nothing yet |
 *
 * @see keys.md §3.1; docs/protocol/formats.md §4
 * @module
 */
import { expectLength } from './checks.ts';
import { hkdf } from './hkdf.ts';

/** What kBr is used for. */
export type SubKeyPurpose = 'wrap' | 'identity' | 'state';

/**
 * Derives the key for one purpose from an application's kBr.
 *
 *     sub(purpose) = HKDF(kBr, no salt, "keyservice/v1/" + purpose, 32)
 *
 * @param kBr - 32 bytes
 * @returns 32 bytes
 * @throws RangeError when kBr is not 32 bytes long
 * @see keys.md §3.1
 */
export function deriveSubKey(kBr: Uint8Array, purpose: SubKeyPurpose): Uint8Array {
  expectLength('kBr', kBr, 32);
  return hkdf(kBr, new Uint8Array(), `keyservice/v1/${purpose}`, 32);
}
