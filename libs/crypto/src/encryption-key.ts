import { x25519 } from '@noble/curves/ed25519.js';

import { isObject } from './checks.ts';
import { equalBytes, fromBase64Url, toBase64Url } from './encoding.ts';
import { CryptoRefusal } from './refusal.ts';
import { thumbprint } from './thumbprint.ts';
import { isUsablePoint } from './x25519-point.ts';
import {
  generateXWingSeed,
  isXWingPublicKey,
  X_WING_SEED_LENGTH,
  xWingPublicKey,
} from './x-wing.ts';

/** What keys are for: `HPKE-4-KE` is X25519, `HPKE-11-KE` is X-Wing, a hybrid with ML-KEM-768. */
export type EncryptionAlgorithm = 'HPKE-4-KE' | 'HPKE-11-KE';

/** An X25519 public key, as published in the Signed Key List. */
export interface X25519PublicJwk {
  kty: 'OKP';
  crv: 'X25519';
  /** The public key, 32 bytes as base64url. */
  x: string;
  alg: 'HPKE-4-KE';
  use: 'enc';
  /** RFC 7638 thumbprint. */
  kid: string;
}

/** An X-Wing public key, as published in the Signed Key List. */
export interface XWingPublicJwk {
  kty: 'AKP';
  alg: 'HPKE-11-KE';
  /** The public key, 1216 bytes as base64url. */
  pub: string;
  use: 'enc';
  /** RFC 7638 thumbprint. */
  kid: string;
}

/** A user's public encryption key in one application. */
export type EncryptionPublicJwk = X25519PublicJwk | XWingPublicJwk;

/** An X25519 pair; `d` is 32 bytes as base64url. */
export type X25519PrivateJwk = X25519PublicJwk & { d: string };

/** An X-Wing pair; `priv` is the seed, 32 bytes as base64url. */
export type XWingPrivateJwk = XWingPublicJwk & { priv: string };

/** The private half of a key; it travels only wrapped (`wrapPrivateKey`). */
export type EncryptionPrivateJwk = X25519PrivateJwk | XWingPrivateJwk;

/** An encryption key pair. */
export interface EncryptionKey<
  P extends EncryptionPublicJwk = EncryptionPublicJwk,
  S extends EncryptionPrivateJwk = EncryptionPrivateJwk,
> {
  publicJwk: P;
  privateJwk: S;
}

/**
 * Makes a random X25519 pair for HPKE-4-KE.
 *
 * @see RFC 7748 §6.1; RFC 8037 §2
 */
export async function generateEncryptionKey(): Promise<
  EncryptionKey<X25519PublicJwk, X25519PrivateJwk>
> {
  const pair = await crypto.subtle.generateKey({ name: 'X25519' }, true, ['deriveBits']);
  if (!('privateKey' in pair)) throw new TypeError('The platform made no key pair.');
  const { x = '', d = '' } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  const kid = thumbprint({ kty: 'OKP', crv: 'X25519', x });
  const publicJwk: X25519PublicJwk = {
    ...{ kty: 'OKP', crv: 'X25519', x },
    ...{ alg: 'HPKE-4-KE', use: 'enc', kid },
  };
  return { publicJwk, privateJwk: { ...publicJwk, d } };
}

/**
 * Makes a random X-Wing pair for HPKE-11-KE: what is encrypted to it stays closed to a quantum computer too.
 *
 * @see draft-connolly-cfrg-xwing-kem §5.2
 */
export function generateHybridKey(): EncryptionKey<XWingPublicJwk, XWingPrivateJwk> {
  const seed = generateXWingSeed();
  const pub = toBase64Url(xWingPublicKey(seed));
  const kid = thumbprint({ kty: 'AKP', alg: 'HPKE-11-KE', pub });
  const publicJwk: XWingPublicJwk = { kty: 'AKP', alg: 'HPKE-11-KE', pub, use: 'enc', kid };
  return { publicJwk, privateJwk: { ...publicJwk, priv: toBase64Url(seed) } };
}

const refuse = (why: string) => new CryptoRefusal('key-invalid', `The public key ${why}.`);

/** Every member that could hold a private or symmetric key, of any kind of JWK (RFC 7518 §6; RFC 8037 §2). */
const SECRET_MEMBERS = ['d', 'priv', 'k', 'p', 'q', 'dp', 'dq', 'qi', 'oth'];

/**
 * Checks a public key that somebody else published, before anything is encrypted to it.
 *
 * @param jwk - from JSON; members not listed in `EncryptionPublicJwk` are ignored
 * @returns the key with the known members only
 * @throws CryptoRefusal `key-invalid` when it is of another type, algorithm or use, carries a private part, is
 * not canonical, has low order, or its kid is not its thumbprint
 * @see RFC 7748 §6.1; RFC 8037 §2; RFC 7638 §3; FIPS 203 §7.2
 */
export function importPublicKey(jwk: unknown): EncryptionPublicJwk {
  if (!isObject(jwk)) throw refuse('is not a JWK');
  if (SECRET_MEMBERS.some((name) => name in jwk)) throw refuse('carries a private part');
  const key = jwk['kty'] === 'AKP' ? importXWing(jwk) : importX25519(jwk);
  if (jwk['kid'] !== key.kid) throw refuse('is named after another key');
  return key;
}

function importX25519({ kty, crv, x, alg, use }: Record<string, unknown>): X25519PublicJwk {
  if (kty !== 'OKP' || crv !== 'X25519') throw refuse('is not on X25519');
  if (alg !== 'HPKE-4-KE' || use !== 'enc') throw refuse('is not for HPKE-4-KE');
  if (typeof x !== 'string' || !holds(x, isUsablePoint)) {
    throw refuse('is not a point of full order');
  }
  return { kty, crv, x, alg, use, kid: thumbprint({ kty, crv, x }) };
}

function importXWing({ alg, pub, use }: Record<string, unknown>): XWingPublicJwk {
  if (alg !== 'HPKE-11-KE' || use !== 'enc') throw refuse('is not for HPKE-11-KE');
  if (typeof pub !== 'string' || !holds(pub, isXWingPublicKey)) {
    throw refuse('is not a key of X-Wing');
  }
  return { kty: 'AKP', alg, pub, use, kid: thumbprint({ kty: 'AKP', alg, pub }) };
}

function holds(text: string, isSound: (bytes: Uint8Array) => boolean): boolean {
  try {
    return isSound(fromBase64Url(text));
  } catch {
    return false;
  }
}

/**
 * Checks a private key after unwrapping.
 *
 * @throws CryptoRefusal `key-invalid` when its public half is invalid or does not belong to the private one
 */
export function importPrivateKey(jwk: unknown): EncryptionPrivateJwk {
  if (!isObject(jwk)) throw new CryptoRefusal('key-invalid', 'The private key is not a JWK.');
  const { [jwk['kty'] === 'AKP' ? 'priv' : 'd']: secret, ...rest } = jwk;
  const publicJwk = importPublicKey(rest);
  const isPair =
    typeof secret === 'string' &&
    holds(secret, (bytes) => equalBytes(publicOf(publicJwk.kty, bytes), publicBytes(publicJwk)));
  if (!isPair) {
    throw new CryptoRefusal('key-invalid', 'The private key belongs to another public key.');
  }
  return publicJwk.kty === 'AKP' ? { ...publicJwk, priv: secret } : { ...publicJwk, d: secret };
}

function publicOf(kty: EncryptionPublicJwk['kty'], secret: Uint8Array): Uint8Array {
  if (kty === 'OKP') return x25519.getPublicKey(secret);
  return secret.length === X_WING_SEED_LENGTH ? xWingPublicKey(secret) : new Uint8Array();
}

/** The bytes of a public key: 32 of X25519, 1216 of X-Wing. @throws RangeError when they are not base64url */
export function publicBytes(jwk: EncryptionPublicJwk): Uint8Array {
  return fromBase64Url(jwk.kty === 'AKP' ? jwk.pub : jwk.x);
}

/** The public half of a private key. */
export function publicHalf(jwk: EncryptionPrivateJwk): EncryptionPublicJwk {
  if (jwk.kty === 'AKP') {
    const { kty, alg, pub, use, kid } = jwk;
    return { kty, alg, pub, use, kid };
  }
  const { kty, crv, x, alg, use, kid } = jwk;
  return { kty, crv, x, alg, use, kid };
}

/** The bytes of a private key, 32 of either kind. @throws RangeError when they are not base64url */
export function privateBytes(jwk: EncryptionPrivateJwk): Uint8Array {
  return fromBase64Url(jwk.kty === 'AKP' ? jwk.priv : jwk.d);
}
