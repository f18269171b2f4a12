import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import type { ResetAccount, SignedIn } from '#lib/protocol';
import { CredentialsService } from '../accounts/credentials.service.ts';
import { factorRequired, givenIn } from '../accounts/proofs.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { DeviceMessagesService } from '../devices/device-messages.service.ts';
import { EventsService } from '../events/events.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import type { Visitor } from '../platform/visitor.ts';
import { type PasswordToken, PasswordTokensService } from './password-tokens.service.ts';
import { RecoveryKeysService } from './recovery-keys.service.ts';

/** A new password by who has the address. Whoever was signed in no longer is. */
@Injectable()
export class AccountResetService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly credentials: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly tokens: PasswordTokensService,
    private readonly recoveryKeys: RecoveryKeysService,
    private readonly messages: DeviceMessagesService,
    private readonly events: EventsService,
    private readonly mailer: MailerService,
  ) {}

  /**
   * With the id of the recovery key, which it uses up, kB stays. Without, kB is another, and what
   * was encrypted is lost; a recovery key that there was goes, since it opens nothing any more.
   *
   * @returns a session when one was asked for
   * @throws Failure `no-recovery-key`, `invalid-recovery-key`; `factor-required`; `unauthenticated` when the
   *   token was used
   */
  async reset(
    token: PasswordToken & { uid: string },
    asked: ResetAccount,
    withKeys: boolean,
    from: Visitor,
  ): Promise<SignedIn | Record<string, never>> {
    const { uid } = token;
    const { recoveryKeyId } = asked;
    const isSameKb = recoveryKeyId !== undefined;
    const made = await this.credentials.make(asked);
    const devices = await this.messages.recipients(uid);
    const signedIn = await this.db.transaction(async (tx) => {
      const account = await this.credentials.replace(tx, uid, made, { isSameKb });
      // Again, now that nobody can add one: it was a moment ago that the guard looked.
      if (account.hasFactors && token.factor === null) throw factorRequired();
      await this.tokens.take(tx, token);
      await this.tokens.dropAll(tx, uid);
      if (isSameKb) await this.recoveryKeys.use(tx, uid, recoveryKeyId);
      else await this.recoveryKeys.drop(tx, uid);
      await this.sessions.endAll(tx, uid, []);
      await this.sessions.endGrants(tx, uid);
      if (isSameKb) await this.events.record({ uid }, 'account.recovery_key_used', from, tx);
      await this.events.record({ uid }, 'account.password_reset', from, tx);
      const letter = isSameKb ? 'recovery-key-used' : 'password-reset';
      await this.mailer.send(letter, account.email, { uid }, tx);
      if (asked.sessionToken !== true) return {};
      return this.sessions.signIn(tx, account, {
        ...(withKeys && { wrapKb: made.wrapKb }),
        proven: givenIn(token),
      });
    });
    this.mailer.hurry();
    this.messages.passwordReset(uid, devices);
    return signedIn;
  }
}
