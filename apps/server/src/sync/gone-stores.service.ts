import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { setTimeout as pause } from 'node:timers/promises';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Statements } from './statements.ts';

const INTERVAL_MS = 60_000;
const CHUNK_RECORDS = 1000;
/** By then every process of the node has heard that the store is gone, and shows nothing of it. */
const HEARD_MS = 2500;
/** Longer than any token for it is good. */
const REMEMBERED_MS = 7 * 86_400_000;

/** Deletes what is left of stores that are gone. What it has to do is in the database. */
@Injectable()
export class GoneStoresService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('storage');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'gone-stores-left', error: String(error) });
    },
  );

  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(INTERVAL_MS);
    this.job.hurry();
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Begins now, after what is under way. */
  hurry(): void {
    this.job.hurry();
  }

  /** Resolves when what was to do has been done, or was left for later. */
  settled(): Promise<void> {
    return this.job.settled();
  }

  private async purge(): Promise<void> {
    const { signal } = this.job;
    const rows = await this.statements.run<{ uid: number; age: number }>(
      `SELECT uid, extract(epoch FROM now() - changed_at)::float8 * 1000 AS age FROM storage_hold
        WHERE state = 'gone' AND NOT purged ORDER BY changed_at, uid`,
      [],
    );
    const begun = this.clock.now().getTime();
    for (const { uid, age } of rows) {
      const ms = HEARD_MS - age - (this.clock.now().getTime() - begun);
      if (ms > 0) await pause(ms, undefined, { signal }).catch(() => undefined);
      let isMore = true;
      while (isMore && !signal.aborted) isMore = await this.purgeChunk(uid);
      if (signal.aborted) return;
      this.logger.log({ event: 'store-purged', uid });
    }
    const before = new Date(this.clock.now().getTime() - REMEMBERED_MS);
    await this.statements.run(
      `DELETE FROM storage_hold WHERE state = 'gone' AND purged AND changed_at < $1`,
      [before],
    );
  }

  /** Unless the store came back: a move holds the row that this one locks. */
  private async purgeChunk(uid: number): Promise<boolean> {
    const { is_more } = await this.statements.one<{ is_more: boolean }>(
      `SELECT storage_purge_gone($1, $2) AS is_more`,
      [uid, CHUNK_RECORDS],
    );
    return is_more;
  }
}
