import {
  CryptoRefusal,
  deriveIdentity,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
  type Identity,
  type KeyPlace,
  type KeyWithId,
  publicHalf,
  unwrapPrivateKey,
} from '#lib/crypto';
import {
  generationOf,
  type KeyList,
  type OwnKeys,
  type PublishedKey,
  sinceOf,
} from '#lib/protocol';
import { IntegrityError } from './client-error.ts';
import { type CheckedList, mainOf, openKeyList, textHash } from './key-list.ts';

/** One of one's own keys, opened. */
export interface OwnKey {
  st: PublishedKey['st'];
  publicJwk: EncryptionPublicJwk;
  privateJwk: EncryptionPrivateJwk;
}

/** One's own keys, opened. */
export interface OwnPair {
  list: KeyList;
  identity: Identity;
  /** The key that others encrypt to; of X25519 where there are two. */
  publicJwk: EncryptionPublicJwk;
  privateJwk: EncryptionPrivateJwk;
  /** Every key that opens, by kid: what was encrypted to an old one still opens. */
  keys: ReadonlyMap<string, OwnKey>;
  /** Kids that were revoked by token since the list was published. */
  revoked: readonly string[];
}

/** Where one's own keys are, and what opens them. */
export interface OwnPlace extends KeyPlace {
  kBr: KeyWithId;
}

/** An own list as the server shows it, proved by kBr alone. */
export interface OwnChecked {
  checked: CheckedList;
  identity: Identity;
}

/**
 * Checks one's own list under the identity that kBr gives. Stateless: a new device can do it.
 *
 * It may have expired: whoever replaces it can do so still.
 *
 * @throws IntegrityError `KEY_GENERATION_MISMATCH` when the list was made under another kBr, as after a password
 * reset or when the server had this device derive a wrong one; as `openKeyList` else
 */
export async function checkOwn(
  answer: Pick<OwnKeys, 'skl' | 'revocations'>,
  place: OwnPlace,
): Promise<OwnChecked> {
  const identity = await deriveIdentity(place.kBr.k);
  try {
    const checked = await openKeyList(answer, place, { identity: identity.publicJwk });
    if (checked.list.kbr === place.kBr.kid) return { checked, identity };
    throw mismatch('The list was made under another kBr.');
  } catch (error) {
    if (!(error instanceof IntegrityError) || error.code !== 'KEY_LIST_INVALID') throw error;
    throw await explain(error, { answer, place, identity });
  }
}

const mismatch = (detail: string, cause?: unknown) =>
  new IntegrityError('KEY_GENERATION_MISMATCH', detail, { cause });

/** Tells a list of another generation from one that is no list of this user at all. */
async function explain(
  error: IntegrityError,
  input: { answer: Parameters<typeof checkOwn>[0]; place: OwnPlace; identity: Identity },
): Promise<IntegrityError> {
  const { answer, place, identity } = input;
  const { list } = await openKeyList(answer, place, {}).catch(() => ({ list: undefined }));
  if (!list || list.kbr === place.kBr.kid) return error;
  if (list.links?.some(({ old }) => old === identity.publicJwk.x) === true) {
    return mismatch('The key of this app was replaced: sign in again on this device.', error);
  }
  const isOlder = generationOf(list.kbr) < generationOf(place.kBr.kid);
  return mismatch(
    isOlder
      ? 'The published keys are of the time before the password was reset: begin anew by a reset, if you did that.'
      : 'The published keys were made under another key of this app: sign in again, and publish nothing until they fit.',
    error,
  );
}

/**
 * Opens the private halves of a list.
 *
 * @throws IntegrityError `WRAP_MISMATCH`, `DECRYPT_FAILED`; revoked keys that do not open are left out
 */
export async function openOwn(
  { checked, identity }: OwnChecked,
  wrapped: OwnKeys['wrapped'],
  place: OwnPlace,
): Promise<OwnPair> {
  // A revoked key may have stayed under an older kBr.
  const keys = await openKeys(checked, { wrapped, place }, (_, { st }) => st === 'revoked');
  const first = mainOf(checked.list.keys.filter(({ st }) => st === 'active'));
  const main = first && keys.get(first.kid);
  if (!main) throw new IntegrityError('WRAP_MISMATCH', 'No wrapped key belongs to the list.');
  const { publicJwk, privateJwk } = main;
  const { list, revoked } = checked;
  return { list, identity, publicJwk, privateJwk, keys, revoked };
}

/**
 * Opens what opens of a list that is to be taken over: who else had its kBr may have listed keys that do not.
 *
 * @throws IntegrityError `WRAP_MISMATCH` for what the server withholds or replaced
 */
export function openFormer(
  { checked }: OwnChecked,
  wrapped: OwnKeys['wrapped'],
  place: OwnPlace,
): Promise<Map<string, OwnKey>> {
  const isOwnersDoing = ({ code }: IntegrityError, { st }: PublishedKey) =>
    code === 'DECRYPT_FAILED' || st === 'revoked';
  return openKeys(checked, { wrapped, place }, isOwnersDoing);
}

async function openKeys(
  { list }: CheckedList,
  { wrapped, place }: { wrapped: OwnKeys['wrapped']; place: OwnPlace },
  mayStayClosed: (error: IntegrityError, key: PublishedKey) => boolean,
): Promise<Map<string, OwnKey>> {
  const keys = new Map<string, OwnKey>();
  for (const key of list.keys) {
    try {
      const privateJwk = await unwrap(key, wrapped[key.kid], place);
      keys.set(key.kid, { st: key.st, publicJwk: publicHalf(privateJwk), privateJwk });
    } catch (error) {
      if (!(error instanceof IntegrityError) || !mayStayClosed(error, key)) throw error;
    }
  }
  return keys;
}

async function unwrap(
  key: PublishedKey,
  wrapped: string | undefined,
  { kBr, ...place }: OwnPlace,
): Promise<EncryptionPrivateJwk> {
  if (wrapped === undefined || textHash(wrapped) !== key.wsha) {
    throw new IntegrityError('WRAP_MISMATCH', 'The wrapped key is not the one of the list.');
  }
  try {
    return await unwrapPrivateKey(wrapped, kBr, {
      ...{ realm: place.realm, uid: place.uid, clientId: place.clientId },
      ...{ kid: key.kid, version: sinceOf(key) },
    });
  } catch (cause) {
    if (!(cause instanceof CryptoRefusal)) throw cause;
    throw new IntegrityError('DECRYPT_FAILED', 'The private key does not open.', { cause });
  }
}

/** A server may give the key of a lost device out again. @throws IntegrityError `KEY_GENERATION_MISMATCH` */
export function expectUnused({ publicJwk }: Identity, { list }: CheckedList): void {
  if (list.links?.some(({ old }) => old === publicJwk.x) !== true) return;
  const detail = 'The server gave a key of this app out again that was replaced before.';
  throw mismatch(detail);
}

/** A reset follows a loss of the account's key, so its own key is a later one. @throws as `expectUnused` */
export function expectLater(kid: string, { list }: CheckedList): void {
  if (generationOf(list.kbr) <= generationOf(kid)) return;
  const detail = 'The published keys are of a later key of this app: sign in again on this device.';
  throw mismatch(detail);
}
