import { createHash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import {
  Failure,
  type ForgotCodeSent,
  type ForgotCodeVerified,
  type ForgotOtpVerified,
  type ForgotStatus,
  type VerifyForgotOtp,
} from '#lib/protocol';
import { AccountsService } from '../accounts/accounts.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';
import { type PasswordToken, PasswordTokensService, TRIES_MAX } from './password-tokens.service.ts';

const DIGITS = 8;
/** Ten minutes. */
const DIGITS_LIFE_SECONDS = 600;
/** Guesses at one code of eight digits. */
const GUESSES_MAX = 5;
/** Bytes of the code that belongs to a passwordForgotToken. */
const CODE_BYTES = 16;

/**
 * Shows, by a code that only the mailbox gets, that somebody who forgot the password has the
 * address. Addresses that nobody has, or has not verified, are answered and worked for as others.
 */
@Injectable()
export class ForgottenPasswordsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly accounts: AccountsService,
    private readonly tokens: PasswordTokensService,
    private readonly mailer: MailerService,
    private readonly clock: Clock,
  ) {}

  /** Mails eight digits. The newest are good alone. */
  async mailDigits(email: string): Promise<void> {
    const code = String(randomInt(10 ** DIGITS)).padStart(DIGITS, '0');
    const now = this.clock.now();
    await this.db.query(`DELETE FROM password_digits WHERE expires_at <= $1`, [now]);
    await this.db.query(
      `INSERT INTO password_digits (id, code_hash, tries, expires_at) VALUES ($1, $2, 0, $3)
       ON CONFLICT (id) DO UPDATE SET code_hash = excluded.code_hash, tries = 0,
         expires_at = excluded.expires_at`,
      [idOf(email), hash(code), new Date(now.getTime() + DIGITS_LIFE_SECONDS * 1000)],
    );
    await this.mail(email, code);
  }

  /**
   * Takes the digits, once.
   *
   * @throws Failure `invalid-verification-code` when they are wrong, too old, used, or five were wrong
   */
  async verifyDigits({ email, code }: VerifyForgotOtp): Promise<ForgotOtpVerified> {
    const [rows] = await this.db.query<[{ codeHash: Buffer }[], number]>(
      `UPDATE password_digits SET tries = tries + 1
        WHERE id = $1 AND tries < $2 AND expires_at > $3 RETURNING code_hash AS "codeHash"`,
      [idOf(email), GUESSES_MAX, this.clock.now()],
    );
    const account = await this.accounts.ownerOf(email);
    const isRight = timingSafeEqual(rows[0]?.codeHash ?? randomBytes(32), hash(code));
    if (!isRight || !account) throw wrongCode();
    const long = randomBytes(CODE_BYTES).toString('hex');
    const { token } = await this.db.transaction(async (tx) => {
      const [taken] = await tx.query<[unknown[], number]>(
        `DELETE FROM password_digits WHERE id = $1 AND code_hash = $2 RETURNING 1`,
        [idOf(email), hash(code)],
      );
      if (taken.length === 0) throw wrongCode();
      return this.tokens.mint(tx, 'forgot', account.uid, { code: long });
    });
    return { token, code: long, uid: account.uid, emailToHashWith: account.email };
  }

  /** Mails a long code, and gives the token that it belongs to. */
  async mailCode(email: string): Promise<ForgotCodeSent> {
    const code = randomBytes(CODE_BYTES).toString('hex');
    const account = await this.accounts.ownerOf(email);
    const { token, seconds } = await this.tokens.mint(
      this.db.manager,
      'forgot',
      account?.uid ?? null,
      { code },
    );
    await this.mailer.send('password-reset-code', account?.email, {
      uid: account?.uid ?? '',
      code,
    });
    return { passwordForgotToken: token, ttl: seconds, codeLength: CODE_BYTES, tries: TRIES_MAX };
  }

  /** Mails another code for the same token. */
  async mailCodeAgain(token: PasswordToken): Promise<ForgotStatus & { codeLength: number }> {
    const code = randomBytes(CODE_BYTES).toString('hex');
    const profile = await this.accounts.profile(token.uid ?? '');
    await this.tokens.recode(token.id, code);
    await this.mailer.send('password-reset-code', profile?.email, { uid: token.uid ?? '', code });
    return { ...this.status(token), codeLength: CODE_BYTES };
  }

  /** How long a passwordForgotToken lives, and the guesses that are left. */
  status({ expiresAt, tries }: PasswordToken): ForgotStatus {
    return { ttl: Math.ceil((expiresAt.getTime() - this.clock.now().getTime()) / 1000), tries };
  }

  /**
   * Exchanges a passwordForgotToken for an accountResetToken.
   *
   * @throws Failure `invalid-verification-code` with `tries` and `ttl`; the third ends the token
   */
  async verifyCode(token: PasswordToken, code: string): Promise<ForgotCodeVerified> {
    const { isRight, tries } = await this.tokens.guess(token.id, code);
    const { uid } = token;
    if (!isRight || uid === null) throw wrongCode({ ...this.status(token), tries });
    return this.db.transaction(async (tx) => {
      // In this order: a reset that is under way ends both tokens, or comes after both.
      const { token: accountResetToken } = await this.tokens.mint(tx, 'reset', uid);
      await this.tokens.take(tx, token);
      return { accountResetToken };
    });
  }

  private async mail(email: string, code: string): Promise<void> {
    const account = await this.accounts.ownerOf(email);
    const content = { uid: account?.uid ?? '', code };
    await this.mailer.send('password-reset-code', account?.email, content);
  }
}

const hash = (code: string) => createHash('sha256').update(code).digest();
const idOf = (email: string) => hash(email.toLowerCase());

const wrongCode = (extra?: ForgotStatus) =>
  new Failure('invalid-verification-code', 'The code is wrong, used or expired.', {
    ...(extra && { extra }),
  });
