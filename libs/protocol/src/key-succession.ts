import {
  type IdentityLink,
  KEY_LIST_LIFE_SECONDS_MAX,
  type KeyList,
  LINKS_MAX,
  type PublishedKey,
} from './keys.ts';

/** A Signed Key List, opened: what a rule about two of them has to know. */
export interface SignedList {
  list: KeyList;
  /** base64url SHA-256 of the JWS text. */
  hash: string;
  /** `x` of the identity that signed it. */
  signer: string;
}

/** How the identity of a list came from that of the list before. */
export type IdentityStep = 'same' | 'link' | 'reset';

/** A list that may not follow, or contradicts itself. */
export class KeySuccessionFault extends Error {
  override readonly name = 'KeySuccessionFault';

  constructor(
    /** The {@link FailureCode} that the server answers with. */
    readonly code: 'invalid-key-list' | 'stale-key-generation' | 'signature-required',
    message: string,
  ) {
    super(message);
  }
}

const fault = (why: string) => new KeySuccessionFault('invalid-key-list', why);

/** The first part of a kBr's key id, in seconds: it never decreases. */
export const generationOf = (kbr: string): number => Number(kbr.slice(0, kbr.indexOf('-')));

/** The version in which a key first appeared as it is wrapped now. */
export const sinceOf = ({ since }: PublishedKey): number => since ?? 1;

/**
 * Checks what a list says of itself, but for its keys' bytes and signatures of links.
 *
 * @param signer - `x` of the identity that signed it
 * @throws KeySuccessionFault `invalid-key-list`
 * @see keys.md §3.2
 */
export function expectCoherent(list: KeyList, signer: string): void {
  const { ver, keys, links = [], reset } = list;
  if ((ver === 1) !== (list.prev === null)) throw fault('The list does not say what it follows.');
  if (list.exp <= list.iat) throw fault('The list expires before it is made.');
  if (list.exp - list.iat > KEY_LIST_LIFE_SECONDS_MAX) {
    throw fault('The list lives longer than 400 days.');
  }
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length) {
    throw fault('A key is listed twice.');
  }
  const active = keys.filter(({ st }) => st === 'active');
  if (active.length === 0) throw fault('No key is active.');
  if (new Set(active.map(({ alg }) => alg)).size < active.length) {
    throw fault('Two keys of one algorithm are active.');
  }
  if (keys.some((key) => sinceOf(key) > ver)) throw fault('A key is newer than the list.');
  if (ver === 1 && active.length < keys.length) throw fault('A first list has active keys alone.');
  if (reset && (reset.ver > ver || reset.ver < 2))
    throw fault('The reset has an impossible version.');
  expectChain(links, reset?.ver ?? 1, ver);
  const last = links.at(-1);
  if (last && last.new !== signer) throw fault('The links lead to another identity.');
}

function expectChain(links: readonly IdentityLink[], after: number, until: number): void {
  let [ver, identity] = [after, links[0]?.old];
  for (const link of links) {
    if (link.ver <= ver || link.ver > until) throw fault('The links are out of order.');
    if (link.old !== identity || link.new === link.old) throw fault('The links are no chain.');
    [ver, identity] = [link.ver, link.new];
  }
}

/**
 * Checks that a coherent list may follow another: the version, the hash, the identity, the generation
 * of kBr and every key. Signatures of links are the caller's to check.
 *
 * @param revoked - kids that were revoked by token: they stay revoked
 * @throws KeySuccessionFault
 * @see keys.md §3.2
 */
export function checkSuccession(
  previous: SignedList,
  next: SignedList,
  revoked: readonly string[] = [],
): IdentityStep {
  const [was, is] = [previous.list, next.list];
  if (generationOf(is.kbr) < generationOf(was.kbr)) {
    throw new KeySuccessionFault(
      'stale-key-generation',
      'The kBr of the list is older than the one in use.',
    );
  }
  const step = stepOf(previous, next);
  if (is.ver !== was.ver + 1) throw fault('The list has not the next version.');
  if (is.prev !== previous.hash) throw fault('The list follows another list.');
  if ((step === 'same') !== (is.kbr === was.kbr)) {
    throw fault('Identity and kBr change together.');
  }
  expectCarried(was, is, step);
  if (step === 'reset') expectNewKeys(was, is);
  else expectSameKeys(was, is, step);
  for (const key of is.keys) {
    if (key.st !== 'revoked' && revoked.includes(key.kid)) {
      throw fault('A key that was revoked by token is not revoked.');
    }
  }
  return step;
}

function stepOf(previous: SignedList, { list, signer }: SignedList): IdentityStep {
  if (signer === previous.signer) return 'same';
  const link = list.links?.at(-1);
  if (link?.ver === list.ver && link.old === previous.signer) return 'link';
  if (list.reset?.ver === list.ver) return 'reset';
  throw new KeySuccessionFault(
    'signature-required',
    'The list is not signed by the identity in use, and no link or reset leads to another.',
  );
}

/** Links and resets are carried on, so that whoever missed a version can still follow. */
function expectCarried(was: KeyList, is: KeyList, step: IdentityStep): void {
  if (step === 'reset') {
    if (is.links) throw fault('A reset ends the links.');
    return;
  }
  if (!isSameReset(was, is)) {
    throw fault('The reset is not carried on.');
  }
  const expected = [...(was.links ?? []), ...(step === 'link' ? (is.links ?? []).slice(-1) : [])];
  const kept = expected.slice(-LINKS_MAX).map(textOf);
  if (kept.join() !== (is.links ?? []).map(textOf).join()) {
    throw fault('The links are not carried on.');
  }
}

const isSameReset = ({ reset: a }: KeyList, { reset: b }: KeyList): boolean =>
  a?.ver === b?.ver && a?.at === b?.at;
const textOf = (link: IdentityLink): string => [link.ver, link.old, link.new, link.sig].join(' ');

/** After a reset the private halves under the old kBr do not open any more. */
function expectNewKeys(was: KeyList, is: KeyList): void {
  const old = new Set(was.keys.map(({ kid }) => kid));
  for (const key of is.keys) {
    if (old.has(key.kid) || key.st !== 'active' || sinceOf(key) !== is.ver) {
      throw fault('After a reset every key is new.');
    }
  }
}

function expectSameKeys(was: KeyList, is: KeyList, step: IdentityStep): void {
  const before = new Map(was.keys.map((key) => [key.kid, key]));
  for (const key of is.keys) {
    const old = before.get(key.kid);
    if (old) expectCarriedKey(old, key, { ver: is.ver, step });
    else if (key.st !== 'active' || sinceOf(key) !== is.ver) {
      throw fault('A new key is active, and new since this version.');
    }
  }
  const after = new Set(is.keys.map(({ kid }) => kid));
  if (was.keys.some(({ kid, st }) => st === 'active' && !after.has(kid))) {
    throw fault('A key that was active is left out.');
  }
}

const order = ['active', 'retired', 'revoked'];

function expectCarriedKey(
  old: PublishedKey,
  key: PublishedKey,
  { ver, step }: { ver: number; step: IdentityStep },
): void {
  if (key.alg !== old.alg) throw fault('A key changed its algorithm.');
  if (order.indexOf(key.st) < order.indexOf(old.st)) throw fault('A key came back.');
  if ('rev' in old && 'rev' in key && old.st === key.st && old.rev !== key.rev) {
    throw fault('A key ended at another time.');
  }
  const isSame = sinceOf(key) === sinceOf(old) && key.wsha === old.wsha;
  const isRewrapped = step === 'link' && sinceOf(key) === ver && key.wsha !== old.wsha;
  if (step === 'link' && key.st !== 'revoked' && !isRewrapped) {
    throw fault('A key is not wrapped under the new kBr.');
  }
  if (!isSame && !isRewrapped) throw fault('A key was wrapped anew without a new kBr.');
}
