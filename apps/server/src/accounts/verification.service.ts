import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Failure, type VerifyEmail } from '#lib/protocol';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';

/** 7 days. */
const LIFE_SECONDS = 7 * 86_400;
/** Half an hour. */
const DIGITS_LIFE_SECONDS = 1800;
/** Guesses at digits. */
const TRIES_MAX = 5;
/** Codes of one account that may be alive at once; more mail than that is somebody's nuisance. */
const CODES_MAX = 5;

/** Proves that an address is its owner's, by a code that only its mailbox receives. */
@Injectable()
export class VerificationService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly mailer: MailerService,
  ) {}

  /**
   * Mails a code and a link. Earlier codes stay good, because mail may arrive out of order.
   *
   * @param tx - that makes the account; whoever calls lets the mail go after it
   * @param replaces - whether it ends an earlier sign-up of the address, which its owner must hear of
   * @throws Failure `too-many-requests` when five codes are alive
   */
  async mailCode(
    uid: string,
    email: string,
    { tx, replaces = false }: { tx?: EntityManager; replaces?: boolean } = {},
  ): Promise<void> {
    const code = randomBytes(16).toString('hex');
    await this.keep(uid, { id: hash(code), isDigits: false, seconds: LIFE_SECONDS }, tx);
    await this.mailer.send('verify-address', email, { uid, code, replaces }, tx);
  }

  /**
   * Mails six digits, to be typed where the person signed up.
   *
   * @throws Failure `too-many-requests` when five codes are alive
   */
  async mailDigits(uid: string, email: string): Promise<void> {
    const code = String(randomInt(1_000_000)).padStart(6, '0');
    const id = hash(`${uid} ${code}`);
    await this.keep(uid, { id, isDigits: true, seconds: DIGITS_LIFE_SECONDS });
    await this.mailer.send('sign-in-code', email, { uid, code });
  }

  private async keep(
    uid: string,
    { id, isDigits, seconds }: { id: string; isDigits: boolean; seconds: number },
    db: EntityManager = this.db.manager,
  ): Promise<void> {
    const now = this.clock.now();
    const rows = await db.transaction(async (tx) => {
      // Requests for one account take turns here, so that they count each other.
      await tx.query(`SELECT 1 FROM account WHERE uid = $1 FOR UPDATE`, [uid]);
      await tx.query(`DELETE FROM email_code WHERE uid = $1 AND expires_at <= $2`, [uid, now]);
      return tx.query<unknown[]>(
        `INSERT INTO email_code (id, uid, is_digits, tries, expires_at)
         SELECT $2, uid, $5, 0, $3 FROM account
          WHERE uid = $1 AND (SELECT count(*) FROM email_code WHERE uid = $1) < $4
         ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at
         RETURNING id`,
        [uid, id, new Date(now.getTime() + seconds * 1000), CODES_MAX, isDigits],
      );
    });
    if (rows.length === 0) {
      throw new Failure('too-many-requests', 'Enough codes were mailed. Use one of them.');
    }
  }

  /**
   * Marks the address of an account as verified. Giving the same code again changes nothing.
   *
   * @returns whether it was not verified before
   * @throws Failure `invalid-verification-code`
   */
  async verify({ uid, code }: VerifyEmail): Promise<boolean> {
    const now = this.clock.now();
    const [[found]] = await this.db.query<[{ isNew: boolean }[], number]>(
      `UPDATE account a SET verified_at = coalesce(a.verified_at, $3) FROM email_code c
        WHERE a.uid = $1 AND c.uid = a.uid AND c.id = $2 AND c.expires_at > $3
        RETURNING a.verified_at = $3 AS "isNew"`,
      [uid, hash(code), now],
    );
    if (found === undefined) {
      throw new Failure('invalid-verification-code', 'The code is unknown or expired.');
    }
    return found.isNew;
  }

  /**
   * Marks the address as verified by digits that were mailed. Each guess counts against every code
   * of the account that is alive, and five spend them.
   *
   * @throws Failure `invalid-digits`
   */
  async verifyDigits(uid: string, digits: string): Promise<void> {
    const now = this.clock.now();
    const [alive] = await this.db.query<[{ id: string }[], number]>(
      `UPDATE email_code SET tries = tries + 1
        WHERE uid = $1 AND is_digits AND tries < $2 AND expires_at > $3 RETURNING id`,
      [uid, TRIES_MAX, now],
    );
    const given = Buffer.from(hash(`${uid} ${digits}`));
    if (!alive.some(({ id }) => timingSafeEqual(Buffer.from(id), given))) {
      throw new Failure('invalid-digits', 'The code is wrong or expired.');
    }
    await this.db.query(
      `UPDATE account SET verified_at = coalesce(verified_at, $2) WHERE uid = $1`,
      [uid, now],
    );
  }
}

const hash = (code: string) => createHash('sha256').update(code).digest('base64url');
