import { x25519 } from '@noble/curves/ed25519.js';

import { isObject } from './checks.ts';
import { equalBytes, fromBase64Url } from './encoding.ts';
import { CryptoRefusal } from './refusal.ts';
import { thumbprint } from './thumbprint.ts';

/** A user's public encryption key in one application, as published in the Signed Key List. */
export interface EncryptionPublicJwk {
  kty: 'OKP';
  crv: 'X25519';
  /** The public key, 32 bytes as base64url. */
  x: string;
  alg: 'HPKE-4-KE';
  use: 'enc';
  /** RFC 7638 thumbprint. */
  kid: string;
}

/** Its private half; it travels only wrapped (`wrapPrivateKey`). */
export interface EncryptionPrivateJwk extends EncryptionPublicJwk {
  /** The private key, 32 bytes as base64url. */
  d: string;
}

/** An encryption key pair. */
export interface EncryptionKey {
  publicJwk: EncryptionPublicJwk;
  privateJwk: EncryptionPrivateJwk;
}

/**
 * Makes a random X25519 pair for HPKE-4-KE.
 *
 * @see RFC 7748 §6.1; RFC 8037 §2
 */
export async function generateEncryptionKey(): Promise<EncryptionKey> {
  const pair = await crypto.subtle.generateKey({ name: 'X25519' }, true, ['deriveBits']);
  if (!('privateKey' in pair)) throw new TypeError('The platform made no key pair.');
  const { x = '', d = '' } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  const kid = thumbprint({ kty: 'OKP', crv: 'X25519', x });
  const publicJwk: EncryptionPublicJwk = {
    ...{ kty: 'OKP', crv: 'X25519', x },
    ...{ alg: 'HPKE-4-KE', use: 'enc', kid },
  };
  return { publicJwk, privateJwk: { ...publicJwk, d } };
}

// Any scalar does: clamping makes it a multiple of the cofactor 8, which sends a low-order point to zero.
const SCALAR = new Uint8Array(32).fill(1);
const P = 2n ** 255n - 19n;

function isUsablePoint(bytes: Uint8Array): boolean {
  const u = bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  if (bytes.length !== 32 || u >= P) return false;
  try {
    x25519.getSharedSecret(SCALAR, bytes);
    return true;
  } catch {
    return false;
  }
}

/**
 * Checks a public key that somebody else published, before anything is encrypted to it.
 *
 * @param jwk - from JSON; members not listed in `EncryptionPublicJwk` are ignored
 * @returns the key with the known members only
 * @throws CryptoRefusal `key-invalid` when it is of another type, algorithm or use, carries a private part, is
 * not 32 canonical bytes, has low order, or its kid is not its thumbprint
 * @see RFC 7748 §6.1; RFC 8037 §2; RFC 7638 §3
 */
export function importPublicKey(jwk: unknown): EncryptionPublicJwk {
  const refuse = (why: string) => new CryptoRefusal('key-invalid', `The public key ${why}.`);
  if (!isObject(jwk)) throw refuse('is not a JWK');
  const { kty, crv, x, alg, use, kid } = jwk;
  if ('d' in jwk) throw refuse('carries a private part');
  if (kty !== 'OKP' || crv !== 'X25519') throw refuse('is not on X25519');
  if (alg !== 'HPKE-4-KE' || use !== 'enc') throw refuse('is not for HPKE-4-KE');
  if (typeof x !== 'string' || !isPoint(x)) throw refuse('is not a point of full order');
  if (typeof kid !== 'string' || kid !== thumbprint({ kty, crv, x })) {
    throw refuse('is named after another key');
  }
  return { kty, crv, x, alg, use, kid };
}

function isPoint(x: string): boolean {
  try {
    return isUsablePoint(fromBase64Url(x));
  } catch {
    return false;
  }
}

/**
 * Checks a private key after unwrapping.
 *
 * @throws CryptoRefusal `key-invalid` when its public half is invalid or does not belong to `d`
 */
export function importPrivateKey(jwk: unknown): EncryptionPrivateJwk {
  if (!isObject(jwk)) throw new CryptoRefusal('key-invalid', 'The private key is not a JWK.');
  const { d, ...rest } = jwk;
  const publicJwk = importPublicKey(rest);
  if (typeof d !== 'string' || !isPair(publicJwk.x, d)) {
    throw new CryptoRefusal('key-invalid', 'The private key belongs to another public key.');
  }
  return { ...publicJwk, d };
}

function isPair(x: string, d: string): boolean {
  try {
    return equalBytes(x25519.getPublicKey(fromBase64Url(d)), fromBase64Url(x));
  } catch {
    return false;
  }
}
