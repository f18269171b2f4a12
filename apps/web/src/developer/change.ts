import { ClientError } from '#lib/client';
import { strings } from '../strings/strings.ts';
import { type Attempt, useAttempt } from '../ui/attempt.ts';
import { refusalOf } from './calls.ts';

/** Remembers, for a component, an attempt to change an app. */
export const useChange = (): Attempt =>
  useAttempt((error) => {
    if (error instanceof ClientError && error.code === 'over-quota') return strings.apps.tooMany;
    if (error instanceof ClientError && error.code === 'not-found') return strings.apps.gone;
    const refusal = refusalOf(error);
    const words = strings.apps.wrong[refusal?.field ?? ''];
    return refusal && words !== undefined ? strings.apps.because(words, refusal.why) : undefined;
  });
