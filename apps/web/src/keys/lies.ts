import { type IntegrityCode, IntegrityError } from '#lib/client';
import { strings } from '../strings/strings.ts';

/** Another identity than before: whether it is right to take it, the person alone can tell. */
export const OTHERS: readonly IntegrityCode[] = ['IDENTITY_CHANGED', 'IDENTITY_RESET'];

/** What to say of something that did not pass a check; undefined for anything else. */
export function wordsForLie(error: unknown): string | undefined {
  if (!(error instanceof IntegrityError)) return undefined;
  return strings.keys.lies[error.code] ?? `${strings.keys.wrongHere} (${error.code})`;
}
