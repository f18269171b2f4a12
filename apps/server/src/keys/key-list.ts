import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CryptoRefusal, importPublicKey, verifyLink } from '#lib/crypto';
import {
  Base64Url,
  checkSuccession,
  expectCoherent,
  Failure,
  generationOf,
  type IdentityStep,
  KEY_LIST_TYPE,
  KeyList,
  KeySuccessionFault,
  type PublishedKey,
  type SignedList,
} from '#lib/protocol';
import { openSigned, type Place, readPart, SKEW_SECONDS } from './signed.ts';
import { parseStrictly } from './strict-json.ts';

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

/** Private keys by kid, each as the JSON text of a JWE that only the owner opens. */
export type Wrapped = Readonly<Record<string, string>>;

/**
 * Checks everything about a list that needs neither database nor the list before: its signature by the
 * identity key in its own header, that it was made for this place and time, and its keys.
 *
 * @throws Failure `invalid-key-list` with the reason
 * @see docs/protocol/keys.md, "What the server checks"
 */
export function openKeyList(skl: string, place: Place): SignedList {
  const { signed, payload, signer } = openSigned(
    skl,
    { typ: KEY_LIST_TYPE, schema: KeyList, what: 'a key list', code: 'invalid-key-list' },
    place,
  );
  if (payload.exp <= place.now) throw refuse('The list has expired.');
  // Its time never decreases: of the far future, it would be the last one.
  if (generationOf(payload.kbr) > place.now + SKEW_SECONDS) {
    throw refuse('The kBr is of the future.');
  }
  byRules(() => {
    expectCoherent(payload, signer);
  });
  // The keys as they were signed: a member that the schema would drop, such as `d`, is refused here.
  checkKeys((signed as { keys: unknown[] }).keys);
  return { list: payload, hash: hashOf(skl), signer };
}

/** A list that was accepted before: nothing of it is checked again. */
export function reopenKeyList(skl: string): SignedList {
  const [header, payload] = skl.split('.').map(readPart);
  const { jwk } = header as { jwk: { x: string } };
  return { list: payload as KeyList, hash: hashOf(skl), signer: jwk.x };
}

/**
 * Checks that a list may follow the one that stands.
 *
 * @param revoked - kids that were revoked by token
 * @throws Failure `stale-key-generation`, `signature-required`, `invalid-key-list`
 */
export async function checkNextList(
  previous: SignedList,
  next: SignedList,
  revoked: readonly string[],
): Promise<IdentityStep> {
  const step = byRules(() => checkSuccession(previous, next, revoked));
  const link = step === 'link' ? next.list.links?.at(-1) : undefined;
  const { iss: realm, sub: uid, cid: clientId } = next.list;
  if (link && !(await verifyLink({ realm, uid, clientId }, link))) {
    throw new Failure('signature-required', 'The old identity did not sign the link.');
  }
  return step;
}

/**
 * Checks that every key of a list has the wrapped private half that the list commits to: sent along,
 * or kept since the list before.
 *
 * @param kept - by kid, of the list before; of these no byte is checked again
 * @returns those of the list
 * @throws Failure `invalid-key-list`
 */
export function checkWrapped(list: KeyList, sent: Wrapped, kept: Wrapped = {}): Wrapped {
  const all: Record<string, string> = {};
  for (const key of list.keys) {
    const old = textFor(key, kept);
    const text = textFor(key, sent) ?? old;
    if (text === undefined) throw refuse(whyMissing(key, sent));
    if (text !== old && !isWrappedUnder(list.kbr, text)) {
      throw refuse('A wrapped private key is not a flattened JWE under the kBr of the list.');
    }
    all[key.kid] = text;
  }
  if (Object.keys(sent).some((kid) => !Object.hasOwn(all, kid))) {
    throw refuse('A wrapped private key belongs to no key of the list.');
  }
  return all;
}

function textFor({ kid, wsha }: PublishedKey, texts: Wrapped): string | undefined {
  const text = Object.hasOwn(texts, kid) ? texts[kid] : undefined;
  return text !== undefined && hashOf(text) === wsha ? text : undefined;
}

const whyMissing = ({ kid }: PublishedKey, sent: Wrapped): string =>
  Object.hasOwn(sent, kid)
    ? 'A wrapped private key is not the one that the list commits to.'
    : 'A key lacks its wrapped private key.';

/** base64url SHA-256 of a text. */
const hashOf = (text: string): string => createHash('sha256').update(text).digest('base64url');

const refuse = (why: string, cause?: unknown) => new Failure('invalid-key-list', why, { cause });

function byRules<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof KeySuccessionFault)) throw error;
    throw new Failure(error.code, error.message, { cause: error });
  }
}

function checkKeys(signed: readonly unknown[]): void {
  for (const key of signed as readonly Partial<PublishedKey>[]) {
    if (key.st !== 'active') continue; // the others have no public part
    try {
      importPublicKey(key);
    } catch (error) {
      if (!(error instanceof CryptoRefusal)) throw error;
      throw refuse(error.message, error);
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
