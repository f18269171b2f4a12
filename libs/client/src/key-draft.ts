import {
  type EncryptionAlgorithm,
  type EncryptionPrivateJwk,
  generateEncryptionKey,
  generateHybridKey,
  type Identity,
  type KeyPlace,
  signLink,
  wrapPrivateKey,
} from '#lib/crypto';
import {
  type ActiveKey,
  type EndedKey,
  KEY_LIST_LIFE_SECONDS_MAX,
  KEY_LIST_TYPE,
  type KeyList,
  LINKS_MAX,
  LISTED_KEYS_MAX,
  type PublishedKey,
  type PublishKeys,
} from '#lib/protocol';
import { type CheckedList, textHash } from './key-list.ts';
import type { OwnPair, OwnPlace } from './own-keys.ts';

/** Why a key is not to be used any more. */
export type RevocationReason = 'compromise' | 'lost' | 'superseded';

/** Who publishes, where, and when. */
export interface Publisher {
  place: OwnPlace;
  identity: Identity;
  /** Seconds since 1970. */
  now: number;
}

/** How each key goes on: as it is, retired, or revoked. */
export type Fate = 'retire' | { revoke: RevocationReason } | undefined;

/** Version 1. @see keys.md §3.2 */
export async function firstList(
  by: Publisher,
  algorithms: readonly EncryptionAlgorithm[],
): Promise<PublishKeys> {
  const { keys, wrapped } = await makeKeys(by.place, 1, algorithms);
  return sign(by, { ver: 1, prev: null, keys }, wrapped);
}

/**
 * The next list under the same identity. A key that ends is replaced by one of its kind; what was revoked by
 * token is revoked for good.
 */
export async function nextList(
  by: Publisher,
  current: { own: OwnPair; checked: CheckedList },
  input: { fate: (key: PublishedKey) => Fate; algorithms: readonly EncryptionAlgorithm[] },
): Promise<PublishKeys> {
  const { list, hash, revoked } = current.checked;
  const ver = list.ver + 1;
  const carried = list.keys.map((key) => {
    const fate = input.fate(key);
    const isOver = revoked.includes(key.kid) && key.st !== 'revoked';
    return endedBy(key, isOver && typeof fate !== 'object' ? { revoke: 'lost' } : fate, by.now);
  });
  const has = new Set(carried.filter(({ st }) => st === 'active').map(({ alg }) => alg));
  const missing = input.algorithms.filter((alg) => !has.has(alg));
  const { keys, wrapped } = await makeKeys(by.place, ver, missing);
  const draft = { ver, prev: hash, keys: fitting([...keys, ...carried], list), ...handedOn(list) };
  return sign(by, draft, wrapped);
}

/**
 * The next list under a new kBr, to which the old identity hands over: every key that was in use is revoked and
 * replaced, and all of them are wrapped anew, so that old shares still open, and the old kBr opens nothing new. What
 * does not open is revoked as it is.
 */
export async function linkedList(
  by: Publisher,
  current: { own: Pick<OwnPair, 'identity' | 'keys'>; checked: CheckedList },
  input: { why: RevocationReason; algorithms: readonly EncryptionAlgorithm[] },
): Promise<PublishKeys> {
  const { own, checked } = current;
  const { list, hash, revoked } = checked;
  const { place, identity, now } = by;
  const ver = list.ver + 1;
  const { keys, wrapped } = await makeKeys(place, ver, input.algorithms);
  const carried: PublishedKey[] = [];
  for (const key of list.keys) {
    const opened = own.keys.get(key.kid);
    const isOver = key.st === 'active' || !opened || revoked.includes(key.kid);
    const ended = endedBy(key, isOver ? { revoke: input.why } : undefined, now);
    if (opened) {
      const wrap = await wrapFor(place, ver, opened.privateJwk);
      wrapped[key.kid] = wrap;
      carried.push({ ...ended, since: ver, wsha: textHash(wrap) });
    } else {
      carried.push(ended);
    }
  }
  const link = await signLink(own.identity, place, { new: identity.publicJwk.x, ver });
  const draft = {
    ...{ ver, prev: hash, keys: fitting([...keys, ...carried], list) },
    ...handedOn(list),
    links: [...(list.links ?? []), link].slice(-LINKS_MAX),
  };
  const kept = new Set(draft.keys.map(({ kid }) => kid));
  const needed = Object.entries(wrapped).filter(([kid]) => kept.has(kid));
  return sign(by, draft, Object.fromEntries(needed));
}

/** The next list when the old kBr is lost: nothing leads from the old identity to this one. */
export async function resetList(
  by: Publisher,
  { list, hash }: CheckedList,
  algorithms: readonly EncryptionAlgorithm[],
): Promise<PublishKeys> {
  const ver = list.ver + 1;
  const { keys, wrapped } = await makeKeys(by.place, ver, algorithms);
  return sign(by, { ver, prev: hash, keys, reset: { ver, at: by.now } }, wrapped);
}

/** Links and resets stay in every later list, for those who missed one. */
const handedOn = ({ links, reset }: KeyList): Pick<KeyList, 'links' | 'reset'> => ({
  ...(links && { links }),
  ...(reset && { reset }),
});

function endedBy(key: PublishedKey, fate: Fate, now: number): PublishedKey {
  if (fate === undefined || key.st === 'revoked') return key;
  const { kid, alg, wsha, since } = key;
  const rest = { kid, alg, wsha, ...(since !== undefined && { since }), rev: now };
  if (fate !== 'retire') {
    return { ...rest, st: 'revoked', why: fate.revoke } satisfies EndedKey;
  }
  return key.st === 'retired' ? key : ({ ...rest, st: 'retired' } satisfies EndedKey);
}

/**
 * Keeps the list within its bounds. As the word that they ended, what was in use until now stays, and the last hybrid
 * key, in whatever order another device listed them.
 */
function fitting(keys: readonly PublishedKey[], before: KeyList): PublishedKey[] {
  const hybrid = keys.find(({ alg, st }) => alg === 'HPKE-11-KE' && st !== 'active');
  const ending = before.keys.filter(({ st }) => st === 'active').map(({ kid }) => kid);
  const staying = new Set([...ending, hybrid?.kid]);
  const all = [...keys];
  while (all.length > LISTED_KEYS_MAX) {
    const last = all.findLastIndex(({ st, kid }) => st !== 'active' && !staying.has(kid));
    all.splice(last, 1);
  }
  return all;
}

async function makeKeys(
  place: OwnPlace,
  ver: number,
  algorithms: readonly EncryptionAlgorithm[],
): Promise<{ keys: ActiveKey[]; wrapped: Record<string, string> }> {
  const keys: ActiveKey[] = [];
  const wrapped: Record<string, string> = {};
  for (const alg of algorithms) {
    const { publicJwk, privateJwk } =
      alg === 'HPKE-11-KE' ? generateHybridKey() : await generateEncryptionKey();
    const wrap = await wrapFor(place, ver, privateJwk);
    keys.push({ ...publicJwk, st: 'active', since: ver, wsha: textHash(wrap) });
    wrapped[publicJwk.kid] = wrap;
  }
  return { keys, wrapped };
}

function wrapFor(
  { kBr, realm, uid, clientId }: OwnPlace,
  version: number,
  privateJwk: EncryptionPrivateJwk,
): Promise<string> {
  const context = { realm, uid, clientId, kid: privateJwk.kid, version };
  return wrapPrivateKey({ privateJwk, kBr, context });
}

async function sign(
  { place, identity, now }: Publisher,
  draft: Pick<KeyList, 'ver' | 'prev' | 'keys' | 'links' | 'reset'>,
  wrapped: Record<string, string>,
): Promise<PublishKeys> {
  const { realm, uid, clientId } = place satisfies KeyPlace;
  const list: KeyList = {
    ...{ v: 1, iss: realm, sub: uid, cid: clientId, ver: draft.ver, prev: draft.prev },
    ...{ iat: now, exp: now + KEY_LIST_LIFE_SECONDS_MAX, kbr: place.kBr.kid },
    ...draft,
  };
  return { skl: await identity.sign(KEY_LIST_TYPE, list), wrapped };
}
