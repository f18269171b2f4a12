import { ClientError } from '#lib/client';
import { strings } from '../strings/strings.ts';
import { type Attempt, useAttempt } from '../ui/attempt.ts';
import { refusedField } from './calls.ts';

/** Remembers, for a component, an attempt to change an app. */
export const useChange = (): Attempt =>
  useAttempt((error) => {
    if (error instanceof ClientError && error.code === 'over-quota') return strings.apps.tooMany;
    if (error instanceof ClientError && error.code === 'not-found') return strings.apps.gone;
    return strings.apps.wrong[refusedField(error) ?? ''];
  });
