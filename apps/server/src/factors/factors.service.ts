import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type BackupCodeGiven,
  type Factors,
  Failure,
  type GivePasskey,
  type Passkey,
  type PasskeyRegistered,
  type RegisterPasskey,
  type SecurityEventName,
  type TotpCreated,
} from '#lib/protocol';
import type { Factor, GivenFactor } from '../accounts/proofs.guard.ts';
import type { Session } from '../accounts/session.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { EventsService } from '../events/events.service.ts';
import { type LimitKind, LimitsService } from '../limits/limits.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';
import { BackupCodesService } from './backup-codes.service.ts';
import { type Holder, PasskeysService } from './passkeys.service.ts';
import { noAuthenticator, TotpService } from './totp.service.ts';

/** What somebody shows as second factor. */
export type Shown = { totp: string } | { backupCode: string } | { passkey: GivePasskey };

/** Who shows it, and what is done with it, in the transaction that takes it. */
export interface Prover extends Holder {
  email: string;
  /** On whom wrong guesses are counted. */
  account: string;
  note: (tx: EntityManager, given: GivenFactor) => Promise<void>;
}

/** Adds and removes second factors, and takes them: docs/protocol/second-factors.md */
@Injectable()
export class FactorsService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly totp: TotpService,
    private readonly passkeys: PasskeysService,
    private readonly backupCodes: BackupCodesService,
    private readonly sessions: SessionsService,
    private readonly limits: LimitsService,
    private readonly events: EventsService,
    private readonly mailer: MailerService,
    private readonly clock: Clock,
  ) {}

  /** What an account has. */
  async of(uid: string): Promise<Factors> {
    const [totp, passkeys, backupCodes] = await Promise.all([
      this.totp.find(uid, this.db),
      this.passkeys.count(uid),
      this.backupCodes.count(uid, this.db),
    ]);
    return { totp: totp?.isEnabled ?? false, passkeys, backupCodes };
  }

  /**
   * Gives a session its second factor. For one that waited for it, this is the other half of the
   * sign-in, which the account's owner is told of.
   *
   * @throws Failure as {@link FactorsService.take}; `unauthenticated` when the session ended
   */
  async verifySession(session: Session, shown: Shown, from: Visitor): Promise<BackupCodeGiven> {
    const { id, uid, email, awaitsFactor } = session;
    const note = (tx: EntityManager, given: GivenFactor) => this.sessions.give(tx, id, given);
    const taken = await this.take({ id, uid, email, account: uid, note }, shown, from);
    if (awaitsFactor) {
      await this.events.record({ uid }, 'account.login', from);
      await this.mailer.send('new-sign-in', email, { uid, device: this.events.programOf(from) });
    }
    return taken;
  }

  /**
   * Takes a second factor, as often as may be tried. Six digits can be guessed by who has the
   * password; the others cannot, so that they are the way in when the digits are locked.
   *
   * @throws Failure `too-many-requests`, `no-factor`, `invalid-digits`, `invalid-backup-code`,
   *   `invalid-passkey`, `no-passkey-challenge`, and what `note` throws
   */
  async take(prover: Prover, shown: Shown, from: Visitor): Promise<BackupCodeGiven> {
    const { uid, email, account, note } = prover;
    const kind: LimitKind & `factor${string}` = 'totp' in shown ? 'factor' : 'factor-unguessable';
    const factor: Factor =
      'totp' in shown ? 'totp' : 'backupCode' in shown ? 'backup-code' : 'passkey';
    try {
      const remaining = await this.limits.guess(
        kind,
        { client: from.client, account },
        async () => {
          const challenge =
            'passkey' in shown ? await this.passkeys.takeChallenge(prover, 'prove') : '';
          return this.db.transaction(async (tx) => {
            // First, as whoever changes the factors or the password does.
            await tx.query(`SELECT 1 FROM account WHERE uid = $1 FOR KEY SHARE`, [uid]);
            if ('totp' in shown) await this.totp.take(tx, uid, shown.totp, true);
            else if ('passkey' in shown) {
              await this.passkeys.take(tx, prover, shown.passkey, challenge);
            } else await this.backupCodes.take(tx, uid, shown.backupCode);
            await note(tx, { factor, factorAt: this.clock.now() });
            const left = await this.backupCodes.count(uid, tx);
            if (factor === 'backup-code') {
              await this.events.record({ uid }, 'account.recovery_code_used', from, tx);
              await this.mailer.send('backup-code-used', email, { uid, left }, tx);
            }
            return left;
          });
        },
      );
      this.mailer.hurry();
      return { remaining };
    } catch (error) {
      if (error instanceof Failure && WRONG.has(error.code)) {
        await this.events.record({ uid }, 'account.two_factor_challenge_failure', from);
      }
      throw error;
    }
  }

  /** Makes a secret for an authenticator. @throws Failure `factor-exists` */
  createTotp({ id, uid }: Session): Promise<TotpCreated> {
    return this.change(id, (tx, email) => this.totp.create(tx, uid, email));
  }

  /** Whether a secret waits to be proven. */
  async isUnproven(uid: string): Promise<boolean> {
    return (await this.totp.find(uid, this.db))?.isEnabled === false;
  }

  /**
   * Makes an authenticator a factor, by a code of it.
   *
   * @returns backup codes, with an account's first factor
   * @throws Failure `no-factor`, `invalid-digits`
   */
  async enableTotp(session: Session, code: string, from: Visitor): Promise<string[] | undefined> {
    const { id, uid } = session;
    const charged = { client: from.client, account: uid };
    return this.limits.guess('factor', charged, () =>
      this.change(id, async (tx, email) => {
        await this.totp.take(tx, uid, code, false);
        await this.sessions.give(tx, id, { factor: 'totp', factorAt: this.clock.now() });
        return this.added(tx, { uid, email }, 'account.two_factor_added', from);
      }),
    );
  }

  /** @throws Failure `no-factor` */
  async removeTotp({ id, uid }: Session, from: Visitor): Promise<void> {
    await this.change(id, async (tx, email) => {
      if (!(await this.totp.remove(tx, uid))) throw noAuthenticator();
      await this.removed(tx, { uid, email }, 'account.two_factor_removed', from);
    });
  }

  /**
   * Keeps a passkey.
   *
   * @returns with backup codes, when it is an account's first factor
   * @throws Failure as {@link PasskeysService.register}
   */
  async addPasskey(
    session: Session,
    asked: RegisterPasskey,
    from: Visitor,
  ): Promise<PasskeyRegistered> {
    const { id, uid } = session;
    const challenge = await this.passkeys.takeChallenge(session, 'register');
    return this.change(id, async (tx, email) => {
      const passkey: Passkey = await this.passkeys.register(tx, session, asked, challenge);
      await this.sessions.give(tx, id, { factor: 'passkey', factorAt: this.clock.now() });
      const codes = await this.added(tx, { uid, email }, 'account.passkey_added', from);
      return { ...passkey, ...(codes && { recoveryCodes: codes }) };
    });
  }

  /** @throws Failure `unknown-passkey` */
  async removePasskey({ id, uid }: Session, passkey: string, from: Visitor): Promise<void> {
    await this.change(id, async (tx, email) => {
      await this.passkeys.remove(tx, uid, passkey);
      await this.removed(tx, { uid, email }, 'account.passkey_removed', from);
    });
  }

  /** Makes other backup codes. @throws Failure `no-factor` */
  async replaceBackupCodes({ id, uid }: Session, from: Visitor): Promise<string[]> {
    return this.change(id, async (tx, email, hasFactors) => {
      if (!hasFactors) throw new Failure('no-factor', 'There is no second factor.');
      await this.events.record({ uid }, 'account.recovery_codes_replaced', from, tx);
      await this.mailer.send('backup-codes-replaced', email, { uid }, tx);
      return this.backupCodes.replace(tx, uid);
    });
  }

  /** Changes of one account take turns; sign-ins wait, so that each sees what there is. */
  private async change<T>(
    sessionId: string,
    work: (tx: EntityManager, email: string, hasFactors: boolean) => Promise<T>,
  ): Promise<T> {
    const done = await this.db.transaction(async (tx) => {
      const [account] = await tx.query<{ email: string; hasFactors: boolean }[]>(
        `SELECT a.email, a.has_factors AS "hasFactors" FROM account a JOIN session s USING (uid)
          WHERE s.id = $1 FOR UPDATE OF a`,
        [sessionId],
      );
      if (!account) throw new Failure('unauthenticated', 'The session has ended.');
      return work(tx, account.email, account.hasFactors);
    });
    this.mailer.hurry();
    return done;
  }

  private async added(
    tx: EntityManager,
    { uid, email }: { uid: string; email: string },
    event: SecurityEventName,
    from: Visitor,
  ): Promise<string[] | undefined> {
    const [before] = await tx.query<{ hasFactors: boolean }[]>(
      `SELECT has_factors AS "hasFactors" FROM account WHERE uid = $1`,
      [uid],
    );
    await this.recount(tx, uid);
    await this.events.record({ uid }, event, from, tx);
    const isPasskey = event === 'account.passkey_added';
    await this.mailer.send('second-factor-added', email, { uid, isPasskey }, tx);
    return before?.hasFactors === true ? undefined : this.backupCodes.replace(tx, uid);
  }

  private async removed(
    tx: EntityManager,
    { uid, email }: { uid: string; email: string },
    event: SecurityEventName,
    from: Visitor,
  ): Promise<void> {
    const isLast = !(await this.recount(tx, uid));
    if (isLast) {
      await this.backupCodes.drop(tx, uid);
      // They gave the password alone; now that it suffices, it is to be given again.
      await tx.query(`DELETE FROM session WHERE uid = $1 AND awaits_factor`, [uid]);
    }
    await this.events.record({ uid }, event, from, tx);
    const isPasskey = event === 'account.passkey_removed';
    await this.mailer.send('second-factor-removed', email, { uid, isPasskey, isLast }, tx);
  }

  /** @returns whether there is a factor now */
  private async recount(tx: EntityManager, uid: string): Promise<boolean> {
    const [rows] = await tx.query<[{ hasFactors: boolean }[], number]>(
      `UPDATE account SET has_factors =
           EXISTS (SELECT FROM totp WHERE uid = $1 AND enabled_at IS NOT NULL)
           OR EXISTS (SELECT FROM passkey WHERE uid = $1)
        WHERE uid = $1 RETURNING has_factors AS "hasFactors"`,
      [uid],
    );
    return rows[0]?.hasFactors ?? false;
  }
}

const WRONG: ReadonlySet<string> = new Set([
  'invalid-digits',
  'invalid-backup-code',
  'invalid-passkey',
]);
