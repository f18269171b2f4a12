import { createHash, createPublicKey, verify } from 'node:crypto';
import { z } from 'zod';
import { type IdentityJwk, readIdentityJwk } from '#lib/crypto';
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
export const SKEW_SECONDS = 600;

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
export function openSigned<T extends Placed>(
  jws: string,
  { typ, schema, what, code }: Kind<T>,
  place: Place,
): { signed: unknown; payload: T; signer: string } {
  const refuse = (why: string, cause?: unknown) => new Failure(code, why, { cause });
  const parts = jws.split('.');
  const header = Header.safeParse(readPart(parts[0] ?? ''));
  if (!header.success || header.data.typ !== typ) {
    throw refuse(`The header is not that of ${what}.`);
  }
  const signed = readPart(parts[1] ?? '');
  const payload = schema.safeParse(signed);
  if (!payload.success) throw refuse(`The payload is not ${what}.`);
  if (!isSignedBy(header.data, parts)) {
    throw refuse('It is not signed by the identity key in its header.');
  }
  const { iss, sub, cid, iat } = payload.data;
  if (iss !== place.realm) throw refuse('It was made for another realm.');
  if (sub !== place.uid) throw refuse('It is of another user.');
  if (cid !== place.clientId) throw refuse('It is of another app.');
  if (iat > place.now + SKEW_SECONDS) throw refuse('It was made in the future.');
  return { signed, payload: payload.data, signer: header.data.jwk.x };
}

interface Kind<T> {
  typ: string;
  schema: z.ZodType<T>;
  /** With its article. */
  what: string;
  code: FailureCode;
}

/** Whether every part has its one spelling, the kid is the key's, and the key signed. */
function isSignedBy({ kid, jwk }: z.infer<typeof Header>, parts: readonly string[]): boolean {
  const [header = '', payload = '', signature = ''] = parts;
  if (parts.length !== 3 || !parts.every(isCanonical) || thumbprintOf(jwk) !== kid) return false;
  try {
    const key = createPublicKey({ key: { ...readIdentityJwk(jwk) }, format: 'jwk' });
    const bytes = Buffer.from(signature, 'base64url');
    return verify(null, Buffer.from(`${header}.${payload}`), key, bytes);
  } catch {
    return false; // no point, or one of small order
  }
}

const isCanonical = (part: string): boolean =>
  Buffer.from(part, 'base64url').toString('base64url') === part;

/** RFC 7638, by the platform's SHA-256. */
const thumbprintOf = ({ crv, kty, x }: IdentityJwk): string =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x })).digest('base64url');

/** As it stands: a byte-order mark is no JSON. */
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** One part of a compact serialisation; undefined when it is no JSON, or says something twice. */
export function readPart(part: string): unknown {
  try {
    return parseStrictly(decoder.decode(Buffer.from(part, 'base64url')));
  } catch {
    return undefined; // the signature is no JSON, and a malformed header or payload fits no schema
  }
}
