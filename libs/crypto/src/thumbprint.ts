import { sha256, toBase64Url, utf8 } from './encoding.ts';

/** The members of a public JWK that its thumbprint covers. */
export type ThumbprintJwk =
  | { kty: 'OKP'; crv: string; x: string }
  | { kty: 'EC'; crv: string; x: string; y: string }
  | { kty: 'AKP'; alg: string; pub: string };

/**
 * Names a public key by its own bytes.
 *
 *     kid = b64url(SHA-256(JSON of the required members, in lexical order, without spaces))
 *
 * @returns 43 characters
 * @see RFC 7638 §3; RFC 8037 §2; draft-ietf-cose-dilithium for AKP
 */
export function thumbprint(jwk: ThumbprintJwk): string {
  return toBase64Url(sha256(utf8(JSON.stringify(required(jwk)))));
}

function required(jwk: ThumbprintJwk): Record<string, string> {
  if (jwk.kty === 'AKP') return { alg: jwk.alg, kty: jwk.kty, pub: jwk.pub };
  const { crv, kty, x } = jwk;
  return jwk.kty === 'EC' ? { crv, kty, x, y: jwk.y } : { crv, kty, x };
}
