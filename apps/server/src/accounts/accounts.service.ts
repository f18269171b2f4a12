import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { IsNull, Not, Repository } from 'typeorm';
import {
  type AccountSettings,
  type CreateAccount,
  Failure,
  type Login,
  type Reauthenticated,
  type SignedIn,
} from '#lib/protocol';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { AccountEntity } from './account.entity.ts';
import { CredentialsService } from './credentials.service.ts';
import { InvitationsService } from './invitations.service.ts';
import type { Session } from './session.guard.ts';
import { SessionsService } from './sessions.service.ts';
import { whyUnwelcome } from './sign-up-policy.ts';
import { VerificationService } from './verification.service.ts';

/** Signing up and signing in, by onepw (docs/protocol/accounts.md). */
@Injectable()
export class AccountsService {
  constructor(
    @InjectRepository(AccountEntity) private readonly accounts: Repository<AccountEntity>,
    private readonly credentials: CredentialsService,
    private readonly sessions: SessionsService,
    private readonly invitations: InvitationsService,
    private readonly verification: VerificationService,
    private readonly mailer: MailerService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Makes an account, with fresh keys, and signs it in. An account of the same address that was
   * never verified is replaced: whoever made it did not show that the address is theirs.
   *
   * @throws Failure `sign-up-closed`, `account-exists` with the `email` as it is spelled there,
   *   `invalid-verification-code` for an invitation that does not fit
   */
  async create(asked: CreateAccount, withKeys: boolean): Promise<SignedIn> {
    const { email, invitation } = asked;
    await this.expectWelcome(email, invitation);
    const { verifier, wrapKb } = await this.credentials.make(asked);
    const now = this.clock.now();
    const account = this.accounts.create({
      uid: randomBytes(16).toString('hex'),
      email,
      normalEmail: email.toLowerCase(),
      ...verifier,
      ka: randomBytes(32),
      keysChangedAt: now.getTime(),
      verifierSetAt: now.getTime(),
      verifiedAt: invitation === undefined ? null : now,
      hasFactors: false,
      createdAt: now,
    });
    const signedIn = await this.accounts.manager.transaction(async (tx) => {
      if (invitation !== undefined && !(await this.invitations.redeem(tx, invitation, email))) {
        throw badInvitation();
      }
      const { normalEmail } = account;
      const ended = await tx.delete(AccountEntity, { normalEmail, verifiedAt: IsNull() });
      // The unique address decides a race between two sign-ups; a look beforehand could not.
      const insert = tx
        .createQueryBuilder()
        .insert()
        .into(AccountEntity)
        .values(account)
        .orIgnore();
      const { raw } = (await insert.returning('uid').execute()) as { raw: unknown[] };
      if (raw.length === 0) throw accountExists(email);
      // In the same transaction: no account without its mail, and no mail without its account.
      if (!account.verifiedAt) {
        const replaces = (ended.affected ?? 0) > 0;
        await this.verification.mailCode(account.uid, email, { tx, replaces });
      }
      return this.sessions.signIn(tx, account, { ...(withKeys && { wrapKb }) });
    });
    this.mailer.hurry();
    return signedIn;
  }

  /**
   * Signs a device in. It may have to give a second factor before it can do anything.
   *
   * @throws Failure `incorrect-password`, `incorrect-email-case`: see {@link CredentialsService.prove};
   *   `factor-required` when the client wants a second factor of an account that has none
   */
  async login(asked: Login, withKeys: boolean): Promise<SignedIn> {
    const proven = await this.credentials.prove(asked);
    return this.accounts.manager.transaction(async (tx) => {
      const account = await this.credentials.hold(tx, proven);
      if (asked.verificationMethod === 'totp-2fa' && !account.hasFactors) {
        throw new Failure('factor-required', 'The account has no second factor, and needs one.');
      }
      return this.sessions.signIn(tx, account, { ...(withKeys && { wrapKb: proven.wrapKb }) });
    });
  }

  /**
   * The password is given again in a session that goes on.
   *
   * @throws Failure as {@link AccountsService.login}; `unauthenticated` when the session ended
   */
  async reauthenticate(
    session: Session,
    asked: Login,
    withKeys: boolean,
  ): Promise<Reauthenticated> {
    const proven = await this.credentials.prove(asked, session.uid);
    return this.accounts.manager.transaction(async (tx) => {
      const account = await this.credentials.hold(tx, proven);
      // A session from before there was a factor goes on, but takes no keys along without it.
      const awaits = account.hasFactors && session.factorAt === null ? session.id : null;
      return {
        uid: account.uid,
        authAt: await this.sessions.renew(tx, session.id),
        ...(withKeys && (await this.sessions.fetchOf(tx, account, proven.wrapKb, awaits))),
        verified: account.verifiedAt !== null,
      };
    });
  }

  /** What the settings page shows. */
  async describe(uid: string): Promise<AccountSettings> {
    const account = await this.accounts.findOneByOrFail({ uid });
    const { email, verifiedAt, createdAt, verifierSetAt, clientSalt } = account;
    return {
      uid,
      email,
      emails: [{ email, isPrimary: true, verified: verifiedAt !== null }],
      emailVerified: verifiedAt !== null,
      createdAt: createdAt.getTime(),
      passwordCreatedAt: verifierSetAt,
      hasPassword: true,
      credentialsVersion: clientSalt === null ? 'v1' : 'v2',
    };
  }

  /** Whether there is an account, verified or not, of this uid or address. */
  exists(by: { uid: string } | { email: string }): Promise<boolean> {
    return this.accounts.existsBy(
      'uid' in by ? { uid: by.uid } : { normalEmail: by.email.toLowerCase() },
    );
  }

  /** The account that verified this address; undefined when there is none. */
  async ownerOf(email: string): Promise<{ uid: string; email: string } | undefined> {
    const account = await this.accounts.findOne({
      select: { uid: true, email: true },
      where: { normalEmail: email.toLowerCase(), verifiedAt: Not(IsNull()) },
    });
    return account ? { uid: account.uid, email: account.email } : undefined;
  }

  /**
   * An account's address, whether it is verified, when its password was set, in milliseconds since
   * 1970, and whether it has a second factor; undefined when there is no such account.
   */
  async profile(
    uid: string,
  ): Promise<
    { email: string; verified: boolean; generation: number; hasFactors: boolean } | undefined
  > {
    const account = await this.accounts.findOne({
      select: { uid: true, email: true, verifiedAt: true, verifierSetAt: true, hasFactors: true },
      where: { uid },
    });
    if (!account) return undefined;
    const { email, verifiedAt, verifierSetAt, hasFactors } = account;
    return { email, verified: verifiedAt !== null, generation: verifierSetAt, hasFactors };
  }

  /** Everything that can refuse a sign-up before the costly stretching. */
  private async expectWelcome(email: string, invitation: string | undefined): Promise<void> {
    const why = whyUnwelcome(this.config, email, invitation !== undefined);
    if (why !== undefined) throw new Failure('sign-up-closed', why);
    if (invitation !== undefined && !(await this.invitations.isOpen(invitation, email))) {
      throw badInvitation();
    }
    const existing = await this.accounts.findOneBy({ normalEmail: email.toLowerCase() });
    if (existing?.verifiedAt) throw accountExists(existing.email);
  }
}

const accountExists = (email: string) =>
  new Failure('account-exists', 'There is an account of this address.', { extra: { email } });

const badInvitation = () =>
  new Failure(
    'invalid-verification-code',
    'The invitation is unknown, used, expired or for another address.',
  );
