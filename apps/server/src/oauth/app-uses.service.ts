import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import { runNamed } from '../platform/named-statement.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';

/** One and the same use is written down once in this time. */
const NOTED_EVERY_MS = 600_000;
const WRITE_MS = 5000;
/** More than use the server within ten minutes; beyond that some are written down more often. */
const REMEMBERED_MAX = 20_000;

interface Use {
  uid: string;
  clientId: string;
  at: Date;
}

/**
 * When accounts last used apps. No request waits for a write: a process remembers uses, and writes
 * them down together. A process that is killed forgets those of its last seconds.
 */
@Injectable()
export class AppUsesService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('oauth');
  /** When the use of an app by an account was last remembered, in milliseconds. */
  private readonly notedAt = new Map<string, number>();
  private unwritten: Use[] = [];
  private readonly job = new RepeatedJob(
    () => this.write(),
    (error) => {
      this.logger.warn({ event: 'app-uses-not-written', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(WRITE_MS);
  }

  async onModuleDestroy(): Promise<void> {
    this.job.hurry();
    await this.job.settled();
    await this.job.stop();
  }

  /** An app used what an account gave it. */
  note(uid: string, clientId: string): void {
    const key = keyOf(uid, clientId);
    const at = this.clock.now();
    if (at.getTime() - (this.notedAt.get(key) ?? 0) < NOTED_EVERY_MS) return;
    if (this.notedAt.size >= REMEMBERED_MAX) {
      this.notedAt.clear();
      this.job.hurry();
    }
    this.notedAt.set(key, at.getTime());
    this.unwritten.push({ uid, clientId, at });
  }

  /** The app is not connected any more: its next use is a first one. */
  forget(uid: string, clientId: string): void {
    this.notedAt.delete(keyOf(uid, clientId));
  }

  /** Resolves when what this process remembers has been written down. */
  async written(): Promise<void> {
    if (this.unwritten.length > 0) this.job.hurry();
    await this.job.settled();
  }

  private async write(): Promise<void> {
    const uses = this.unwritten;
    this.unwritten = [];
    if (uses.length === 0) return;
    const columns = [uses.map(({ uid }) => uid), uses.map(({ clientId }) => clientId)];
    const values = [...columns, uses.map(({ at }) => at)];
    try {
      await runNamed(this.db, { name: 'app-uses', text: WRITE, values });
    } catch (error) {
      for (const { uid, clientId } of uses) this.forget(uid, clientId);
      throw error;
    }
  }
}

const keyOf = (uid: string, clientId: string) => `${uid} ${clientId}`;

/** What others change right now is passed over: waiting for several rows at once could deadlock. */
const WRITE = `
  WITH used AS (
    SELECT c.uid, c.client_id, u.at
      FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS u (uid, client_id, at)
      JOIN consent c ON c.uid = u.uid AND c.client_id = u.client_id
       FOR UPDATE OF c SKIP LOCKED)
  UPDATE consent c SET used_at = greatest(c.used_at, used.at)
    FROM used WHERE c.uid = used.uid AND c.client_id = used.client_id`;
