// Proof that whoever brings a token has the key that it is bound to (RFC 9449).
import { createHash } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, errors, jwtVerify } from 'jose';

const SECONDS = 300; // that a clock may be wrong
const used = new Map(); // ids of proofs, and when they may be forgotten

/** @throws errors.JOSEError when there is no proof of this key for this request, or it was used before */
export async function checkProof(proof, { token, jkt, method, url }) {
  const rules = { typ: 'dpop+jwt', algorithms: ['ES256'], requiredClaims: ['jti', 'iat'] };
  const { payload, protectedHeader } = await jwtVerify(proof ?? '', EmbeddedJWK, rules);
  const now = Date.now() / 1000;
  for (const [id, until] of used) if (until < now) used.delete(id);
  const isFor =
    payload.htm === method &&
    payload.htu === url &&
    payload.ath === createHash('sha256').update(token).digest('base64url') &&
    Math.abs(now - payload.iat) <= SECONDS &&
    (await calculateJwkThumbprint(protectedHeader.jwk)) === jkt;
  if (!isFor || used.has(payload.jti)) throw new errors.JOSEError('The proof does not fit.');
  used.set(payload.jti, payload.iat + SECONDS);
}
