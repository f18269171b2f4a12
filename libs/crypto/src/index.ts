/**
 * Everything cryptographic: derivations, envelopes, signatures, file and record formats. It runs unchanged in
 * a browser and in Node, reads no clock, and imports no other part of the project.
 *
 * @module
 */
export { CryptoRefusal, type RefusalCode } from './refusal.ts';
export {
  concat,
  createSha256,
  equalBytes,
  fromBase64,
  fromBase64Url,
  fromHex,
  fromUtf8,
  randomBytes,
  sha256,
  toBase64,
  toBase64Url,
  toHex,
  utf8,
  xor,
  type Sha256,
} from './encoding.ts';
export { hkdf } from './hkdf.ts';
export { hmacSha256 } from './hmac.ts';
export {
  deriveAuthPW,
  deriveUnwrapBKey,
  deriveVerifyHash,
  deriveWrapwrapKey,
  makeClientSalt,
  quickStretch,
  quickStretchV2,
} from './onepw.ts';
export {
  deriveRecoveryKeyId,
  formatRecoveryKey,
  generateRecoveryKey,
  openRecoveryData,
  parseRecoveryKey,
  sealRecoveryData,
} from './recovery-key.ts';
export {
  bundleKeys,
  deriveToken,
  openKeysBundle,
  type DerivedToken,
  type KeysBundle,
  type TokenKind,
} from './tokens.ts';
export {
  hawkMac,
  hawkPayloadHash,
  hawkPayloadString,
  hawkString,
  parseHawkHeader,
  signHawk,
  type HawkArtifacts,
  type HawkHeader,
  type HawkRequest,
} from './hawk.ts';
export { deriveTokenKey, mintToken, openToken } from './tokenlib.ts';
export {
  appKeyIdentifier,
  deriveOldSyncKey,
  deriveScopedKey,
  type KeyWithId,
  type ScopedKeyInput,
} from './scoped-key.ts';
export { deriveSubKey, type SubKeyPurpose } from './sub-keys.ts';
export { thumbprint, type ThumbprintJwk } from './thumbprint.ts';
export {
  generateKeysJwk,
  openScopedKeys,
  sealScopedKeys,
  type KeysPrivateJwk,
  type KeysPublicJwk,
  type ScopedKeyJwk,
} from './keys-jwe.ts';
export {
  deriveIdentity,
  readIdentityJwk,
  readSigner,
  verifySigned,
  type Identity,
  type IdentityJwk,
} from './identity.ts';
export {
  generateEncryptionKey,
  generateHybridKey,
  importPublicKey,
  privateBytes,
  publicHalf,
  type EncryptionAlgorithm,
  type EncryptionKey,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
} from './encryption-key.ts';
export {
  linkText,
  readRevocation,
  revocationText,
  signLink,
  signRevocation,
  verifyLink,
  verifyRevocation,
  writeRevocation,
  type IdentityLink,
  type KeyPlace,
  type Revocation,
} from './key-statements.ts';
export {
  compareSafetyCode,
  isWholeSafety,
  safetyCode,
  safetyNumber,
  type SafetyParty,
} from './safety-number.ts';
export { unwrapPrivateKey, wrapPrivateKey, type WrapContext } from './wrapped-key.ts';
export {
  openEnvelope,
  readRecipients,
  sealEnvelope,
  type EnvelopeReader,
  type EnvelopeRecipient,
  type EnvelopeToSeal,
} from './envelope.ts';
export { webCryptoAead, type Aead } from './aead.ts';
export {
  decryptFloe,
  encryptFloe,
  floeSize,
  FLOE_HEADER_LENGTH,
  FLOE_SEGMENT_LENGTHS,
  FLOE_SEGMENT_OVERHEAD,
  openFloeSegment,
  type FloeDecryption,
  type FloeEncryption,
  type FloeSegment,
} from './floe.ts';
export {
  deriveRecordKey,
  openRecord,
  sealRecord,
  type RecordKey,
  type RecordPlace,
  recordKeyId,
} from './record.ts';
export {
  deriveSyncKeyBundle,
  generateKeyBundle,
  isSameKeyBundle,
  keyBundleFromBytes,
  keyBundleId,
  type KeyBundle,
} from './sync-format/key-bundle.ts';
export {
  KEYS_ID,
  keyBundleOf,
  openCollectionKeys,
  sealCollectionKeys,
  type CollectionKeys,
} from './sync-format/collection-keys.ts';
export { openFormat5, resealFormat5, sealFormat5 } from './sync-format/format-5.ts';
export {
  openCryptoRecord,
  openFormat6,
  sealCryptoRecord,
  sealFormat6,
  type CryptoRecord,
} from './sync-format/format-6.ts';
export {
  deriveLegacySyncKeyBundle,
  formatSyncKey,
  parseSyncKey,
  syncKeyFromPassphrase,
} from './sync-format/legacy-sync-key.ts';
