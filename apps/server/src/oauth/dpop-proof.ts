import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import { Failure } from '#lib/protocol';
import { hashOf } from './token-hash.ts';

/** What proofs may be signed with: asymmetric all of them. Discovery names them. */
export const DPOP_ALGS = ['ES256', 'EdDSA', 'Ed25519'] as const;

/** Seconds that the clock of a client may be off, either way: oidc-provider's own window. */
const WINDOW_SECONDS = 300;

/** After this many seconds from now, a proof that is good now is good no more. */
export const PROOF_SECONDS = 2 * WINDOW_SECONDS;

/** What a request shows beside its token. */
export interface ProofAsked {
  /** The `DPoP` header, which comes once. */
  proof: string | string[] | undefined;
  method: string;
  /** The public address, without a query. */
  url: string;
  token: string;
  now: Date;
}

/**
 * Checks a proof of possession as far as it says itself (RFC 9449 §4.3); that it comes once, and by
 * the key that the token is bound to, is for whoever reads the table.
 *
 * @returns the thumbprint of its key, and a name for the proof that no other one has
 * @throws Failure `unauthenticated`
 */
export async function checkProof(asked: ProofAsked): Promise<{ jkt: string; proofId: string }> {
  const { proof, method, url, token, now } = asked;
  if (typeof proof !== 'string') throw badProof('one DPoP header is needed');
  const verified = await jwtVerify(proof, EmbeddedJWK, {
    ...{ algorithms: [...DPOP_ALGS], typ: 'dpop+jwt', currentDate: now },
  }).catch((cause: unknown) => {
    throw badProof('it is malformed, or its signature does not fit', cause);
  });
  const { payload, protectedHeader } = verified;
  if (typeof payload.jti !== 'string' || payload.jti === '') throw badProof('jti is missing');
  if (payload['htm'] !== method) throw badProof('htm is another method');
  if (addressOf(payload['htu']) !== addressOf(url)) throw badProof('htu is another address');
  if (payload['ath'] !== hashOf(token)) throw badProof('ath is of another token');
  const age = now.getTime() / 1000 - (payload.iat ?? 0);
  if (Math.abs(age) > WINDOW_SECONDS) throw badProof('iat is too far from now');
  const jkt = await calculateJwkThumbprint(protectedHeader.jwk ?? {});
  return { jkt, proofId: hashOf(`${jkt} ${payload.jti}`) };
}

/** Normalised, without query and fragment; undefined when it is no address. */
function addressOf(text: unknown): string | undefined {
  if (typeof text !== 'string' || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  url.search = '';
  url.hash = '';
  return url.href;
}

/** The challenge for who holds a token that is bound to a key (RFC 9449 §7.1). */
export const dpopChallenge = (error: string) =>
  `DPoP error="${error}", algs="${DPOP_ALGS.join(' ')}"`;

/** A refusal of the proof, and not of the token. */
export const badProof = (why: string, cause?: unknown) =>
  new Failure('unauthenticated', `The DPoP proof is no good: ${why}.`, {
    cause,
    headers: { 'www-authenticate': dpopChallenge('invalid_dpop_proof') },
  });
