import {
  CryptoRefusal,
  type EncryptionPublicJwk,
  type IdentityJwk,
  importPublicKey,
  sha256,
  toBase64Url,
  utf8,
  verifySigned,
} from '#lib/crypto';
import {
  KEY_LIST_LIFE_SECONDS_MAX,
  KEY_LIST_TYPE,
  KeyList,
  type PublishedKey,
} from '#lib/protocol';
import { IntegrityError } from './client-error.ts';
import type { PinKey } from './pin-store.ts';

/** A list that was made on a device whose clock is ahead is taken, up to this many seconds. */
const CLOCK_TOLERANCE_SECONDS = 300;

/** base64url SHA-256 of a text, as lists and wraps commit to each other. */
export function textHash(text: string): string {
  return toBase64Url(sha256(utf8(text)));
}

/**
 * Checks a Signed Key List under an identity that the caller trusts: signature, owner, app, realm, times and
 * every key. What the caller remembers of earlier versions is compared elsewhere.
 *
 * @param jws - the list as published
 * @param now - seconds since 1970
 * @throws IntegrityError `KEY_LIST_INVALID`, `KEY_LIST_EXPIRED`
 * @see keys.md §3.2, §3.6
 */
export async function verifyKeyList(
  jws: string,
  identity: IdentityJwk,
  owner: PinKey,
  now: number,
): Promise<KeyList> {
  const invalid = (why: string, cause?: unknown) =>
    new IntegrityError('KEY_LIST_INVALID', `The key list of ${owner.uid} ${why}.`, { cause });
  let payload: unknown;
  try {
    payload = await verifySigned(jws, identity, KEY_LIST_TYPE);
  } catch (cause) {
    throw invalid('is not signed by its owner', cause);
  }
  const { success, data: list, error } = KeyList.safeParse(payload);
  if (!success) throw invalid('is malformed', error);
  if (list.sub !== owner.uid || list.cid !== owner.clientId || list.iss !== owner.realm) {
    throw invalid('was made for another user, app or realm');
  }
  if ((list.ver === 1) !== (list.prev === null)) throw invalid('does not say what it follows');
  if (list.iat > now + CLOCK_TOLERANCE_SECONDS) throw invalid('comes from the future');
  if (list.exp <= list.iat || list.exp - list.iat > KEY_LIST_LIFE_SECONDS_MAX) {
    throw invalid('has an impossible lifetime');
  }
  if (list.exp <= now) {
    throw new IntegrityError('KEY_LIST_EXPIRED', `The key list of ${owner.uid} has expired.`);
  }
  try {
    list.keys.forEach(publicKeyOf);
  } catch (cause) {
    if (!(cause instanceof CryptoRefusal)) throw cause;
    throw invalid('holds a key that cannot be used', cause);
  }
  if (new Set(list.keys.map(({ kid }) => kid)).size !== list.keys.length) {
    throw invalid('names a key twice');
  }
  if (!list.keys.some(({ st }) => st === 'active')) throw invalid('has no active key');
  return list;
}

/**
 * The key itself, without what the list says of it.
 *
 * @throws CryptoRefusal `key-invalid` for a point of low order or a foreign kid
 */
export function publicKeyOf({ kty, crv, x, alg, use, kid }: PublishedKey): EncryptionPublicJwk {
  return importPublicKey({ kty, crv, x, alg, use, kid });
}
