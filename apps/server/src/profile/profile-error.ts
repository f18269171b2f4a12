import type { FailureCode } from '#lib/protocol';
import { errnoFormat } from '../platform/errno-format.ts';

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
export const profileError = errnoFormat({ errnos, statuses });
