import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import {
  Failure,
  type FinishPasswordChange,
  type PasswordChangeStarted,
  type SignedIn,
  type StartPasswordChange,
} from '#lib/protocol';
import { CredentialsService } from '../accounts/credentials.service.ts';
import { idOf } from '../accounts/hawk.service.ts';
import { StepUpService } from '../accounts/recently-proved.guard.ts';
import type { Session } from '../accounts/session.guard.ts';
import { factorRequired, givenIn } from '../accounts/proofs.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { DeviceMessagesService } from '../devices/device-messages.service.ts';
import { EventsService } from '../events/events.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import type { Visitor } from '../platform/visitor.ts';
import { type PasswordToken, PasswordTokensService } from './password-tokens.service.ts';

/** A new password by who knows the old one. kB stays, and so does what was encrypted. */
@Injectable()
export class PasswordChangeService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly credentials: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly tokens: PasswordTokensService,
    private readonly messages: DeviceMessagesService,
    private readonly events: EventsService,
    private readonly mailer: MailerService,
    private readonly stepUp: StepUpService,
  ) {}

  /** @throws Failure as a log-in; `factor-required` when a second factor was not given lately */
  async start(
    session: Session,
    { email, oldAuthPW }: StartPasswordChange,
  ): Promise<PasswordChangeStarted> {
    this.stepUp.expectFactor(session);
    const proven = await this.credentials.prove({ email, authPW: oldAuthPW }, session.uid);
    return this.db.transaction(async (tx) => {
      const account = await this.credentials.hold(tx, proven);
      return {
        ...(await this.sessions.fetchOf(tx, account, proven.wrapKb)),
        passwordChangeToken: (
          await this.tokens.mint(tx, 'change', account.uid, { given: givenIn(session) })
        ).token,
        verified: account.verifiedAt !== null,
      };
    });
  }

  /**
   * Sets the password, starts a session, and ends the others but the one that is named. The same
   * password, now by v2, too, ends none: nobody is locked out by a better stretching.
   *
   * @throws Failure `unauthenticated` when the token was used, or the account has no such session
   */
  async finish(
    token: PasswordToken & { uid: string },
    asked: FinishPasswordChange,
    withKeys: boolean,
    from: Visitor,
  ): Promise<SignedIn> {
    const { uid } = token;
    const kept = asked.sessionToken === undefined ? undefined : idOf(asked.sessionToken);
    const isUpgrade =
      asked.clientSalt !== undefined && (await this.credentials.isUpgrade(uid, asked.authPW));
    const made = await this.credentials.make(asked);
    const others = isUpgrade ? [] : await this.messages.recipients(uid, { session: kept });
    const signedIn = await this.db.transaction(async (tx) => {
      const account = await this.credentials.replace(tx, uid, made, { isSameKb: true });
      // A factor that was added since the change began.
      if (account.hasFactors && token.factor === null) throw factorRequired();
      await this.tokens.take(tx, token);
      await this.tokens.dropAll(tx, uid);
      if (kept !== undefined) await this.expectSession(tx, uid, kept);
      await this.sessions.endAll(tx, uid, isUpgrade ? 'all' : [kept ?? '']);
      if (!isUpgrade) {
        await this.events.record({ uid }, 'account.password_changed', from, tx);
        await this.mailer.send('password-changed', account.email, { uid }, tx);
      }
      return this.sessions.signIn(tx, account, {
        ...(withKeys && { wrapKb: made.wrapKb }),
        proven: givenIn(token),
        replaces: kept,
      });
    });
    this.mailer.hurry();
    this.messages.passwordChanged(uid, others);
    return signedIn;
  }

  private async expectSession(tx: EntityManager, uid: string, id: string): Promise<void> {
    const found = await tx.query<unknown[]>(`SELECT 1 FROM session WHERE id = $1 AND uid = $2`, [
      id,
      uid,
    ]);
    if (found.length === 0) throw new Failure('unauthenticated', 'There is no such session.');
  }
}
