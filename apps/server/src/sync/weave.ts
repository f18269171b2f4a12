import { type FailureCode, failureStatuses } from '#lib/protocol';
import type { ErrorFormat } from '../platform/failure.filter.ts';

/** Weave response codes (Storage API 1.1, "Response Codes"); 0 says nothing more. */
const codes: Partial<Record<FailureCode, number>> = {
  'precondition-required': 4,
  malformed: 6,
  'invalid-json': 6,
  'invalid-bso': 8,
  'over-quota': 14,
  'too-large': 17,
  'size-limit': 17,
};
const statuses: Partial<Record<FailureCode, number>> = {
  'over-quota': 400,
  'precondition-required': 400,
};

const inNumbers =
  (challenge: string): ErrorFormat =>
  (failure) => {
    const status = failure ? (statuses[failure.code] ?? failureStatuses[failure.code]) : 500;
    return {
      status,
      contentType: 'application/json',
      body: String((failure && codes[failure.code]) ?? 0),
      ...(status === 401 && { headers: { 'www-authenticate': challenge } }),
    };
  };

/** Storage 1.5: the body of a refusal is a bare number. */
export const weave = inNumbers('Hawk');

/** Storage 1.1: the same, for who has a password. */
export const legacyWeave = inNumbers('Basic realm="Sync"');
