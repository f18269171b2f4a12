import { IntegrityError } from '#lib/client';
import { strings } from '../strings/strings.ts';

/** What to say of something that did not pass a check; undefined for anything else. */
export function wordsForLie(error: unknown): string | undefined {
  if (!(error instanceof IntegrityError)) return undefined;
  return strings.keys.lies[error.code] ?? `${strings.keys.wrongHere} (${error.code})`;
}
