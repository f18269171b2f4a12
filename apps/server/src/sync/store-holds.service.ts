import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { Failure, type StoreChange, type StoreChanged, type StoreState } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { moving, Statements } from './statements.ts';
import { type Hundredths, toHundredths } from './weave-time.ts';

/** How long another process of this node may answer readers as before. */
const REFRESH_MS = 1000;
/** As long as a client can be expected to wait for an answer. */
const OPEN_WAIT_MS = 10_000;

/**
 * Which stores of this node are being moved, or went away. The database refuses what must not be
 * written or promised; what is remembered here saves everybody else a question.
 *
 * @see docs/protocol/nodes.md, "States of a store"
 */
@Injectable()
export class StoreHoldsService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('storage');
  private holds = new Map<number, { state: StoreState; expires: Hundredths | null }>();
  private seen: number | undefined;
  private looks = 0;
  private looked = 0;
  private timer?: NodeJS.Timeout;

  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    await this.refresh();
    this.timer = setInterval(() => {
      this.refresh().catch((error: unknown) => {
        this.logger.warn({ event: 'holds-unknown', error: String(error) });
      });
    }, REFRESH_MS).unref();
  }

  onModuleDestroy(): void {
    clearInterval(this.timer);
  }

  /** @throws Failure `unauthenticated` for a store that is gone, `unavailable` for one on its way */
  expectOpen(uid: number, isRead: boolean): void {
    const hold = this.holds.get(uid);
    if (!hold) return;
    if (hold.state === 'gone') {
      throw new Failure('unauthenticated', 'Hawk: the store is not on this node.');
    }
    const isOver = hold.expires !== null && hold.expires <= toHundredths(this.clock.now());
    if (hold.state === 'frozen' && (isRead || isOver)) return;
    throw moving();
  }

  /**
   * Changes the state of a store. When it answers, nothing of before is under way.
   *
   * @throws Failure `conflict` when the state it is in allows no such change
   */
  async change(uid: number, change: StoreChange): Promise<StoreChanged> {
    const { state } = change;
    if (state === 'open') await this.waitUntil(change.after ?? 0);
    const seconds = state === 'frozen' ? change.seconds : null;
    const changed = await this.statements.one<{ state: StoreState | null }>(
      `SELECT state FROM storage_hold_change($1, $2, $3)`,
      [uid, state, seconds],
    );
    if (changed.state === null) {
      throw new Failure('conflict', `The store cannot become ${state} now.`);
    }
    await this.statements.run(`SELECT nextval('storage_hold_changes')`, []);
    await this.refresh();
    this.logger.log({ event: 'store-changed', uid, state });
    return { state, at: await this.now() };
  }

  /** A store may not give a time that a reader elsewhere was told was over. */
  private async waitUntil(time: Hundredths): Promise<void> {
    const ms = (time - (await this.now()) + 1) * 10;
    if (ms > OPEN_WAIT_MS) throw new Failure('conflict', `The clock here is ${ms} ms behind.`);
    if (ms > 0) await pause(ms);
  }

  /** By the clock that vouches for times: the database's. */
  private async now(): Promise<Hundredths> {
    const { now } = await this.statements.one<{ now: Hundredths }>(
      `SELECT ceil(extract(epoch FROM clock_timestamp()) * 100)::bigint AS now`,
      [],
    );
    return now;
  }

  private async refresh(): Promise<void> {
    const look = (this.looks += 1);
    const { changes } = await this.statements.one<{ changes: number }>(
      // a sequence that was never used has the value that the first change then gets
      `SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS changes FROM storage_hold_changes`,
      [],
    );
    if (changes === this.seen) return;
    const rows = await this.statements.run<{
      uid: number;
      state: StoreState;
      expires: Hundredths | null;
    }>(`SELECT uid, state, expires FROM storage_hold`, []);
    // Another look that began later may have ended before.
    if (look < this.looked) return;
    this.looked = look;
    this.holds = new Map(rows.map(({ uid, ...hold }) => [uid, hold]));
    this.seen = changes;
  }
}
