import { STATUS_CODES } from 'node:http';
import { type FailureCode, failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from '../platform/failure.filter.ts';

/** The numbers of Firefox Accounts' profile server. */
const errnos: Partial<Record<FailureCode, number>> = {
  unauthenticated: 100,
  'insufficient-scope': 100,
  malformed: 101,
  'invalid-parameter': 101,
  'too-large': 101,
  'length-required': 101,
  'unsupported-media-type': 102,
  unavailable: 105,
  'too-many-requests': 114,
};

/** A picture that is none is a bad request there. */
const statuses: Partial<Record<FailureCode, number>> = { 'unsupported-media-type': 400 };

/** `{code, errno, error, message}`; 999 for what has no number of its own. */
export const profileError: ErrorFormat = (failure) => {
  const status = failure ? (statuses[failure.code] ?? failureStatuses[failure.code]) : 500;
  return {
    status,
    contentType: 'application/json',
    body: {
      code: status,
      errno: (failure && errnos[failure.code]) ?? 999,
      error: STATUS_CODES[status] ?? 'Error',
      message: failure?.message ?? 'Unspecified error',
      ...failure?.options.extra,
    },
  };
};
