import { type FailureCode, failureStatuses } from '#lib/protocol';
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
};

/** `{status, errors: [{location, name, description}]}` */
export const tokenError: ErrorFormat = (failure) => {
  const status = failure ? failureStatuses[failure.code] : 500;
  const known = failure && words[failure.code];
  return {
    status: known ? 401 : status,
    contentType: 'application/json',
    body: {
      status: known ?? (status >= 500 ? 'internal-error' : 'error'),
      errors: [
        {
          location: failure?.code === 'not-found' ? 'url' : 'body',
          name: '',
          description: failure?.message ?? 'Server error',
          ...failure?.options.extra,
        },
      ],
    },
  };
};
