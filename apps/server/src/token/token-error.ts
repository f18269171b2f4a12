import { type Failure, type FailureCode, failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from '../platform/failure.filter.ts';

/** The token server's own status words (Token server 1.0, "Error responses"). */
const words: Partial<Record<FailureCode, string>> = {
  unauthenticated: 'invalid-credentials',
  'wrong-audience': 'invalid-credentials',
  'insufficient-scope': 'invalid-credentials',
  'invalid-key-id': 'invalid-key-id',
  'invalid-client-state': 'invalid-client-state',
  'invalid-generation': 'invalid-generation',
  'invalid-keys-changed-at': 'invalid-keysChangedAt',
  'new-users-disabled': 'new-users-disabled',
};

/** `{status, errors: [{location, name, description}]}` */
export const tokenError: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const known = failure && words[failure.code];
  return {
    // With a token that lacks the scope, a client is to get another one.
    status: failure?.code === 'insufficient-scope' ? 401 : status,
    contentType: 'application/json',
    body: {
      status: known ?? (status >= 500 ? 'internal-error' : 'error'),
      errors: [
        {
          location: locationOf(failure),
          name: '',
          description: failure?.message ?? 'Server error',
          ...failure?.options.extra,
        },
      ],
    },
  };
};

function locationOf(failure: Failure | undefined): string {
  if (!failure) return 'internal';
  return failure.code === 'not-found' ? 'url' : 'body';
}
