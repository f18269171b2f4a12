import { ed25519 } from '@noble/curves/ed25519.js';
import { CompactSign, importJWK } from 'jose';

import { forWebCrypto, isObject } from './checks.ts';
import { fromBase64Url, fromUtf8, toBase64Url, toHex, utf8 } from './encoding.ts';
import { CryptoRefusal } from './refusal.ts';
import { deriveSubKey } from './sub-keys.ts';
import { thumbprint } from './thumbprint.ts';
import { isCanonical } from './x25519-point.ts';

/** The public half of an identity. */
export interface IdentityJwk {
  kty: 'OKP';
  crv: 'Ed25519';
  /** The public key, 32 bytes as base64url. */
  x: string;
}

/** One user's signing key in one application (idk). */
export interface Identity {
  publicJwk: IdentityJwk;
  /** RFC 7638 thumbprint of the public key. */
  kid: string;
  /** Signs JSON as a compact JWS with header {alg: "EdDSA", typ, kid, jwk}. */
  sign: (typ: string, payload: object) => Promise<string>;
  /** Signs text by Ed25519: base64url, 64 bytes. The text must not look like the first two parts of a JWS. */
  signText: (text: string) => Promise<string>;
}

/**
 * Derives the identity from kBr, so that every device has it and nobody stores it.
 *
 *     seed = HKDF(kBr, no salt, "keyservice/v1/identity", 32)        Ed25519 seed
 *
 * @param kBr - 32 bytes
 * @throws RangeError when kBr is not 32 bytes long
 * @see RFC 8032 §5.1.5; RFC 8037 §3.1; keys.md §3.1
 */
export async function deriveIdentity(kBr: Uint8Array): Promise<Identity> {
  const seed = deriveSubKey(kBr, 'identity');
  const publicJwk: IdentityJwk = {
    kty: 'OKP',
    crv: 'Ed25519',
    x: toBase64Url(ed25519.getPublicKey(seed)),
  };
  const kid = thumbprint(publicJwk);
  const key = await importJWK({ ...publicJwk, d: toBase64Url(seed) }, 'EdDSA');
  return {
    publicJwk,
    kid,
    sign: (typ, payload) =>
      new CompactSign(utf8(JSON.stringify(payload)))
        .setProtectedHeader({ alg: 'EdDSA', typ, kid, jwk: publicJwk })
        .sign(key),
    signText: (text) => Promise.resolve(toBase64Url(ed25519.sign(utf8(text), seed))),
  };
}

const refuse = (cause: unknown): CryptoRefusal =>
  new CryptoRefusal('signature-invalid', 'The signed object does not verify.', { cause });

/** Takes a compact JWS apart; every part has one spelling, so one signed object has one spelling. */
function readCompact(jws: string) {
  const [encodedHeader, encodedPayload, encodedSignature, ...others] = jws.split('.');
  if (encodedHeader === undefined || encodedPayload === undefined || others.length > 0) {
    throw new TypeError('It is not a compact JWS.');
  }
  const header: unknown = JSON.parse(fromUtf8(fromBase64Url(encodedHeader)));
  if (!isObject(header)) throw new TypeError('The header is not an object.');
  return {
    header,
    payload: fromBase64Url(encodedPayload),
    signature: fromBase64Url(encodedSignature ?? ''),
    signed: utf8(`${encodedHeader}.${encodedPayload}`),
  };
}

const ORDER_8 = ed25519.Point.fromHex(
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
);
/** The y of the eight points of small order, which are the multiples of one of order 8. */
const SMALL_ORDER: ReadonlySet<string> = new Set(
  [0, 1, 2, 3, 4, 5, 6, 7].map((n) => {
    const point = n === 0 ? ed25519.Point.ZERO : ORDER_8.multiplyUnsafe(BigInt(n));
    return toHex(withoutSign(point.toBytes()));
  }),
);

/** The y of an encoded point. */
function withoutSign(bytes: Uint8Array): Uint8Array {
  const y = bytes.slice();
  y[31] = (y[31] ?? 0) & 0x7f;
  return y;
}

/**
 * Whether bytes are a canonical spelling, and not of small order. Whether they are a point at all, the
 * verification finds out: to compute it here would take as long again.
 */
function isFullOrder(bytes: Uint8Array): boolean {
  if (bytes.length !== 32) return false;
  const y = withoutSign(bytes);
  return isCanonical(y) && !SMALL_ORDER.has(toHex(y));
}

/**
 * Reads the public half of an identity.
 *
 * @throws TypeError or RangeError when it is not exactly an Ed25519 public key of full order
 */
export function readIdentityJwk(value: unknown): IdentityJwk {
  if (!isObject(value)) throw new TypeError('The key is not a JWK.');
  const { kty, crv, x } = value;
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || 'd' in value) {
    throw new TypeError('The key is not an Ed25519 public key.');
  }
  const bytes = fromBase64Url(x);
  if (!isFullOrder(bytes)) {
    throw new TypeError('The key is not an Ed25519 point of full order.');
  }
  return { kty, crv, x };
}

/**
 * Checks an Ed25519 signature over bytes.
 *
 * @throws TypeError or RangeError when the key is not an Ed25519 public key of full order
 * @see RFC 8032 §5.1.7
 */
export async function verifyBytes(
  publicJwk: IdentityJwk,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const bytes = forWebCrypto(fromBase64Url(readIdentityJwk(publicJwk).x));
  const key = await crypto.subtle.importKey('raw', bytes, 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, forWebCrypto(signature), forWebCrypto(message));
}

/**
 * Checks a signed object under a key the caller already trusts; the key in the header is never used.
 *
 * @param publicJwk - the signer's pinned or proved key
 * @param typ - the only accepted `typ`
 * @returns the payload, parsed from JSON and not otherwise checked
 * @throws CryptoRefusal `signature-invalid` when the signature, algorithm (EdDSA or Ed25519), `typ`, encoding
 * or key is wrong, or the header has `crit`
 * @see RFC 7515 §5.2; RFC 8037 §3.1; RFC 8725 §3.1, §3.11
 */
export async function verifySigned(
  jws: string,
  publicJwk: IdentityJwk,
  typ: string,
): Promise<unknown> {
  try {
    const { header, payload, signature, signed } = readCompact(jws);
    const { alg, crit, b64 } = header;
    if (alg !== 'EdDSA' && alg !== 'Ed25519') throw new TypeError('It is of another algorithm.');
    if (header['typ'] !== typ) throw new TypeError('It is of another type.');
    if (crit !== undefined || b64 !== undefined) throw new TypeError('It asks for extensions.');
    if (!(await verifyBytes(publicJwk, signed, signature))) throw new TypeError('It is forged.');
    return JSON.parse(fromUtf8(payload)) as unknown;
  } catch (cause) {
    throw refuse(cause);
  }
}

/**
 * Reads who claims to have signed, without checking the signature: for first contact, before a key is pinned.
 *
 * @returns the key of the header; kid is its thumbprint
 * @throws CryptoRefusal `signature-invalid` when the header is malformed or its kid is another key's
 */
export function readSigner(jws: string): { jwk: IdentityJwk; kid: string } {
  try {
    const { header } = readCompact(jws);
    const jwk = readIdentityJwk(header['jwk']);
    const kid = thumbprint(jwk);
    if (header['kid'] !== kid) throw new TypeError("The header's kid belongs to another key.");
    return { jwk, kid };
  } catch (cause) {
    throw refuse(cause);
  }
}
