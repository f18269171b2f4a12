import { createHash, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { deriveToken, toHex, type TokenKind } from '#lib/crypto';
import { Failure } from '#lib/protocol';
import { idOf } from '../accounts/hawk.service.ts';
import type { Factor, GivenFactor } from '../accounts/proofs.guard.ts';
import { Clock } from '../platform/clock.ts';

/** What a token allows: a new password with the keys kept, the steps of a reset, the reset. */
export type PasswordTokenKind = 'change' | 'forgot' | 'reset';

const kinds: Record<PasswordTokenKind, { derivation: TokenKind; seconds: number }> = {
  change: { derivation: 'passwordChangeToken', seconds: 900 },
  forgot: { derivation: 'passwordForgotToken', seconds: 3600 },
  reset: { derivation: 'accountResetToken', seconds: 900 },
};
/** Guesses at the code of a passwordForgotToken. */
export const TRIES_MAX = 3;

/** A token that was recognised. */
export interface PasswordToken {
  /** base64url SHA-256 of the token id. */
  id: string;
  /** Null: it was made for an address that nobody has. */
  uid: string | null;
  expiresAt: Date;
  /** Guesses that are left. */
  tries: number;
  /** The second factor that it was made or proven with. */
  factor: Factor | null;
  factorAt: Date | null;
  /** Whether the account has a second factor that was not given with it. */
  lacksFactor: boolean;
}

interface Row extends PasswordToken {
  reqHmacKey: Buffer;
}

/** The tokens of a change or a reset of a password. Each is good once; none is stored itself. */
@Injectable()
export class PasswordTokensService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  /**
   * @param uid - null for an address that nobody has: the same is done
   * @param code - that a passwordForgotToken is exchanged with
   * @param given - the second factor that goes along with it
   * @returns the token, 32 bytes in hex, and its life in seconds
   */
  async mint(
    tx: EntityManager,
    kind: PasswordTokenKind,
    uid: string | null,
    { code, given }: { code?: string; given?: GivenFactor | undefined } = {},
  ): Promise<{ token: string; seconds: number }> {
    const { derivation, seconds } = kinds[kind];
    const token = randomBytes(32);
    const { id, reqHMACkey } = deriveToken(token, derivation);
    const now = this.clock.now();
    // First, as whoever sets a password does: so neither waits for the other's tokens.
    await tx.query(`SELECT 1 FROM account WHERE uid = $1 FOR KEY SHARE`, [uid]);
    await tx.query(`DELETE FROM password_token WHERE expires_at <= $1`, [now]);
    await tx.query(
      `INSERT INTO password_token
         (id, kind, uid, req_hmac_key, code_hash, tries, expires_at, factor, factor_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
      [
        idOf(toHex(id)),
        kind,
        uid,
        Buffer.from(reqHMACkey),
        code === undefined ? null : hash(code),
        TRIES_MAX,
        new Date(now.getTime() + seconds * 1000),
        ...[given?.factor, given?.factorAt],
      ],
    );
    return { token: token.toString('hex'), seconds };
  }

  /** Looks a token up by the SHA-256 of its id. */
  async find(kind: PasswordTokenKind, id: string): Promise<Row | undefined> {
    const [row] = await this.db.query<Row[]>(
      `SELECT t.id, t.uid, t.req_hmac_key AS "reqHmacKey", t.tries, t.expires_at AS "expiresAt",
              t.factor, t.factor_at AS "factorAt",
              coalesce(a.has_factors, false) AND t.factor IS NULL AS "lacksFactor"
         FROM password_token t LEFT JOIN account a USING (uid)
        WHERE t.id = $1 AND t.kind = $2 AND t.expires_at > $3`,
      [id, kind, this.clock.now()],
    );
    return row;
  }

  /** Notes that a second factor was given with a token. */
  async prove(tx: EntityManager, { id }: PasswordToken, given: GivenFactor): Promise<void> {
    await tx.query(`UPDATE password_token SET factor = $2, factor_at = $3 WHERE id = $1`, [
      ...[id, given.factor, given.factorAt],
    ]);
  }

  /**
   * Uses a token up. Of two who do, one goes on.
   *
   * @throws Failure `unauthenticated`
   */
  async take(tx: EntityManager, { id }: PasswordToken): Promise<void> {
    const [rows] = await tx.query<[unknown[], number]>(
      `DELETE FROM password_token WHERE id = $1 AND expires_at > $2 RETURNING id`,
      [id, this.clock.now()],
    );
    if (rows.length === 0) throw new Failure('unauthenticated', 'The token was already used.');
  }

  /** Ends every change and reset that is under way, and what was mailed to begin one. */
  async dropAll(tx: EntityManager, uid: string): Promise<void> {
    await tx.query(`DELETE FROM password_token WHERE uid = $1`, [uid]);
    await tx.query(
      `DELETE FROM password_digits d USING account a
        WHERE a.uid = $1 AND d.id = sha256(convert_to(a.normal_email, 'UTF8'))`,
      [uid],
    );
  }

  /** Puts another code in the place of a token's. */
  async recode(id: string, code: string): Promise<void> {
    await this.db.query(`UPDATE password_token SET code_hash = $2 WHERE id = $1`, [id, hash(code)]);
  }

  /**
   * Counts a guess at a token's code, and ends the token with the last.
   *
   * @returns whether it is the code, and the guesses that are left
   */
  async guess(id: string, code: string): Promise<{ isRight: boolean; tries: number }> {
    const [rows] = await this.db.query<[{ isRight: boolean; tries: number }[], number]>(
      `UPDATE password_token SET tries = tries - 1
        WHERE id = $1 AND tries > 0 RETURNING tries, code_hash = $2 AS "isRight"`,
      [id, hash(code)],
    );
    const { isRight, tries } = rows[0] ?? { isRight: false, tries: 0 };
    if (!isRight && tries === 0) {
      await this.db.query(`DELETE FROM password_token WHERE id = $1`, [id]);
    }
    return { isRight, tries };
  }
}

/** Codes are long and random, so that comparing their hashes tells nothing by its time. */
const hash = (code: string) => createHash('sha256').update(code).digest();
