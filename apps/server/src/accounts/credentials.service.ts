import { createHmac, randomBytes } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { type EntityManager, Repository } from 'typeorm';
import { type CredentialsStatus, Failure, type Login, type NewPassword } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { AccountEntity } from './account.entity.ts';
import { PasswordsService, type WrapKb } from './passwords.service.ts';

/** The label of v2's salts; 16 bytes in hex follow. */
const SALT_LABEL = 'identity.mozilla.com/picl/v1/quickStretchV2:';

/** A password that was shown to fit. */
export interface Proven {
  account: AccountEntity;
  wrapKb: WrapKb;
}

/** A password that was stretched, ready to be set by {@link CredentialsService.replace}. */
export type Made = Awaited<ReturnType<PasswordsService['make']>>;

/** Checks passwords, and replaces them. */
@Injectable()
export class CredentialsService {
  constructor(
    @InjectRepository(AccountEntity) private readonly accounts: Repository<AccountEntity>,
    private readonly passwords: PasswordsService,
    private readonly settings: SettingsService,
    private readonly clock: Clock,
  ) {}

  /**
   * Checks a password. A known and an unknown address cost the same statement and the same scrypt.
   *
   * @param uid - of the account that it must be, when the caller has a session
   * @throws Failure `incorrect-password`, also for an unknown address; `incorrect-email-case` with
   *   the `email` to stretch with, when the check failed and the spelling is not that of sign-up
   */
  async prove({ email, authPW }: Pick<Login, 'email' | 'authPW'>, uid?: string): Promise<Proven> {
    const account = await this.accounts.findOneBy({ normalEmail: email.toLowerCase() });
    const wrapKb = await this.passwords.check(authPW, account ?? undefined);
    if (!account || (uid !== undefined && account.uid !== uid)) throw incorrectPassword(email);
    if (wrapKb) return { account, wrapKb };
    if (account.email !== email) {
      throw new Failure('incorrect-email-case', 'The address is spelled otherwise.', {
        extra: { email: account.email },
      });
    }
    throw incorrectPassword(email);
  }

  /**
   * The account as it is now. The check took its time: it may have been replaced, or verified, and
   * the password changed. Until the transaction ends it cannot change, so that whatever is given
   * out here is there to be taken back by a change of the password.
   *
   * @throws Failure `incorrect-password` when it is no longer the one that was proven
   */
  async hold(
    tx: EntityManager,
    { account }: Proven,
    mode: 'pessimistic_read' | 'pessimistic_write' = 'pessimistic_read',
  ): Promise<AccountEntity> {
    const { uid, verifyHash } = account;
    const current = await tx.findOne(AccountEntity, { where: { uid, verifyHash }, lock: { mode } });
    if (!current) throw incorrectPassword(account.email);
    return current;
  }

  /** Whether a password is the one that an account has, and has by v1 alone. */
  async isUpgrade(uid: string, authPW: string): Promise<boolean> {
    const account = await this.accounts.findOneBy({ uid });
    if (!account || account.clientSalt !== null) return false;
    return (await this.passwords.check(authPW, account)) !== undefined;
  }

  /** Stretches a new password; before the transaction, because it takes long. */
  make(asked: NewPassword): Promise<Made> {
    return this.passwords.make(asked);
  }

  /**
   * Sets a password. The generation rises; so does `keysChangedAt`, to the same time, when kB is
   * another. Neither ever falls, whatever the clock does.
   *
   * @throws Failure `unauthenticated` when the account went away
   */
  async replace(
    tx: EntityManager,
    uid: string,
    { verifier }: Made,
    { isSameKb }: { isSameKb: boolean },
  ): Promise<AccountEntity> {
    const account = await tx.findOne(AccountEntity, {
      where: { uid },
      lock: { mode: 'pessimistic_write' },
    });
    if (!account) throw new Failure('unauthenticated', 'There is no such account any more.');
    const now = Math.max(this.clock.now().getTime(), account.verifierSetAt + 1);
    Object.assign(account, verifier, {
      verifierSetAt: now,
      keysChangedAt: isSameKb ? account.keysChangedAt : now,
    });
    return tx.save(account);
  }

  /**
   * Which stretching to sign in by. For an address that nobody has the answer is made from a secret
   * and the address: the same at every time, and v1 as often as v2, so that neither tells anything.
   */
  async status(email: string): Promise<CredentialsStatus> {
    const normalEmail = email.toLowerCase();
    const account = await this.accounts.findOneBy({ normalEmail });
    const secret = await this.settings.getOrMake('credentials-status-key', () =>
      randomBytes(32).toString('base64url'),
    );
    const made = createHmac('sha256', secret).update(normalEmail).digest();
    const isMadeV2 = ((made[0] ?? 0) & 1) === 1;
    const madeSalt = isMadeV2 ? SALT_LABEL + made.toString('hex', 16) : null;
    const clientSalt = account ? account.clientSalt : madeSalt;
    return clientSalt === null
      ? { currentVersion: 'v1', upgradeNeeded: true }
      : { currentVersion: 'v2', clientSalt, upgradeNeeded: false };
  }
}

/** The one answer to a wrong password and an unknown address. */
const incorrectPassword = (email: string): Failure =>
  new Failure('incorrect-password', 'The address or the password is wrong.', { extra: { email } });
