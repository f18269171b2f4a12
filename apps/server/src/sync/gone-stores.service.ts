import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { Clock } from '../platform/clock.ts';
import { Statements } from './statements.ts';

const INTERVAL_MS = 60_000;
const CHUNK_RECORDS = 1000;
/** Longer than any token for it is good. */
const REMEMBERED_MS = 7 * 86_400_000;

/** Deletes what is left of stores that are gone. What it has to do is in the database. */
@Injectable()
export class GoneStoresService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('storage');
  private timer?: NodeJS.Timeout;
  private isEnding = false;
  private running: Promise<void> = Promise.resolve();

  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.hurry();
    }, INTERVAL_MS).unref();
    this.hurry();
  }

  async onModuleDestroy(): Promise<void> {
    this.isEnding = true;
    clearInterval(this.timer);
    await this.running;
  }

  /** Begins now, after what is under way. */
  hurry(): void {
    this.running = this.running
      .then(() => this.purge())
      .catch((error: unknown) => {
        this.logger.warn({ event: 'gone-stores-left', error: String(error) });
      });
  }

  /** Resolves when what was to do has been done, or was left for later. */
  settled(): Promise<void> {
    return this.running;
  }

  private async purge(): Promise<void> {
    const rows = await this.statements.run<{ uid: number }>(
      `SELECT uid FROM storage_hold WHERE state = 'gone' AND NOT purged ORDER BY uid`,
      [],
    );
    for (const { uid } of rows) {
      let isMore = true;
      while (isMore && !this.isEnding) isMore = await this.purgeChunk(uid);
      if (this.isEnding) return;
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
