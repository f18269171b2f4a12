import { createHash, randomInt } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure, type Login, type SignedIn } from '#lib/protocol';
import { EventsService } from '../events/events.service.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';

/** An hour. */
const LIFE_SECONDS = 3600;
/** Without those that are taken for one another. */
const LETTERS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
const LENGTH = 8;

/**
 * Sign-in under attack: wrong passwords are counted, and whoever reads the mail of a locked account
 * gets in by a code, so that nobody can lock somebody else out for good.
 */
@Injectable()
export class UnblockService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly limits: LimitsService,
    private readonly mailer: MailerService,
    private readonly events: EventsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Signs somebody in, as often as may be, and tells the account's owner.
   *
   * @throws Failure `too-many-requests`, `request-blocked`, `invalid-unblock-code`, and what `signIn`
   *   throws
   */
  async admit(
    { email, unblockCode }: Login,
    from: Visitor,
    signIn: () => Promise<SignedIn>,
  ): Promise<SignedIn> {
    const charged = { client: from.client, account: email };
    const check = () => this.note(email, from, signIn);
    if (unblockCode === undefined) return this.limits.guess('login', charged, check);
    await this.limits.guess('unblock', charged, () => this.use(email, unblockCode));
    return check();
  }

  private async note(
    email: string,
    from: Visitor,
    signIn: () => Promise<SignedIn>,
  ): Promise<SignedIn> {
    try {
      const signedIn = await signIn();
      const { uid, verified, verificationMethod } = signedIn;
      // It is half of a sign-in; the other half is told when it comes.
      if (verificationMethod !== undefined) return signedIn;
      await this.events.record({ uid }, 'account.login', from);
      // Whoever has not shown that the address is his gets nothing more sent there.
      if (verified) {
        const device = this.events.programOf(from);
        await this.mailer.send('new-sign-in', email, { uid, device });
      }
      return signedIn;
    } catch (error) {
      if (error instanceof Failure && error.code === 'incorrect-password') {
        await this.events.record({ email }, 'account.login.failure', from);
      }
      throw error;
    }
  }

  /** Mails a code. For an address that nobody has the same is done, and nothing mailed. */
  async mailCode(email: string, { client }: Visitor): Promise<void> {
    await this.limits.spend('mail', { client, account: email });
    const code = Array.from({ length: LENGTH }, () => LETTERS[randomInt(LETTERS.length)]).join('');
    const now = this.clock.now();
    await this.db.transaction(async (tx) => {
      const [account] = await tx.query<{ uid: string; email: string }[]>(
        `SELECT uid, email FROM account WHERE normal_email = $1 FOR KEY SHARE`,
        [email.toLowerCase()],
      );
      const uid = account?.uid ?? '';
      await tx.query(`DELETE FROM unblock_code WHERE uid = $1 AND expires_at <= $2`, [uid, now]);
      await tx.query(
        `INSERT INTO unblock_code (id, uid, expires_at) SELECT $2, $1::text, $3 WHERE $1::text <> ''`,
        [uid, hash(uid, code), new Date(now.getTime() + LIFE_SECONDS * 1000)],
      );
      await this.mailer.send('unblock-code', account?.email, { uid, code }, tx);
    });
    this.mailer.hurry();
  }

  /** The one who got the code did not ask for it: it is good no more. */
  async reject(uid: string, code: string, { client }: Visitor): Promise<void> {
    await this.limits.guess('unblock', { client, account: uid }, () => this.take(uid, code));
  }

  private async use(email: string, code: string): Promise<void> {
    const [account] = await this.db.query<{ uid: string }[]>(
      `SELECT uid FROM account WHERE normal_email = $1`,
      [email.toLowerCase()],
    );
    await this.take(account?.uid ?? '', code);
  }

  private async take(uid: string, code: string): Promise<void> {
    const [rows] = await this.db.query<[unknown[], number]>(
      `DELETE FROM unblock_code WHERE id = $1 AND expires_at > $2 RETURNING id`,
      [hash(uid, code), this.clock.now()],
    );
    if (rows.length === 0) {
      throw new Failure('invalid-unblock-code', 'The code is unknown, used or expired.');
    }
  }
}

/** As people type it: spaces and small letters make no difference. */
const hash = (uid: string, code: string) =>
  createHash('sha256')
    .update(`${uid} ${code.replaceAll(/[\s-]/g, '').toUpperCase()}`)
    .digest('base64url');
