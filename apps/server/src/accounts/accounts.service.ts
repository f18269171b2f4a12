import { randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, IsNull, Not, Repository } from 'typeorm';
import { xor } from '#lib/crypto';
import { type CreateAccount, Failure, type Login, type SignedIn } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { AccountEntity } from './account.entity.ts';
import { InvitationsService } from './invitations.service.ts';
import { PasswordsService } from './passwords.service.ts';
import { SessionsService } from './sessions.service.ts';
import { VerificationService } from './verification.service.ts';

/** Signing up and signing in, by onepw v1 (docs/protocol/accounts.md). */
@Injectable()
export class AccountsService {
  constructor(
    @InjectRepository(AccountEntity) private readonly accounts: Repository<AccountEntity>,
    private readonly passwords: PasswordsService,
    private readonly sessions: SessionsService,
    private readonly invitations: InvitationsService,
    private readonly verification: VerificationService,
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
    const { email, authPW, invitation } = asked;
    await this.expectWelcome(email, invitation);
    const { wrapwrapKey, ...verifier } = await this.passwords.make(authPW);
    const now = this.clock.now();
    const account = this.accounts.create({
      uid: randomBytes(16).toString('hex'),
      email,
      normalEmail: email.toLowerCase(),
      ...verifier,
      wrapWrapKb: randomBytes(32),
      ka: randomBytes(32),
      keysChangedAt: now.getTime(),
      verifierSetAt: now.getTime(),
      verifiedAt: invitation === undefined ? null : now,
      createdAt: now,
    });
    const signedIn = await this.accounts.manager.transaction(async (tx) => {
      if (invitation !== undefined && !(await this.invitations.redeem(tx, invitation, email))) {
        throw badInvitation();
      }
      const { normalEmail } = account;
      await tx.delete(AccountEntity, { normalEmail, verifiedAt: IsNull() });
      // The unique address decides a race between two sign-ups; a look beforehand could not.
      const insert = tx
        .createQueryBuilder()
        .insert()
        .into(AccountEntity)
        .values(account)
        .orIgnore();
      const { raw } = (await insert.returning('uid').execute()) as { raw: unknown[] };
      if (raw.length === 0) throw accountExists(email);
      return {
        uid: account.uid,
        ...(await this.sessions.start(tx, account.uid)),
        ...(withKeys && {
          keyFetchToken: await this.sessions.prepareKeys(
            tx,
            account.uid,
            keysOf(account, wrapwrapKey),
          ),
        }),
        verified: account.verifiedAt !== null,
      };
    });
    if (!signedIn.verified) await this.verification.mailCode(account.uid, email);
    return signedIn;
  }

  /**
   * Signs a device in.
   *
   * @throws Failure `incorrect-password`, also for an unknown address; `incorrect-email-case` with
   *   the `email` to stretch with, when the check failed and the spelling is not that of sign-up
   */
  async login({ email, authPW }: Login, withKeys: boolean): Promise<SignedIn> {
    const account = await this.accounts.findOneBy({ normalEmail: email.toLowerCase() });
    const wrapwrapKey = await this.passwords.check(authPW, account ?? undefined);
    if (!account || !wrapwrapKey) {
      if (account && account.email !== email) {
        throw new Failure('incorrect-email-case', 'The address is spelled otherwise.', {
          extra: { email: account.email },
        });
      }
      throw incorrectPassword(email);
    }
    return this.accounts.manager.transaction(async (tx) => {
      // The stretching takes its time: the account may have been replaced, or verified, since.
      const { uid, verifyHash } = account;
      const current = await tx.findOne(AccountEntity, {
        where: { uid, verifyHash },
        lock: { mode: 'for_key_share' },
      });
      if (!current) throw incorrectPassword(email);
      return {
        uid,
        ...(await this.sessions.start(tx, uid)),
        ...(withKeys && {
          keyFetchToken: await this.sessions.prepareKeys(tx, uid, keysOf(current, wrapwrapKey)),
        }),
        verified: current.verifiedAt !== null,
      };
    });
  }

  /** Whether there is an account, verified or not, of this uid or address. */
  exists(by: { uid: string } | { email: string }): Promise<boolean> {
    return this.accounts.existsBy(
      'uid' in by ? { uid: by.uid } : { normalEmail: by.email.toLowerCase() },
    );
  }

  /** The uids of the verified accounts among these addresses, by the address in lower case. */
  async findVerified(emails: readonly string[]): Promise<Map<string, string>> {
    const accounts = await this.accounts.find({
      select: { uid: true, normalEmail: true },
      where: {
        normalEmail: In(emails.map((email) => email.toLowerCase())),
        verifiedAt: Not(IsNull()),
      },
    });
    return new Map(accounts.map(({ uid, normalEmail }) => [normalEmail, uid]));
  }

  /** An account's address, and whether it is verified; undefined when there is no such account. */
  async profile(uid: string): Promise<{ email: string; verified: boolean } | undefined> {
    const account = await this.accounts.findOne({
      select: { uid: true, email: true, verifiedAt: true },
      where: { uid },
    });
    return account ? { email: account.email, verified: account.verifiedAt !== null } : undefined;
  }

  /** Everything that can refuse a sign-up before the costly stretching. */
  private async expectWelcome(email: string, invitation: string | undefined): Promise<void> {
    const { signUp } = this.config;
    if (signUp === 'closed' || (signUp === 'invite' && invitation === undefined)) {
      throw new Failure(
        'sign-up-closed',
        signUp === 'closed' ? 'Sign-up is closed.' : 'Sign-up needs an invitation.',
      );
    }
    if (invitation !== undefined && !(await this.invitations.isOpen(invitation, email))) {
      throw badInvitation();
    }
    const existing = await this.accounts.findOneBy({ normalEmail: email.toLowerCase() });
    if (existing?.verifiedAt) throw accountExists(existing.email);
  }
}

const keysOf = (account: AccountEntity, wrapwrapKey: Uint8Array) => ({
  kA: account.ka,
  wrapKb: xor(account.wrapWrapKb, wrapwrapKey),
});

const incorrectPassword = (email: string) =>
  new Failure('incorrect-password', 'The address or the password is wrong.', { extra: { email } });

const accountExists = (email: string) =>
  new Failure('account-exists', 'There is an account of this address.', { extra: { email } });

const badInvitation = () =>
  new Failure(
    'invalid-verification-code',
    'The invitation is unknown, used, expired or for another address.',
  );
