import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import type { DestroyAccount } from '#lib/protocol';
import { CredentialsService } from '../accounts/credentials.service.ts';
import { StepUpService } from '../accounts/recently-proved.guard.ts';
import type { Session } from '../accounts/session.guard.ts';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { DeviceMessagesService } from '../devices/device-messages.service.ts';
import { MailerService } from '../mail/mailer.service.ts';

/** Ends an account, by its password. */
@Injectable()
export class AccountDestructionService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly credentials: CredentialsService,
    private readonly deletions: DeletionsService,
    private readonly messages: DeviceMessagesService,
    private readonly mailer: MailerService,
    private readonly stepUp: StepUpService,
  ) {}

  /**
   * Deletes the account at once, and leaves what it has elsewhere to the job that is queued with it.
   *
   * @param session - of the caller, who may have none: the password says enough, unless the account
   *   has a second factor, which must have been given in the session a short while ago
   * @throws Failure as a log-in; `factor-required`
   */
  async destroy(session: Session | undefined, asked: DestroyAccount): Promise<void> {
    const proven = await this.credentials.prove(asked, session?.uid);
    const { uid } = proven.account;
    const devices = await this.messages.recipients(uid);
    await this.db.transaction(async (tx) => {
      const { email, hasFactors } = await this.credentials.hold(tx, proven, 'pessimistic_write');
      this.stepUp.expectFactor({ hasFactors, factorAt: session?.factorAt ?? null });
      await this.deletions.enqueue(tx, uid);
      await this.mailer.send('account-deleted', email, { uid }, tx);
      await tx.query(`DELETE FROM account WHERE uid = $1`, [uid]);
    });
    this.deletions.hurry();
    this.mailer.hurry();
    this.messages.accountDestroyed(uid, devices);
  }
}
