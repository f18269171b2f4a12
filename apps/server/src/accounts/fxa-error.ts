import { HttpException } from '@nestjs/common';
import type { FailureCode } from '#lib/protocol';
import { errnoFormat } from '../platform/errno-format.ts';

/** FxA's numbers for our refusals (`reference`: Firefox Accounts errno table). */
const errnos: Partial<Record<FailureCode, number>> = {
  'account-exists': 101,
  'unknown-account': 102,
  'incorrect-password': 103,
  'unverified-account': 104,
  'invalid-verification-code': 105,
  'invalid-json': 106,
  malformed: 107,
  'invalid-parameter': 107,
  'unsupported-media-type': 107,
  'signature-required': 109,
  unauthenticated: 110,
  'wrong-audience': 110,
  'invalid-token': 110,
  'clock-skew': 111,
  'length-required': 112,
  'too-large': 113,
  'too-many-requests': 114,
  replayed: 115,
  'not-found': 116,
  'method-not-allowed': 116,
  gone: 116,
  'incorrect-email-case': 120,
  'unknown-device': 123,
  'device-conflict': 124,
  'unverified-session': 138,
  'factor-exists': 154,
  'no-factor': 155,
  'invalid-backup-code': 156,
  'unavailable-command': 157,
  'request-blocked': 125,
  'invalid-unblock-code': 127,
  'no-recovery-key': 158,
  'invalid-recovery-key': 159,
  'factor-required': 160,
  'recovery-key-exists': 161,
  'unknown-client': 162,
  'invalid-scopes': 163,
  'stale-auth': 164,
  'incorrect-redirect': 167,
  'invalid-response-type': 168,
  'missing-pkce': 169,
  'insufficient-acr': 170,
  'unknown-code': 172,
  'incorrect-code': 173,
  'expired-code': 174,
  'invalid-pkce-challenge': 175,
  'invalid-digits': 183,
  unavailable: 201,
  'unknown-passkey': 224,
  'passkey-exists': 225,
  'too-many-passkeys': 226,
  'invalid-passkey': 227,
  'no-passkey-challenge': 229,
  'sign-up-closed': 202,
};

/** Where FxA's HTTP status is not the one of the APIs this project designed. */
const statuses: Partial<Record<FailureCode, number>> = {
  'signature-required': 401,
  'invalid-token': 401,
};

/** What the schemas say of a member that should be there. */
export const MISSING = 'Missing';

/** `{code, errno, error, message}`; 999 for what has no number of its own. */
export const fxaError = errnoFormat({
  errnos,
  statuses,
  more: ({ code, cause }) => (code === 'malformed' ? mistakeIn(cause) : {}),
});

/** Which of FxA's numbers a body has that fits no schema, and the members that it is about. */
function mistakeIn(cause: unknown): { errno?: number; param?: string; validation?: object } {
  if (!(cause instanceof HttpException)) {
    // The parser's: a body that is no JSON, or none where its type says that there is.
    const { code } = (cause ?? {}) as { code?: unknown };
    const isJson = cause instanceof SyntaxError || /_JSON_BODY$/.test(String(code));
    return isJson ? { errno: 106 } : {};
  }
  const { message } = cause.getResponse() as { message?: unknown };
  if (!Array.isArray(message)) return {};
  const said = message.map((line) => /^([\w.]+): (.*)$/s.exec(String(line)) ?? []);
  const missing = said.find(([, , what]) => what === MISSING);
  if (missing?.[1] !== undefined) return { errno: 108, param: missing[1] };
  const keys = said.flatMap(([, name]) => name ?? []);
  return { validation: { source: 'payload', keys } };
}
