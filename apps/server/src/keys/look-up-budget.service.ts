import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import type { Grant } from '../oauth/bearer.guard.ts';
import type { BudgetName } from '../platform/budgets.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { runNamed } from '../platform/named-statement.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { tooMany } from './keys.service.ts';
import type { Seen } from './look-ups.ts';

/** What looking in vain costs; looking with success costs 1. */
const MISS_COST = 5;
const PURGE_MS = 3_600_000;
/** Whom nobody asked for that long is not remembered as looked up. */
const REMEMBERED_SECONDS = 400 * 86_400;
const UNLIMITED = { count: 2 ** 31 - 1, seconds: 86_400 };

/** What was looked for: a uid, or a secret hash of an address. */
type Target = Pick<Seen, 'target' | 'uid' | 'countedIn'>;

/**
 * Counts the different people that somebody looks for, so that nobody asks for everybody: whoever was
 * counted today is free. Remembers them, since changes are told of those alone who were looked up.
 */
@Injectable()
export class LookUpBudgetService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('keys');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'look-ups-not-purged', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /**
   * One statement, and none where all were counted in this window and are remembered as they are.
   *
   * @throws Failure `too-many-requests`; then nothing was counted
   */
  async charge({ uid, clientId }: Grant, targets: readonly Target[]): Promise<void> {
    const window = this.windowAt(this.clock.seconds());
    if (targets.every(({ countedIn }) => countedIn === window)) return;
    const [day, burst, app] = [
      this.budget('look-up.account'),
      this.budget('look-up-burst.account'),
      this.budget('look-up.app'),
    ];
    const [row] = await runNamed<{ wait: number }>(this.db, {
      ...{ name: 'key-charge', text: CHARGE },
      values: [
        ...[uid, clientId, targets.map(({ target }) => target)],
        ...[targets.map(({ uid }) => uid), this.clock.now()],
        ...[day.count, day.seconds, burst.count, burst.seconds, app.count, app.seconds],
        MISS_COST,
      ],
    });
    if (row && row.wait > 0) throw tooMany('Too many people were looked for.', row.wait);
  }

  private windowAt(seconds: number): number {
    return Math.floor(seconds / this.budget('look-up.account').seconds);
  }

  private budget(name: BudgetName) {
    return this.config.limits.budgets[name] ?? UNLIMITED;
  }

  /** Those who were not found, and addresses, are forgotten with their window, however long that was. */
  private async purge(): Promise<void> {
    const now = this.clock.seconds();
    await this.db.query(
      `DELETE FROM key_contact WHERE (NOT is_found AND counted_in <> $1) OR counted_in < $2`,
      [this.windowAt(now), this.windowAt(now - REMEMBERED_SECONDS)],
    );
  }
}

const CHARGE = `SELECT key_charge($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS wait`;
