import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { Config } from '../platform/config.ts';
import { Statements } from './statements.ts';
import { toHundredths } from './weave-time.ts';

/** What a purge removed. */
export interface Purged {
  records: number;
  /** Of the records' payloads. */
  bytes: number;
  batches: number;
  /** Transactions that it took. */
  chunks: number;
}

/** Writers to a collection wait for one chunk at most: some milliseconds. */
const CHUNK_RECORDS = 1000;
const CHUNK_BATCHES = 10;

/** Removes, again and again, the records and batches whose time is over. */
@Injectable()
export class PurgeService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('storage');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'purge-failed', error: String(error) });
    },
  );

  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(Math.min(this.config.limits.storagePurgeSeconds * 1000, 2 ** 31 - 1));
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Chunk by chunk, each in a transaction, until nothing is left or another process is at it. */
  async purge(): Promise<Purged> {
    const now = toHundredths(this.clock.now());
    const begun = this.clock.now().getTime();
    const purged: Purged = { records: 0, bytes: 0, batches: 0, chunks: 0 };
    for (let isMore = true; isMore && !this.job.signal.aborted;) {
      const chunk = await this.statements.one<Omit<Purged, 'chunks'> & { busy: boolean }>(
        `SELECT busy, records, bytes, batches FROM storage_purge($1, $2, $3)`,
        [now, CHUNK_RECORDS, CHUNK_BATCHES],
      );
      if (chunk.busy) break;
      purged.records += chunk.records;
      purged.bytes += chunk.bytes;
      purged.batches += chunk.batches;
      purged.chunks += 1;
      isMore = chunk.records > 0 || chunk.batches > 0;
    }
    const ms = this.clock.now().getTime() - begun;
    this.logger.log({ event: 'purged', ...purged, ms });
    return purged;
  }
}
