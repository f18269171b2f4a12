import { z } from 'zod';
import { CryptoRefusal, readSigner, verifySigned } from '#lib/crypto';
import { Base64Url, Failure, type FailureCode } from '#lib/protocol';
import { parseStrictly } from './strict-json.ts';

/** Exactly these members: what is not here would be covered by the signature, yet checked by nobody. */
const Header = z.strictObject({
  alg: z.literal('EdDSA'),
  typ: z.string(),
  kid: Base64Url.length(43),
  jwk: z.strictObject({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: Base64Url.length(43),
  }),
});

/** Whose signed object it has to be, and when it comes. */
export interface Place {
  realm: string;
  uid: string;
  clientId: string;
  /** Seconds since 1970. */
  now: number;
}

/** How far, in seconds, a publisher's clock may be ahead of ours. */
const SKEW_SECONDS = 600;

/** What every signed object says of its place. */
interface Placed {
  iss: string;
  sub: string;
  cid: string;
  iat: number;
}

/**
 * Opens a compact JWS by the key in its own header: who that is, is the caller's to judge.
 *
 * @param code - of the refusal, whose detail names `what` is wrong
 * @returns the payload as it was signed, and as the schema reads it, and `x` of the signer
 */
export async function openSigned<T extends Placed>(
  jws: string,
  { typ, schema, what, code }: Kind<T>,
  place: Place,
): Promise<{ signed: unknown; payload: T; signer: string }> {
  const refuse = (why: string, cause?: unknown) => new Failure(code, why, { cause });
  const [encodedHeader, encodedPayload] = jws.split('.').map(readPart);
  const header = Header.safeParse(encodedHeader);
  if (!header.success || header.data.typ !== typ) {
    throw refuse(`The header is not that of ${what}.`);
  }
  const payload = schema.safeParse(encodedPayload);
  if (!payload.success) throw refuse(`The payload is not ${what}.`);
  try {
    await verifySigned(jws, readSigner(jws).jwk, typ);
  } catch (error) {
    if (!(error instanceof CryptoRefusal)) throw error;
    throw refuse('It is not signed by the identity key in its header.', error);
  }
  const { iss, sub, cid, iat } = payload.data;
  if (iss !== place.realm) throw refuse('It was made for another realm.');
  if (sub !== place.uid) throw refuse('It is of another user.');
  if (cid !== place.clientId) throw refuse('It is of another app.');
  if (iat > place.now + SKEW_SECONDS) throw refuse('It was made in the future.');
  return { signed: encodedPayload, payload: payload.data, signer: header.data.jwk.x };
}

interface Kind<T> {
  typ: string;
  schema: z.ZodType<T>;
  /** With its article. */
  what: string;
  code: FailureCode;
}

/** One part of a compact serialisation; undefined when it is no JSON, or says something twice. */
export function readPart(part: string): unknown {
  try {
    const bytes = Buffer.from(part, 'base64url');
    return parseStrictly(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // the signature is no JSON, and a malformed header or payload fits no schema
  }
}
