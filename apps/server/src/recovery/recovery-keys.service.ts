import { createHash, timingSafeEqual } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { type CreateRecoveryKey, Failure } from '#lib/protocol';
import { EventsService } from '../events/events.service.ts';
import { MailerService } from '../mail/mailer.service.ts';
import { Clock } from '../platform/clock.ts';
import type { Visitor } from '../platform/visitor.ts';

interface Row {
  idHash: Buffer;
  data: string;
  hint: string | null;
  enabled: boolean;
}

/** Keeps, for each account that wants it, kB under a key that is on its owner's paper. */
@Injectable()
export class RecoveryKeysService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly events: EventsService,
    private readonly mailer: MailerService,
    private readonly clock: Clock,
  ) {}

  /**
   * Keeps a recovery key in the place of one that was never enabled.
   *
   * @throws Failure `recovery-key-exists` when there is another, unless it is to be replaced;
   *   `unauthenticated` when the session ended meanwhile
   */
  async create(
    owner: Owner & { id: string },
    asked: CreateRecoveryKey,
    from: Visitor,
  ): Promise<void> {
    const { recoveryKeyId, recoveryData, enabled, replaceKey } = asked;
    await this.db.transaction(async (tx) => {
      // A reset waits for this, and then drops the key; a key of the kB before must not come after it.
      const alive = await tx.query<unknown[]>(
        `SELECT 1 FROM account a JOIN session s USING (uid) WHERE s.id = $1 FOR SHARE`,
        [owner.id],
      );
      if (alive.length === 0) throw new Failure('unauthenticated', 'The session has ended.');
      const kept = await tx.query<unknown[]>(
        `INSERT INTO recovery_key AS k (uid, id_hash, data, hint, enabled, created_at)
         VALUES ($1, $2, $3, NULL, $4, $5)
         ON CONFLICT (uid) DO UPDATE SET id_hash = excluded.id_hash, data = excluded.data,
           hint = NULL, enabled = excluded.enabled, created_at = excluded.created_at
          WHERE NOT k.enabled OR $6
         RETURNING uid`,
        [owner.uid, hash(recoveryKeyId), recoveryData, enabled, this.clock.now(), replaceKey],
      );
      if (kept.length === 0) {
        throw new Failure('recovery-key-exists', 'The account has a recovery key.');
      }
      if (enabled) await this.tellOfNew(tx, owner, from);
    });
    if (enabled) this.mailer.hurry();
  }

  /**
   * Enables a recovery key whose owner showed that he has it.
   *
   * @throws Failure `no-recovery-key`, `invalid-recovery-key`
   */
  async verify(owner: Owner, id: string, from: Visitor): Promise<void> {
    expectFit(await this.find(owner.uid), id);
    await this.db.transaction(async (tx) => {
      const [, enabled] = await tx.query<[unknown[], number]>(
        `UPDATE recovery_key SET enabled = true WHERE uid = $1 AND id_hash = $2 AND NOT enabled`,
        [owner.uid, hash(id)],
      );
      if (enabled > 0) await this.tellOfNew(tx, owner, from);
    });
    this.mailer.hurry();
  }

  /** Whether there is one that is enabled. */
  async exists(uid: string): Promise<boolean> {
    return (await this.find(uid))?.enabled ?? false;
  }

  /**
   * kB under the recovery key: for who shows the id, which follows from the key alone.
   *
   * @throws Failure `no-recovery-key`, `invalid-recovery-key`
   */
  async data(uid: string, id: string): Promise<string> {
    const row = await this.find(uid);
    return expectFit(row?.enabled === true ? row : undefined, id).data;
  }

  /** Where its owner says it is kept. @throws Failure `no-recovery-key` */
  async hint(uid: string): Promise<string | null> {
    const row = await this.find(uid);
    if (!row) throw noKey();
    return row.hint;
  }

  /** @throws Failure `no-recovery-key` */
  async setHint(uid: string, hint: string): Promise<void> {
    const [, changed] = await this.db.query<[unknown[], number]>(
      `UPDATE recovery_key SET hint = $2 WHERE uid = $1`,
      [uid, hint],
    );
    if (changed === 0) throw noKey();
  }

  /** Its owner wants no recovery key any more; nothing happens when there is none. */
  async remove(owner: Owner, from: Visitor): Promise<void> {
    await this.db.transaction(async (tx) => {
      if (!(await this.drop(tx, owner.uid))) return;
      await this.events.record(owner, 'account.recovery_key_removed', from, tx);
      await this.mailer.send('recovery-key-removed', owner.email, { uid: owner.uid }, tx);
    });
    this.mailer.hurry();
  }

  /** @returns whether there was one */
  async drop(tx: EntityManager, uid: string): Promise<boolean> {
    const [, gone] = await tx.query<[unknown[], number]>(
      `DELETE FROM recovery_key WHERE uid = $1`,
      [uid],
    );
    return gone > 0;
  }

  /**
   * Uses the recovery key up, in the transaction that holds the account.
   *
   * @throws Failure `no-recovery-key`, `invalid-recovery-key`
   */
  async use(tx: EntityManager, uid: string, id: string): Promise<void> {
    const row = await this.find(uid, tx);
    expectFit(row?.enabled === true ? row : undefined, id);
    await this.drop(tx, uid);
  }

  private async find(uid: string, tx = this.db.manager): Promise<Row | undefined> {
    const [row] = await tx.query<Row[]>(
      `SELECT id_hash AS "idHash", data, hint, enabled FROM recovery_key WHERE uid = $1`,
      [uid],
    );
    return row;
  }

  private async tellOfNew(tx: EntityManager, owner: Owner, from: Visitor): Promise<void> {
    await this.events.record(owner, 'account.recovery_key_added', from, tx);
    await this.mailer.send('recovery-key-created', owner.email, { uid: owner.uid }, tx);
  }
}

/** Whose key it is. */
interface Owner {
  uid: string;
  email: string;
}

function expectFit(row: Row | undefined, id: string): Row {
  if (!row) throw noKey();
  if (timingSafeEqual(row.idHash, hash(id))) return row;
  throw new Failure('invalid-recovery-key', 'That is not the recovery key of the account.');
}

const noKey = () => new Failure('no-recovery-key', 'The account has no recovery key.');

const hash = (id: string) => createHash('sha256').update(id).digest();
