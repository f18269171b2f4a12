import type { DataSource, EntityManager } from 'typeorm';
import { Failure, type SecurityEventName } from '#lib/protocol';
import type { EventsService } from '../events/events.service.ts';
import type { MailerService } from '../mail/mailer.service.ts';

/** Second factors of an account, as the operator sees them: no secret, and nothing of a code. */
export interface FactorsOfAccount {
  uid: string;
  email: string;
  totp: boolean;
  /** Those that are left. */
  backupCodes: number;
  /** Named by their owner. Times are of ISO 8601; `used` is null before the first use. */
  passkeys: { name: string; created: string; used: string | null }[];
}

/** What the operator may do for who has lost the second factor and the backup codes. */
export class LostFactorsService {
  constructor(
    private readonly db: DataSource,
    private readonly events: EventsService,
    private readonly mailer: MailerService,
  ) {}

  /** @throws Failure `not-found` */
  async of(uid: string): Promise<FactorsOfAccount> {
    const [account] = await this.db.query<Omit<FactorsOfAccount, 'passkeys'>[]>(
      `SELECT uid, email,
              EXISTS (SELECT FROM totp t WHERE t.uid = a.uid AND enabled_at IS NOT NULL) AS totp,
              (SELECT count(*)::integer FROM backup_code b WHERE b.uid = a.uid) AS "backupCodes"
         FROM account a WHERE uid = $1`,
      [uid],
    );
    if (!account) throw nobody(uid);
    const passkeys = await this.db.query<{ name: string; created: Date; used: Date | null }[]>(
      `SELECT name, created_at AS created, used_at AS used FROM passkey WHERE uid = $1
        ORDER BY created_at, id`,
      [uid],
    );
    return {
      ...account,
      passkeys: passkeys.map(({ name, created, used }) => ({
        ...{ name, created: created.toISOString(), used: used?.toISOString() ?? null },
      })),
    };
  }

  /**
   * Takes all second factors and backup codes away; the password suffices from then on. Its owner is
   * told, as of every removal, by a server that runs.
   *
   * @returns how many factors went
   * @throws Failure `not-found`, `no-factor`
   */
  async remove(uid: string): Promise<number> {
    return this.db.transaction(async (tx) => {
      const [account] = await tx.query<{ email: string }[]>(
        `SELECT email FROM account WHERE uid = $1 FOR UPDATE`,
        [uid],
      );
      if (!account) throw nobody(uid);
      const gone: SecurityEventName[] = [
        ...(await this.drop(tx, 'totp', uid)).flatMap(({ isFactor }) =>
          isFactor ? ['account.two_factor_removed' as const] : [],
        ),
        ...(await this.drop(tx, 'passkey', uid)).map(() => 'account.passkey_removed' as const),
      ];
      if (gone.length === 0) throw new Failure('no-factor', 'The account has no second factor.');
      await tx.query(`DELETE FROM backup_code WHERE uid = $1`, [uid]);
      // They gave the password alone; now that it suffices, it is to be given again.
      await tx.query(`DELETE FROM session WHERE uid = $1 AND awaits_factor`, [uid]);
      await tx.query(`UPDATE account SET has_factors = false WHERE uid = $1`, [uid]);
      for (const event of gone) await this.events.record({ uid }, event, undefined, tx);
      await this.mailer.send('second-factors-taken', account.email, { uid }, tx);
      return gone.length;
    });
  }

  /** One that waits to be proven is no factor yet. */
  private async drop(
    tx: EntityManager,
    table: 'totp' | 'passkey',
    uid: string,
  ): Promise<{ isFactor: boolean }[]> {
    const isFactor = table === 'totp' ? 'enabled_at IS NOT NULL' : 'true';
    const [rows] = await tx.query<[{ isFactor: boolean }[], number]>(
      `DELETE FROM ${table} WHERE uid = $1 RETURNING ${isFactor} AS "isFactor"`,
      [uid],
    );
    return rows;
  }
}

const nobody = (uid: string) => new Failure('not-found', `There is no account ${uid}.`);
