import { randomBytes, timingSafeEqual } from 'node:crypto';
import { hashOf } from './token-hash.ts';

/** What the server keeps of an app's secret. */
export interface StoredSecret {
  /** base64url SHA-256 of its text */
  sha256: string;
  /** Seconds since 1970; without it, it is good until it is replaced. */
  expires_at?: number;
}

/** For how long the secret before goes on beside a new one, in seconds. */
export const OLD_SECRET_SECONDS = 86_400;

/** A secret that nobody guesses, and what is kept of it. */
export function makeClientSecret(): { secret: string; stored: StoredSecret } {
  const secret = randomBytes(32).toString('base64url');
  return { secret, stored: { sha256: hashOf(secret) } };
}

/** @param now - seconds since 1970 */
export function matchesSecret(
  stored: readonly StoredSecret[],
  secret: string,
  now: number,
): boolean {
  const given = Buffer.from(hashOf(secret));
  return stored
    .filter(({ expires_at: until = Infinity }) => until > now)
    .some(({ sha256 }) => {
      const known = Buffer.from(sha256);
      return known.length === given.length && timingSafeEqual(known, given);
    });
}
