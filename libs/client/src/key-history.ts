import { KeyHistory, type KeyList, KeySuccessionFault, checkSuccession } from '#lib/protocol';
import { ClientError, IntegrityError } from './client-error.ts';
import { type CheckedList, openKeyList, textHash } from './key-list.ts';
import { askKeyService, type KeyHolder } from './contact.ts';
import type { OwnPlace } from './own-keys.ts';

/** One list of one's own. */
export interface HistoryEntry {
  list: KeyList;
  /** base64url SHA-256 of the JWS. */
  hash: string;
  /** `x` of the identity that signed it. */
  signer: string;
  /** How the identity came from the list before. */
  step: 'first' | 'same' | 'link' | 'reset';
  /** When the server says that it took it, in seconds since 1970. */
  at: number;
}

/**
 * Reads every list that one has published and checks that they are one chain, which ends at the current list.
 *
 * @throws IntegrityError `KEY_LIST_INVALID`, `KEY_LIST_FORKED`, `WRAP_MISMATCH`
 */
export async function readHistory(
  holder: KeyHolder,
  place: OwnPlace,
  current: CheckedList,
): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = [];
  let last: CheckedList | undefined;
  for (let after = 0; ;) {
    const ask = { url: '/keys/v1/me/history', query: { after } };
    const { lists, next } = (await askKeyService(holder, ask, KeyHistory)).data;
    for (const { skl, wrapped, at } of lists) {
      const checked = await openKeyList({ skl }, place, {});
      if (checked.list.ver > current.list.ver) throw forked(PAST_THE_END);
      expectWraps(checked.list, wrapped);
      entries.push({ ...partsOf(checked), step: stepBetween(last, checked), at });
      last = checked;
    }
    if (next === undefined) break;
    if (next <= after || lists.length === 0) {
      throw new ClientError('malformed-answer', 0, 'The history does not end.');
    }
    after = next;
  }
  if (last?.hash !== current.hash) throw forked(PAST_THE_END);
  return entries;
}

const PAST_THE_END = 'The history does not end at the current list.';
const forked = (detail: string, cause?: unknown) =>
  new IntegrityError('KEY_LIST_FORKED', detail, { cause });

const partsOf = ({ list, hash, signer }: CheckedList) => ({ list, hash, signer });

function stepBetween(last: CheckedList | undefined, next: CheckedList): HistoryEntry['step'] {
  if (!last) {
    if (next.list.ver === 1) return 'first';
    throw forked('The history does not begin at the first list.');
  }
  try {
    return checkSuccession(last, next);
  } catch (cause) {
    if (!(cause instanceof KeySuccessionFault)) throw cause;
    throw forked(
      `Version ${next.list.ver} of your key list does not follow the one before.`,
      cause,
    );
  }
}

/** What the server still has of the wrapped keys is what the list committed to. */
function expectWraps({ keys, ver }: KeyList, wrapped: Readonly<Record<string, string>>): void {
  for (const { kid, wsha } of keys) {
    const text = wrapped[kid];
    if (text === undefined || textHash(text) === wsha) continue;
    const detail = `A wrapped key of version ${ver} is not the one of the list.`;
    throw new IntegrityError('WRAP_MISMATCH', detail);
  }
}
