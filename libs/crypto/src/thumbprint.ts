import { sha256, toBase64Url, utf8 } from './encoding.ts';

/** The members of a public JWK that its thumbprint covers. */
export type ThumbprintJwk =
  { kty: 'OKP'; crv: string; x: string } | { kty: 'EC'; crv: string; x: string; y: string };

/**
 * Names a public key by its own bytes.
 *
 *     kid = b64url(SHA-256(JSON of the required members, in lexical order, without spaces))
 *
 * @returns 43 characters
 * @see RFC 7638 §3; RFC 8037 §2
 */
export function thumbprint(jwk: ThumbprintJwk): string {
  const { crv, kty, x } = jwk;
  const members = kty === 'EC' ? { crv, kty, x, y: jwk.y } : { crv, kty, x };
  return toBase64Url(sha256(utf8(JSON.stringify(members))));
}
