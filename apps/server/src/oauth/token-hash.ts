import { createHash } from 'node:crypto';

/**
 * What stands in the `oidc` table for a code or token, which is itself kept nowhere: base64url SHA-256
 * of its text. An ended one is looked for by it, too.
 */
export const hashOf = (token: string): string =>
  createHash('sha256').update(token).digest('base64url');

/**
 * Whether this may be a token that is shown as it is. The row of a JWT is found by a name that is not:
 * its `jti` is no secret.
 */
export const isOpaque = (token: string): boolean => /^[\w-]+$/.test(token);
