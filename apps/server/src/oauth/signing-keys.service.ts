import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import type { JWKS } from 'oidc-provider';
import { DataSource } from 'typeorm';
import { Clock } from '../platform/clock.ts';

/**
 * Seconds that a new key is published for before it signs: every process has read it by then, so
 * that no verifier fetches the keys from one that does not know it yet.
 */
export const LEAD_SECONDS = 10;

/** Seconds that a key is published for after its last signature: an ID token lives no longer. */
const AFTER_SECONDS = 3600 + 60;

/** One key, as an operator sees it. */
export interface SigningKey {
  kid: string;
  createdAt: Date;
  /** From when on it signs. */
  signsAt: Date;
  /** When it is published no more; null while none takes over. */
  endsAt: Date | null;
}

/** The keys that sign ID tokens, JWTs and logout tokens; one signs, several are published. */
@Injectable()
export class SigningKeysService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /**
   * What is published at this moment, with private members; makes the first key. The one that signs
   * comes first.
   */
  async published(): Promise<JWKS> {
    const found = await this.read();
    if (found.length > 0) return { keys: found };
    await this.db.transaction(async (tx) => {
      // Two processes may boot at once.
      await tx.query(`LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE`);
      const now = this.clock.now();
      const jwk = makeKey();
      await tx.query(
        `INSERT INTO signing_key (kid, jwk, created_at, signs_at)
         SELECT $1, $2, $3, $3
          WHERE NOT EXISTS (SELECT FROM signing_key WHERE ends_at IS NULL OR ends_at > $3)`,
        [jwk.kid, jwk, now],
      );
    });
    return { keys: await this.read() };
  }

  /**
   * Puts a new key in the place of the one that signs. The old one stays published until all that
   * it signed has expired.
   *
   * @param atOnce - the old one was stolen: it ends now, and what it signed with it
   * @returns the new key's name
   */
  async rotate({ atOnce = false } = {}): Promise<string> {
    const jwk = makeKey();
    await this.db.transaction(async (tx) => {
      await tx.query(`LOCK TABLE signing_key IN SHARE ROW EXCLUSIVE MODE`);
      const now = this.clock.now();
      const signsAt = later(now, atOnce ? 0 : LEAD_SECONDS);
      await tx.query(
        atOnce
          ? `UPDATE signing_key SET ends_at = $1 WHERE ends_at IS NULL OR ends_at > $1`
          : `UPDATE signing_key SET ends_at = $1 WHERE ends_at IS NULL`,
        [atOnce ? now : later(signsAt, AFTER_SECONDS)],
      );
      await tx.query(
        `INSERT INTO signing_key (kid, jwk, created_at, signs_at) VALUES ($1, $2, $3, $4)`,
        [jwk.kid, jwk, now, signsAt],
      );
    });
    return jwk.kid;
  }

  /** Every key that is published, the newest first. */
  list(): Promise<SigningKey[]> {
    return this.db.query<SigningKey[]>(
      `SELECT kid, created_at AS "createdAt", signs_at AS "signsAt", ends_at AS "endsAt"
         FROM signing_key WHERE ends_at IS NULL OR ends_at > $1 ORDER BY signs_at DESC, kid`,
      [this.clock.now()],
    );
  }

  /** Forgets the keys that are published no more. */
  async purge(): Promise<void> {
    await this.db.query(`DELETE FROM signing_key WHERE ends_at <= $1`, [this.clock.now()]);
  }

  private async read(): Promise<JWKS['keys']> {
    const rows = await this.db.query<{ jwk: JWKS['keys'][number] }[]>(
      `SELECT jwk FROM signing_key WHERE ends_at IS NULL OR ends_at > $1
        ORDER BY signs_at > $1, signs_at DESC, kid`,
      [this.clock.now()],
    );
    return rows.map(({ jwk }) => jwk);
  }
}

function makeKey() {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const kid = randomBytes(9).toString('base64url');
  return { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid };
}

const later = (time: Date, seconds: number) => new Date(time.getTime() + seconds * 1000);
