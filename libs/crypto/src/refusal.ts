/** Why opening or checking something was refused; one code for each case a caller must tell apart. */
export type RefusalCode =
  | 'bundle-forged'
  | 'scoped-keys-forged'
  | 'signature-invalid'
  | 'key-invalid'
  | 'unwrap-failed'
  | 'revocation-malformed'
  | 'not-a-recipient'
  | 'commitment-mismatch'
  | 'envelope-forged'
  | 'file-forged'
  | 'record-forged'
  | 'sync-record-forged'
  | 'sync-record-misplaced'
  | 'sync-keys-malformed'
  | 'sync-key-malformed'
  | 'recovery-key-invalid'
  | 'recovery-data-forged';

/**
 * Says that bytes from outside (a server, a peer, a file) did not pass a cryptographic check.
 *
 * Misuse by the caller (a key of the wrong length) is a `RangeError` or `TypeError` instead.
 */
export class CryptoRefusal extends Error {
  override readonly name = 'CryptoRefusal';

  constructor(
    readonly code: RefusalCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
