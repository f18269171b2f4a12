import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { toBase32, toUsername } from './legacy-name.ts';
import { Statements } from './statements.ts';

/** Long and random, so that nothing is gained by stretching it; a guess costs us nothing either. */
const PASSWORD_BYTES = 20;
const SCHEME = 'sha256:';

/**
 * The app passwords of Storage 1.1. They are this node's alone: never an account's password, and
 * checked against this node's own table.
 *
 * @see docs/protocol/sync.md, "Storage 1.1"
 */
@Injectable()
export class LegacyPasswordsService {
  constructor(private readonly statements: Statements) {}

  /**
   * Gives a user a new password; the one before, if there was one, ends.
   *
   * @param account - a user name, or a mail address, of which only a hash is kept
   * @returns the name that clients sign in with, and the password: 32 characters
   */
  async make(account: string): Promise<{ username: string; password: string }> {
    const username = toUsername(account);
    const password = toBase32(randomBytes(PASSWORD_BYTES));
    await this.statements.run(
      `INSERT INTO legacy_user (username, hash) VALUES ($1, $2)
           ON CONFLICT (username) DO UPDATE SET hash = EXCLUDED.hash`,
      [username, hashOf(password)],
    );
    return { username, password };
  }

  /**
   * Ends a user's password. The records stay.
   *
   * @returns false when there was none
   */
  async revoke(account: string): Promise<boolean> {
    const rows = await this.statements.run(
      `UPDATE legacy_user SET hash = NULL WHERE username = $1 AND hash IS NOT NULL RETURNING id`,
      [toUsername(account)],
    );
    return rows.length > 0;
  }

  /** @returns the uid of the store, which is negative; undefined when the password is wrong */
  async check(account: string, password: string): Promise<number | undefined> {
    const [user] = await this.statements.run<{ id: number; hash: string | null }>(
      `SELECT id, hash FROM legacy_user WHERE username = $1`,
      [toUsername(account)],
    );
    const given = Buffer.from(hashOf(password));
    const known = Buffer.from(user?.hash ?? '');
    const isRight = given.length === known.length && timingSafeEqual(given, known);
    return user && isRight ? -user.id : undefined;
  }
}

const hashOf = (password: string) =>
  SCHEME + createHash('sha256').update(password).digest('base64url');
