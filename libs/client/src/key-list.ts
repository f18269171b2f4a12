import {
  CryptoRefusal,
  type EncryptionAlgorithm,
  type EncryptionPublicJwk,
  type IdentityJwk,
  importPublicKey,
  type KeyPlace,
  readSigner,
  sha256,
  toBase64Url,
  utf8,
  verifyLink,
  verifyRevocation,
  verifySigned,
} from '#lib/crypto';
import {
  type ActiveKey,
  expectCoherent,
  KEY_LIST_TYPE,
  KeyList,
  KeySuccessionFault,
  type SignedList,
  type TokenRevocation,
} from '#lib/protocol';
import { IntegrityError } from './client-error.ts';

/** A list that was made on a device whose clock is ahead is taken, up to this many seconds. */
const CLOCK_TOLERANCE_SECONDS = 300;

/** base64url SHA-256 of a text, as lists and wraps commit to each other. */
export function textHash(text: string): string {
  return toBase64Url(sha256(utf8(text)));
}

/** What the server says of somebody's keys. */
export interface ListAnswer {
  skl: string;
  revocations?: readonly TokenRevocation[] | undefined;
}

/** A Signed Key List that proves itself: whose it is, somebody else has to tell. */
export interface CheckedList extends SignedList {
  /** Who signed it: to be compared with the pinned, or the derived, identity. */
  identity: IdentityJwk;
  /** Kids that their owner revoked beside the list, by token. */
  revoked: readonly string[];
}

/**
 * Checks everything about a Signed Key List that needs no memory: signature, owner, app, realm, times, every
 * key, every link between identities, and every revocation that came beside it.
 *
 * @param identity - the only one that may have signed; without it the one that the list names, to be compared
 * @param now - seconds since 1970; without it an old list is read that may have expired
 * @throws IntegrityError `KEY_LIST_INVALID`, `KEY_LIST_EXPIRED`, `REVOCATION_FORGED`
 * @see keys.md §3.2, §3.6; docs/protocol/formats.md §5
 */
export async function openKeyList(
  { skl, revocations = [] }: ListAnswer,
  owner: KeyPlace,
  { identity, now }: { identity?: IdentityJwk | undefined; now?: number | undefined },
): Promise<CheckedList> {
  const invalid = (why: string, cause?: unknown) =>
    new IntegrityError('KEY_LIST_INVALID', `The key list of ${owner.uid} ${why}.`, { cause });
  let signer: IdentityJwk;
  let payload: unknown;
  try {
    signer = identity ?? readSigner(skl).jwk;
    payload = await verifySigned(skl, signer, KEY_LIST_TYPE);
  } catch (cause) {
    throw invalid('is not signed by its owner', cause);
  }
  const { success, data: list, error } = KeyList.safeParse(payload);
  if (!success) throw invalid('is malformed', error);
  if (list.sub !== owner.uid || list.cid !== owner.clientId || list.iss !== owner.realm) {
    throw invalid('was made for another user, app or realm');
  }
  try {
    expectCoherent(list, signer.x);
    for (const key of list.keys) if (key.st === 'active') publicKeyOf(key);
  } catch (cause) {
    if (cause instanceof KeySuccessionFault) throw invalid('contradicts itself', cause);
    if (!(cause instanceof CryptoRefusal)) throw cause;
    throw invalid('holds a key that cannot be used', cause);
  }
  for (const link of list.links ?? []) {
    if (!(await verifyLink(owner, link))) throw invalid('has a link that nobody signed');
  }
  if (now !== undefined) expectTimes(list, owner, now);
  for (const revocation of revocations) {
    if (await verifyRevocation(signer, owner, revocation)) continue;
    const detail = `The server revokes a key of ${owner.uid} that its owner did not revoke.`;
    throw new IntegrityError('REVOCATION_FORGED', detail);
  }
  return {
    ...{ list, hash: textHash(skl), signer: signer.x, identity: signer },
    revoked: [...new Set(revocations.map(({ kid }) => kid))],
  };
}

function expectTimes(list: KeyList, { uid }: KeyPlace, now: number): void {
  if (list.iat > now + CLOCK_TOLERANCE_SECONDS) {
    throw new IntegrityError('KEY_LIST_INVALID', `The key list of ${uid} comes from the future.`);
  }
  if (list.exp <= now) {
    throw new IntegrityError('KEY_LIST_EXPIRED', `The key list of ${uid} has expired.`);
  }
}

/** The keys that may be encrypted to: active, and not revoked beside the list. */
export function usableKeys({ list, revoked }: CheckedList): ActiveKey[] {
  return list.keys.filter(
    (key): key is ActiveKey => key.st === 'active' && !revoked.includes(key.kid),
  );
}

/** Of keys of several algorithms the one to encrypt to where no other is agreed on: of X25519. */
export const mainOf = <T extends { alg: EncryptionAlgorithm }>(keys: readonly T[]): T | undefined =>
  keys.find(({ alg }) => alg === 'HPKE-4-KE') ?? keys[0];

/**
 * The key itself, without what the list says of it.
 *
 * @throws CryptoRefusal `key-invalid` for a point of low order or a foreign kid
 */
export function publicKeyOf(key: ActiveKey): EncryptionPublicJwk {
  return importPublicKey(key);
}
