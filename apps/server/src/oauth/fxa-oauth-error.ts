import type { FailureCode } from '#lib/protocol';
import { errnoFormat } from '../platform/errno-format.ts';

/** The numbers of Firefox Accounts' stand-alone OAuth server, which had a table of its own. */
const errnos: Partial<Record<FailureCode, number>> = {
  'unknown-client': 101,
  'incorrect-redirect': 103,
  'unknown-code': 105,
  'incorrect-code': 106,
  'expired-code': 107,
  'invalid-token': 108,
  malformed: 109,
  'invalid-json': 109,
  'invalid-parameter': 109,
  'too-large': 109,
  'invalid-response-type': 110,
  unauthenticated: 111,
  'signature-required': 111,
  'clock-skew': 111,
  replayed: 111,
  'unverified-account': 112,
  'unverified-session': 112,
  forbidden: 112,
  'unsupported-media-type': 113,
  'invalid-scopes': 114,
  'invalid-pkce-challenge': 117,
  'missing-pkce': 118,
  'stale-auth': 119,
  'insufficient-acr': 120,
  unavailable: 201,
};

const statuses: Partial<Record<FailureCode, number>> = { 'signature-required': 401 };

/** `{code, errno, error, message}` of `/oauth/v1`; 999 for what has no number of its own. */
export const fxaOAuthError = errnoFormat({ errnos, statuses });
