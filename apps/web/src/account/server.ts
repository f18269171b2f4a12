import { type Ask, ClientError, Server } from '#lib/client';
import { deriveToken, fromHex, toHex, type TokenKind } from '#lib/crypto';
import { strings } from '../strings/strings.ts';

/** The server that these pages came from. Nothing here is bound to its realm, so it is not asked for it. */
export const { http } = Server.known(location.origin, '', { now: () => Date.now() });

const prefixes = {
  sessionToken: 'fxs',
  keyFetchToken: 'fxk',
  accountResetToken: 'fxar',
  passwordForgotToken: 'fxpf',
  passwordChangeToken: 'fxpc',
} as const satisfies Record<TokenKind, string>;

/**
 * The headers that a token's call carries. Not Hawk, which binds a call to the server's own name for itself:
 * these pages also work under another name of it, and what they send passes TLS.
 *
 * @param token - 64 hex digits
 */
export const bearing = (kind: TokenKind, token: string): { headers: Record<string, string> } => ({
  headers: {
    authorization: `Bearer ${prefixes[kind]}_${toHex(deriveToken(fromHex(token), kind).id)}`,
  },
});

/** A call of the accounts API that sends something. @param by - from {@link bearing}, when a token is needed */
export const post = (path: string, json: object, by: Pick<Ask, 'headers'> = {}): Ask => ({
  ...{ method: 'POST', url: `/auth/v1/${path}`, json },
  ...by,
});

/** Tells whether the server refused with this errno. */
export const isErrno = (error: unknown, errno: number): error is ClientError =>
  error instanceof ClientError && error.code === `errno-${errno}`;

/** What to tell a person about a failure. Never the server's own sentence: it has one language. */
export function wordsFor(error: unknown): string {
  if (!(error instanceof ClientError)) return strings.errorOther((error as Error).name);
  const { retryAfter } = error.extra;
  if (typeof retryAfter === 'number' && error.code !== 'errno-201') {
    return strings.errorThrottled(Math.ceil(retryAfter / 60));
  }
  return strings.errors[error.code] ?? strings.errorOther(error.code);
}
