import { z } from 'zod';

/**
 * A request that was not answered as asked: `network`, `timeout` and `malformed-answer` are found here
 * (status 0); every other code is the server's own word for its refusal.
 */
export class ClientError extends Error {
  override readonly name = 'ClientError';

  constructor(
    /** A FailureCode, an OAuth error, `errno-<n>` of the accounts API or `weave-<n>` of Sync storage. */
    readonly code: string,
    /** The HTTP status; 0 when there was no answer. */
    readonly status: number,
    readonly detail: string,
    /** What else the answer said, such as `email` beside `errno-120`. */
    readonly extra: Readonly<Record<string, unknown>> = {},
    options?: ErrorOptions,
  ) {
    super(`${detail} (${code})`, options);
  }
}

/** Why the client refuses what a server, or a person through it, handed over. */
export type IntegrityCode =
  | 'REALM_CHANGED'
  | 'KEYS_REPLACED'
  | 'STATE_MISMATCH'
  | 'ISSUER_MISMATCH'
  | 'SCOPES_ADDED'
  | 'TOKEN_NOT_BOUND'
  | 'IDENTITY_CHANGED'
  | 'IDENTITY_RESET'
  | 'IDENTITY_CONFLICT'
  | 'KEY_LIST_INVALID'
  | 'KEY_LIST_ROLLBACK'
  | 'KEY_LIST_FORKED'
  | 'KEY_LIST_EXPIRED'
  | 'KEY_LIST_STALE'
  | 'KEY_DOWNGRADED'
  | 'KEY_REVOKED'
  | 'REVOCATION_FORGED'
  | 'PACKAGE_FORGED'
  | 'KEY_GENERATION_MISMATCH'
  | 'WRAP_MISMATCH'
  | 'DECRYPT_FAILED'
  | 'NOT_A_RECIPIENT'
  | 'RECIPIENT_MISMATCH'
  | 'SENDER_MISMATCH'
  | 'SIGNATURE_INVALID'
  | 'COMMITMENT_MISMATCH'
  | 'ENVELOPE_FORGED'
  | 'SHARE_EXPIRED'
  | 'REPLAYED'
  | 'UPLOAD_ALTERED'
  | 'FILE_FORGED'
  | 'RECORD_FORGED'
  | 'SYNC_RECORD_FORGED'
  | 'SYNC_RECORD_MISPLACED'
  | 'SYNC_RECORD_REPLAYED'
  | 'SYNC_KEYS_FORGED'
  | 'SYNC_KEYS_ROLLBACK'
  | 'SYNC_META_ROLLBACK';

/** Says that something did not pass a check that does not trust the server. Nothing of it was used. */
export class IntegrityError extends Error {
  override readonly name = 'IntegrityError';

  constructor(
    readonly code: IntegrityCode,
    detail: string,
    options?: ErrorOptions,
  ) {
    super(`${detail} (${code})`, options);
  }
}

/** Whether a request was refused because somebody else was faster (412). */
export const isOvertaken = (error: unknown): boolean =>
  error instanceof ClientError && error.status === 412;

/** What was asked for; undefined when it is not there (404). */
export async function ifThere<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ClientError && error.status === 404) return undefined;
    throw error;
  }
}

const Problem = z.looseObject({ type: z.string(), detail: z.string().default('') });
const Fxa = z.looseObject({ errno: z.number(), message: z.string().default('') });
const OAuth = z.object({ error: z.string(), error_description: z.string().default('') });
const Token = z.object({
  status: z.string(),
  errors: z.array(z.object({ description: z.string().default('') })).default([]),
});

/** Reads a refusal in whichever format its API has. */
export function errorOf(status: number, text: string): ClientError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return new ClientError(`http-${status}`, status, `The server answered ${status}.`);
  }
  const fxa = Fxa.safeParse(body);
  if (fxa.success) {
    const { errno, message, ...extra } = fxa.data;
    return new ClientError(`errno-${errno}`, status, message, extra);
  }
  const problem = Problem.safeParse(body);
  if (problem.success) {
    const { type, detail, ...extra } = problem.data;
    return new ClientError(type.split('/').at(-1) ?? '', status, detail, extra);
  }
  const oauth = OAuth.safeParse(body);
  if (oauth.success) {
    return new ClientError(oauth.data.error, status, oauth.data.error_description);
  }
  const token = Token.safeParse(body);
  if (token.success) {
    return new ClientError(token.data.status, status, token.data.errors[0]?.description ?? '');
  }
  const weave = z.number().safeParse(body);
  const code = weave.success ? `weave-${weave.data}` : `http-${status}`;
  return new ClientError(code, status, `The server answered ${status}.`);
}
