import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager, LessThan, LessThanOrEqual } from 'typeorm';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { DeletionEntity } from './deletion.entity.ts';

/** Of a DataSource that this service works on. */
export const deletionTables = [DeletionEntity];

const INTERVAL_MS = 15_000;
const FIRST_WAIT_SECONDS = 15;
const WAIT_SECONDS_MAX = 600;
/** A request that was under way at the deletion may have left something: one more look, then. */
const LOOK_AGAIN_SECONDS = 86_400;
/** For how long the operator can see that it was done. */
const REMEMBERED_SECONDS = 90 * 86_400;
const WORDS_MAX = 200;

/**
 * Erases what a part of the server has of an account. It may be broken off anywhere and is asked
 * again, also when it was done.
 *
 * @returns what it still waits for, in a few words for the operator; undefined when nothing is left
 */
export type Erase = (uid: string) => Promise<string | undefined>;

/**
 * Erases accounts. That one is to be erased is written in the transaction that deletes it, so it
 * happens whatever becomes of this process; each part of the server says here how it forgets.
 *
 * @see docs/operating.md, "Deleting an account"
 */
@Injectable()
export class DeletionsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('deletion');
  private readonly parts = new Map<string, Erase>();
  private readonly job = new RepeatedJob(
    () => this.eraseDue(),
    (error) => {
      this.logger.warn({ event: 'deletions-wait', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(INTERVAL_MS);
    this.job.hurry();
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** To be called while the server starts. */
  register(part: string, erase: Erase): void {
    this.parts.set(part, erase);
  }

  /**
   * Has an account erased, once it is deleted; call {@link DeletionsService.hurry} after the
   * transaction.
   *
   * @param tx - deletes the row of the account
   */
  async enqueue(tx: EntityManager, uid: string): Promise<void> {
    const now = this.clock.now();
    await tx.query(
      `INSERT INTO deletion (uid, asked_at, tries, next_try_at, waiting)
       VALUES ($1, $2, 0, $2, '{}') ON CONFLICT (uid) DO NOTHING`,
      [uid, now],
    );
  }

  /** Begins now, after what is under way. */
  hurry(): void {
    this.job.hurry();
  }

  /** Resolves when what can be erased now has been. */
  settled(): Promise<void> {
    return this.job.settled();
  }

  /** @throws Failure `not-found` when no account of this uid was deleted, or long ago */
  async find(uid: string): Promise<DeletionEntity> {
    const deletion = await this.db.manager.findOneBy(DeletionEntity, { uid });
    if (!deletion) throw new Failure('not-found', `No account ${uid} is being deleted.`);
    return deletion;
  }

  private async eraseDue(): Promise<void> {
    while (!this.job.signal.aborted && (await this.db.transaction((tx) => this.eraseNext(tx))));
    const before = new Date(this.clock.now().getTime() - REMEMBERED_SECONDS * 1000);
    await this.db.manager.delete(DeletionEntity, { finishedAt: LessThan(before) });
  }

  /** The lock on the row ends with this process, however it ends; then another one begins again. */
  private async eraseNext(tx: EntityManager): Promise<boolean> {
    const now = this.clock.now();
    const deletion = await tx.findOne(DeletionEntity, {
      where: { nextTryAt: LessThanOrEqual(now) },
      order: { nextTryAt: 'ASC' },
      lock: { mode: 'pessimistic_write', onLocked: 'skip_locked' },
    });
    if (!deletion) return false;
    const { uid, tries, finishedAt } = deletion;
    const waiting = await this.erase(uid);
    const isDone = Object.keys(waiting).length === 0;
    const wait = isDone
      ? LOOK_AGAIN_SECONDS
      : Math.min(FIRST_WAIT_SECONDS * 2 ** Math.min(tries, 20), WAIT_SECONDS_MAX);
    const isLast = isDone && finishedAt !== null;
    await tx.update(DeletionEntity, uid, {
      waiting,
      tries: tries + 1,
      nextTryAt: isLast ? null : new Date(this.clock.now().getTime() + wait * 1000),
      ...(isDone && !finishedAt && { finishedAt: this.clock.now() }),
    });
    this.logger.log({ event: isDone ? 'account-erased' : 'account-erasing', uid, ...waiting });
    return true;
  }

  private async erase(uid: string): Promise<Record<string, string>> {
    const alive = await this.db.query<unknown[]>(`SELECT FROM account WHERE uid = $1`, [uid]);
    if (alive.length > 0) return { account: 'there is an account of this uid' };
    const waiting: Record<string, string> = {};
    for (const [part, erase] of this.parts) {
      if (this.job.signal.aborted) return { ...waiting, server: 'it is stopping' };
      try {
        const left = await erase(uid);
        if (left !== undefined) waiting[part] = left;
      } catch (error) {
        waiting[part] = String(error).slice(0, WORDS_MAX);
      }
    }
    return waiting;
  }
}
