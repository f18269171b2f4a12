import { LISTED_KEYS_MAX, type PublishedKey } from '#lib/protocol';
import { IntegrityError } from './client-error.ts';
import type { CheckedList } from './key-list.ts';
import type { Pin } from './pin-store.ts';

const BEFORE_MAX = 32;
const HYBRID = 'HPKE-11-KE';

/**
 * Holds a list that proves itself against what is remembered of its owner: the identity, the version, what was
 * revoked, and whether there was a hybrid key.
 *
 * @returns what to remember from now on
 * @throws IntegrityError `IDENTITY_CHANGED`, `IDENTITY_RESET`, `KEY_LIST_ROLLBACK`, `KEY_LIST_FORKED`,
 * `KEY_DOWNGRADED`
 * @see keys.md §3.6; docs/architecture.md, "What a lying server can do"
 */
export function followPin(pin: Pin | undefined, seen: CheckedList, uid: string): Pin {
  const { list, hash, identity, revoked } = seen;
  const hybrid = list.keys.find(({ alg, st }) => alg === HYBRID && st === 'active')?.kid;
  const next: Pin = {
    ...{ identity, version: list.ver, list: hash },
    ...(hybrid !== undefined && { hybrid }),
    ...(revoked.length > 0 && { revoked: [...revoked] }),
  };
  if (!pin) return next;
  const passed = expectIdentity(pin, seen, uid);
  expectVersion(pin, seen, uid);
  expectRevoked(pin, seen, uid);
  expectHybrid(pin, list.keys, hybrid, uid);
  const before = [...(pin.before ?? []), ...passed].slice(-BEFORE_MAX);
  return {
    ...next,
    ...(before.length > 0 && { before }),
    ...(pin.checked && { checked: pin.checked }),
    ...(pin.name !== undefined && { name: pin.name }),
  };
}

/** Takes another identity in place of the pinned one, because whoever decides said so. */
export function afterReset(pin: Pin, seen: CheckedList, uid: string): Pin {
  const before = [...(pin.before ?? []), pin.identity.x].slice(-BEFORE_MAX);
  const name = pin.name !== undefined && { name: pin.name };
  return { ...followPin(undefined, seen, uid), before, ...name };
}

/**
 * What is to be replaced of one's own is not older than what was seen; a reset by another device is no obstacle.
 *
 * @throws IntegrityError as `followPin`, but `IDENTITY_RESET`
 */
export function expectNewest(pin: Pin | undefined, seen: CheckedList): void {
  try {
    followPin(pin, seen, 'this account');
  } catch (error) {
    const isReset = error instanceof IntegrityError && error.code === 'IDENTITY_RESET';
    if (!isReset) throw error;
  }
}

/** @returns the identities that were left since the pin, oldest first */
function expectIdentity(pin: Pin, { list, signer }: CheckedList, uid: string): string[] {
  if (pin.identity.x === signer) return [];
  const links = list.links ?? [];
  const start = links.findIndex(({ old }) => old === pin.identity.x);
  const first = links[start];
  if (first) {
    if (first.ver > pin.version) return links.slice(start).map(({ old }) => old);
    const detail = `${uid} is said to have left an identity that signed a later list.`;
    throw new IntegrityError('KEY_LIST_FORKED', detail);
  }
  if (list.reset && list.reset.ver > pin.version) {
    throw new IntegrityError(
      'IDENTITY_RESET',
      `${uid} began anew with another identity, or somebody did so in their name: ask them, and compare the safety number.`,
    );
  }
  throw new IntegrityError(
    'IDENTITY_CHANGED',
    `The identity of ${uid} is not the one of the first contact, and no word of the old one leads to it.`,
  );
}

function expectVersion(pin: Pin, { list, hash }: CheckedList, uid: string): void {
  if (list.ver < pin.version) {
    const detail = `${uid} was already at version ${pin.version} of the key list.`;
    throw new IntegrityError('KEY_LIST_ROLLBACK', detail);
  }
  const isFork = pin.version === list.ver && pin.list !== hash;
  const isOtherPast = pin.version === list.ver - 1 && list.prev !== pin.list;
  if (isFork || isOtherPast) {
    throw new IntegrityError('KEY_LIST_FORKED', `There are two histories of ${uid}.`);
  }
}

function expectRevoked(pin: Pin, { list, revoked }: CheckedList, uid: string): void {
  for (const kid of pin.revoked ?? []) {
    const isActive = list.keys.some((key) => key.kid === kid && key.st !== 'revoked');
    if (isActive && !revoked.includes(kid)) {
      const detail = `The server hides that ${uid} revoked a key.`;
      throw new IntegrityError('KEY_LIST_ROLLBACK', detail);
    }
  }
}

/** Who had a hybrid key has one still, or says in a signed list that it ended. */
function expectHybrid(
  pin: Pin,
  keys: readonly PublishedKey[],
  hybrid: string | undefined,
  uid: string,
): void {
  if (pin.hybrid === undefined || hybrid !== undefined) return;
  if (keys.some(({ kid }) => kid === pin.hybrid)) return;
  const detail = `The hybrid key of ${uid} is gone without a word.`;
  throw new IntegrityError('KEY_DOWNGRADED', detail);
}

/**
 * Two memories of one person, of two devices of one's own, made one. An identity that was compared counts more
 * than one that was not, and one that came later in a chain more than the earlier.
 *
 * @throws IntegrityError `IDENTITY_CONFLICT` when the devices met two identities, and nothing tells which is right
 */
export function mergePins(mine: Pin, other: Pin, uid: string): Pin {
  if (mine.identity.x !== other.identity.x) {
    const isMineLeft = hasLeft(other, mine.identity.x);
    if (isMineLeft !== hasLeft(mine, other.identity.x)) return isMineLeft ? other : mine;
    if (isChecked(mine) !== isChecked(other)) return isChecked(mine) ? mine : other;
    // Whoever went there and back again knows more.
    const [mineLeft, otherLeft] = [mine.before?.length ?? 0, other.before?.length ?? 0];
    if (isMineLeft && mineLeft !== otherLeft) return mineLeft > otherLeft ? mine : other;
    const detail = `Two of your devices have met different identities of ${uid}: compare the safety number.`;
    throw new IntegrityError('IDENTITY_CONFLICT', detail);
  }
  if (mine.version === other.version && mine.list !== other.list) {
    const detail = `Two of your devices were shown two histories of ${uid}.`;
    throw new IntegrityError('KEY_LIST_FORKED', detail);
  }
  const [newer, older] = other.version > mine.version ? [other, mine] : [mine, other];
  const hybrid = newer.hybrid ?? (newer.version === older.version ? older.hybrid : undefined);
  const revoked = [...new Set([...(older.revoked ?? []), ...(newer.revoked ?? [])])];
  const before = [...new Set([...(older.before ?? []), ...(newer.before ?? [])])];
  const name = newer.name ?? older.name;
  const comparisons = [newer.checked, older.checked];
  const checked =
    latest(comparisons.filter((one) => one?.x === newer.identity.x)) ?? latest(comparisons);
  return {
    ...{ identity: newer.identity, version: newer.version, list: newer.list },
    ...(hybrid !== undefined && { hybrid }),
    ...(revoked.length > 0 && { revoked: revoked.slice(-LISTED_KEYS_MAX) }),
    ...(before.length > 0 && { before: before.slice(-BEFORE_MAX) }),
    ...(checked && { checked }),
    ...(name !== undefined && { name }),
  };
}

/** Whether the identity itself was compared with its owner, not one before it. */
export const isChecked = (pin: Pin): boolean => pin.checked?.x === pin.identity.x;

const hasLeft = ({ before }: Pin, x: string): boolean => before?.includes(x) === true;

function latest(all: readonly Pin['checked'][]): Pin['checked'] {
  return all.reduce((a, b) => (!a || (b && b.at > a.at) ? b : a), undefined);
}
