import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CryptoRefusal, importPublicKey, readSigner, verifySigned } from '#lib/crypto';
import {
  Base64Url,
  Failure,
  KEY_LIST_LIFE_SECONDS_MAX,
  KEY_LIST_TYPE,
  KeyList,
  type PublishKeys,
} from '#lib/protocol';
import { parseStrictly } from './strict-json.ts';

/** Where a list is published, and when: what its payload must say. */
export interface Place {
  realm: string;
  uid: string;
  clientId: string;
  /** Seconds since 1970. */
  now: number;
}

/** How far, in seconds, a publisher's clock may be ahead of ours. */
const SKEW_SECONDS = 600;

/** Exactly these members: what is not here would be covered by the signature, yet checked by nobody. */
const Header = z.strictObject({
  alg: z.literal('EdDSA'),
  typ: z.literal(KEY_LIST_TYPE),
  kid: Base64Url.length(43),
  jwk: z.strictObject({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: Base64Url.length(43),
  }),
});

/** A flattened JWE whose key the server does not have (keys.md §3.3). */
const Blob = z.strictObject({
  protected: Base64Url,
  aad: Base64Url.optional(),
  iv: Base64Url.length(16),
  ciphertext: Base64Url,
  tag: Base64Url.length(22),
});
const BlobHeader = z.strictObject({
  alg: z.literal('dir'),
  enc: z.literal('A256GCM'),
  typ: z.literal('ks-wrap+jwe'),
  cty: z.literal('jwk+json'),
  kid: z.string(),
});

/**
 * Checks everything about a first list that needs no database: its signature by the identity key in
 * its own header, that it was made for this place and time, its keys, and that each active key comes
 * with the wrapped private half that it commits to.
 *
 * @throws Failure `invalid-key-list` with the reason
 * @see docs/protocol/keys.md, "What the server checks"
 */
export async function checkKeyList({ skl, wrapped }: PublishKeys, place: Place): Promise<KeyList> {
  const [header, payload] = skl.split('.').map(readPart);
  if (!Header.safeParse(header).success) throw refuse('The header is not that of a key list.');
  const list = KeyList.safeParse(payload);
  if (!list.success) throw refuse('The payload is not a key list.');
  await checkSignature(skl);
  checkPlace(list.data, place);
  // The keys as they were signed: a member that the schema would drop, such as `d`, is refused here.
  checkKeys((payload as { keys: unknown[] }).keys, list.data);
  checkWrapped(wrapped, list.data);
  return list.data;
}

const refuse = (why: string, cause?: unknown) => new Failure('invalid-key-list', why, { cause });

function readPart(part: string): unknown {
  try {
    const bytes = Buffer.from(part, 'base64url');
    return parseStrictly(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined; // the signature is no JSON, and a malformed header or payload fits no schema
  }
}

async function checkSignature(skl: string): Promise<void> {
  try {
    await verifySigned(skl, readSigner(skl).jwk, KEY_LIST_TYPE);
  } catch (error) {
    if (!(error instanceof CryptoRefusal)) throw error;
    throw refuse('The list is not signed by the identity key in its header.', error);
  }
}

function checkPlace(list: KeyList, { realm, uid, clientId, now }: Place): void {
  if (list.iss !== realm) throw refuse('The list was made for another realm.');
  if (list.sub !== uid) throw refuse('The list is of another user.');
  if (list.cid !== clientId) throw refuse('The list is of another app.');
  if (list.ver !== 1) throw refuse('The first list has version 1.');
  if (list.prev !== null) throw refuse('The first list has no predecessor.');
  if (list.iat > now + SKEW_SECONDS) throw refuse('The list was made in the future.');
  if (list.exp <= Math.max(now, list.iat)) throw refuse('The list has expired.');
  if (list.exp - list.iat > KEY_LIST_LIFE_SECONDS_MAX) {
    throw refuse('The list lives longer than 400 days.');
  }
}

function checkKeys(signed: unknown[], { keys }: KeyList): void {
  for (const key of signed) {
    try {
      importPublicKey(key);
    } catch (error) {
      if (!(error instanceof CryptoRefusal)) throw error;
      throw refuse(error.message, error);
    }
  }
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) {
    throw refuse('A key is listed twice.');
  }
  if (!keys.some(({ st }) => st === 'active')) throw refuse('No key is active.');
}

function checkWrapped(wrapped: PublishKeys['wrapped'], { keys, kbr }: KeyList): void {
  const active = keys.filter(({ st }) => st === 'active');
  if (Object.keys(wrapped).length > active.length) {
    throw refuse('A wrapped private key belongs to no active key.');
  }
  for (const { kid, wsha } of active) {
    const blob = Object.hasOwn(wrapped, kid) ? wrapped[kid] : undefined;
    if (blob === undefined) throw refuse('An active key lacks its wrapped private key.');
    if (createHash('sha256').update(blob).digest('base64url') !== wsha) {
      throw refuse('A wrapped private key is not the one that the list commits to.');
    }
    if (!isWrappedUnder(kbr, blob)) {
      throw refuse('A wrapped private key is not a flattened JWE under the kBr of the list.');
    }
  }
}

function isWrappedUnder(kbr: string, text: string): boolean {
  try {
    const blob = Blob.safeParse(parseStrictly(text));
    if (!blob.success) return false;
    const header = BlobHeader.safeParse(readPart(blob.data.protected));
    return header.success && header.data.kid === kbr;
  } catch {
    return false;
  }
}
