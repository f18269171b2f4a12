/**
 * X-Wing: X25519 and ML-KEM-768 in one key, so that what is encrypted to it stays closed as long as one of the
 * two holds. Keys are raw bytes; `hpke` is given the pieces of suite HPKE-11 that WebCrypto in Node 20 and in
 * browsers does not have.
 *
 * | part | bytes |
 * | --- | --- |
 * | private key | 32, the seed of both |
 * | public key | 1216: ML-KEM-768 (1184), X25519 (32) |
 * | encapsulated secret | 1120: ML-KEM-768 (1088), X25519 (32) |
 *
 * @see draft-connolly-cfrg-xwing-kem; draft-ietf-hpke-pq; FIPS 203 §7.2
 * @module
 */
import { shake256 } from '@noble/hashes/sha3.js';
import { ml_kem768_x25519 as xWing } from '@noble/post-quantum/hybrid.js';
import type { KDF, KEM, Key } from 'hpke';

import { randomBytes } from './encoding.ts';
import { isUsablePoint } from './x25519-point.ts';

export const X_WING_SEED_LENGTH = 32;
const X_WING_PUBLIC_LENGTH = 1216;
const ML_KEM_VECTOR_LENGTH = 1152;
const ML_KEM_PUBLIC_LENGTH = 1184;
const Q = 3329;

/** Makes a random seed: the private key. 32 bytes. */
export function generateXWingSeed(): Uint8Array {
  return randomBytes(X_WING_SEED_LENGTH);
}

/** The public key of a seed, 1216 bytes. @throws Error when the seed is not 32 bytes long */
export function xWingPublicKey(seed: Uint8Array): Uint8Array {
  return xWing.keygen(seed).publicKey;
}

/**
 * Tells whether bytes are a public key that may be encrypted to: every coefficient of the ML-KEM part below q,
 * and a canonical X25519 point of full order.
 *
 * @see FIPS 203 §7.2, "Modulus check"
 */
export function isXWingPublicKey(bytes: Uint8Array): boolean {
  if (bytes.length !== X_WING_PUBLIC_LENGTH) return false;
  for (let i = 0; i < ML_KEM_VECTOR_LENGTH; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3);
    if ((a | ((b & 15) << 8)) >= Q || ((b >> 4) | (c << 4)) >= Q) return false;
  }
  return isUsablePoint(bytes.subarray(ML_KEM_PUBLIC_LENGTH));
}

/** A key as `hpke` carries it about. */
class XWingKey implements Key {
  readonly algorithm = { name: 'X-Wing' };
  readonly extractable = true;
  constructor(
    readonly type: 'private' | 'public',
    readonly bytes: Uint8Array,
  ) {}
}

const notSupported = () => Promise.reject(new TypeError('Keys are made from seeds alone.'));

/** The KEM of HPKE-10 and HPKE-11 for `hpke`. */
export const xWingKem = (): KEM<XWingKey> => ({
  ...{ id: 0x647a, type: 'KEM', name: 'MLKEM768-X25519' },
  ...{ Nsecret: 32, Nenc: 1120, Npk: X_WING_PUBLIC_LENGTH, Nsk: X_WING_SEED_LENGTH },
  DeriveKeyPair: notSupported,
  GenerateKeyPair: notSupported,
  SerializePublicKey: ({ bytes }) => Promise.resolve(bytes),
  DeserializePublicKey: (bytes) => Promise.resolve(new XWingKey('public', bytes.slice())),
  SerializePrivateKey: ({ bytes }) => Promise.resolve(bytes),
  DeserializePrivateKey: (bytes) => Promise.resolve(new XWingKey('private', bytes.slice())),
  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is to be a rejection
  async Encap({ bytes }) {
    const { cipherText, sharedSecret } = xWing.encapsulate(bytes);
    return { enc: cipherText, shared_secret: sharedSecret };
  },
  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is to be a rejection
  async Decap(enc, { bytes }) {
    return xWing.decapsulate(enc, bytes);
  },
});

/** SHAKE256 as a one-stage KDF for `hpke`. */
export const shake256Kdf = (): KDF => ({
  ...{ id: 0x0011, type: 'KDF', name: 'SHAKE256', Nh: 64, stages: 1 },
  Extract: notSupported,
  Expand: notSupported,
  Derive: (ikm, length) => Promise.resolve(shake256(ikm, { dkLen: length })),
});
