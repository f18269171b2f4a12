/**
 * Every refusal a caller can act on, and the HTTP status it has in the APIs this project designed.
 * An API with its own error format says beside its code how it spells them
 * (`sync/weave.ts`, `accounts/fxa-error.ts`, `token/token-error.ts`).
 */
export const failureStatuses = {
  malformed: 400,
  'invalid-parameter': 400,
  'digest-mismatch': 400,
  unauthenticated: 401,
  'wrong-audience': 401,
  'clock-skew': 401,
  replayed: 401,
  'insufficient-scope': 403,
  forbidden: 403,
  'signature-required': 403,
  'sign-up-closed': 403,
  'not-found': 404,
  'method-not-allowed': 405,
  'not-acceptable': 406,
  conflict: 409,
  'stale-key-generation': 409,
  gone: 410,
  'length-required': 411,
  'precondition-failed': 412,
  'too-large': 413,
  'unsupported-media-type': 415,
  'range-not-satisfiable': 416,
  'invalid-key-list': 422,
  'invalid-revocation': 422,
  'invalid-package': 422,
  'step-up-required': 401,
  'upgrade-required': 426,
  'precondition-required': 428,
  'too-many-requests': 429,
  'over-quota': 507,
  unavailable: 503,
  // Sync storage
  'invalid-json': 400,
  'invalid-bso': 400,
  'size-limit': 400,
  decommissioned: 513,
  // accounts
  'account-exists': 400,
  'unknown-account': 400,
  'incorrect-password': 400,
  'incorrect-email-case': 400,
  'unverified-account': 400,
  'unverified-session': 400,
  'invalid-verification-code': 400,
  'unknown-device': 400,
  'device-conflict': 400,
  'unavailable-command': 400,
  'request-blocked': 400,
  'invalid-unblock-code': 400,
  'invalid-digits': 400,
  'no-recovery-key': 400,
  'invalid-recovery-key': 400,
  'recovery-key-exists': 400,
  'factor-exists': 400,
  'no-factor': 400,
  'invalid-backup-code': 400,
  'factor-required': 400,
  'unknown-passkey': 400,
  'passkey-exists': 400,
  'too-many-passkeys': 400,
  'invalid-passkey': 400,
  'no-passkey-challenge': 400,
  'unknown-client': 400,
  'unknown-user-code': 400,
  'invalid-scopes': 400,
  'invalid-token': 400,
  'stale-auth': 400,
  'incorrect-redirect': 400,
  'invalid-response-type': 400,
  'missing-pkce': 400,
  'insufficient-acr': 400,
  'unknown-code': 400,
  'incorrect-code': 400,
  'expired-code': 400,
  'invalid-pkce-challenge': 400,
  // pairing
  'unknown-channel': 404,
  // token server
  'invalid-key-id': 401,
  'invalid-client-state': 401,
  'invalid-generation': 401,
  'invalid-keys-changed-at': 401,
  'no-credentials': 401,
  'new-users-disabled': 403,
} as const;

export type FailureCode = keyof typeof failureStatuses;

/** A refusal with a reason. Anything else that is thrown is a bug, and answers 500. */
export class Failure extends Error {
  override readonly name = 'Failure';

  constructor(
    readonly code: FailureCode,
    detail: string,
    /** `extra` is added to the body of formats that have room for it, such as FxA's `email`. */
    readonly options: ErrorOptions & {
      extra?: Readonly<Record<string, unknown>>;
      headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(detail, options);
  }
}
