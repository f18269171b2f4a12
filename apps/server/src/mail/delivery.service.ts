import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { compose, type MailContent, type MailKind } from './letters.ts';
import { openPost, type Post } from './post.ts';

const INTERVAL_MS = 5000;
/** One slow recipient does not hold up the others. */
const AT_ONCE = 3;
/** Longer than an attempt takes: after that its process is gone, and another one tries. */
const LEASE_SECONDS = 600;
const FIRST_WAIT_SECONDS = 10;
const WAIT_SECONDS_MAX = 3600;
/** By then a code is stale, and whoever waited has asked for another. */
const LIFE_SECONDS = 86_400;

interface Row {
  id: number;
  kind: MailKind;
  address: string;
  content: MailContent[MailKind];
  tries: number;
  createdAt: Date;
}

/**
 * Sends the mail that waits in the database, with a growing pause after each failure, for a day.
 * A process that is killed between sending and noting it leaves a mail that is sent twice.
 */
@Injectable()
export class DeliveryService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('mail');
  private readonly post: Post;
  private readonly workers = new Set<Promise<void>>();
  private timer?: NodeJS.Timeout;
  private isAsked = false;
  private isEnding = false;

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {
    this.post = openPost(config);
  }

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.hurry();
    }, INTERVAL_MS).unref();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.timer);
    this.isEnding = true;
    this.post.close();
    await this.settled();
  }

  /** Begins now, beside what is under way. */
  hurry(): void {
    this.isAsked = true;
    if (this.workers.size >= AT_ONCE || this.isEnding) return;
    const worker = this.work()
      .catch((error: unknown) => {
        this.logger.warn({ event: 'mail-waits', reason: String(error) });
      })
      .finally(() => this.workers.delete(worker));
    this.workers.add(worker);
  }

  /** Resolves when everything that can be sent now has been. */
  async settled(): Promise<void> {
    while (this.workers.size > 0) await Promise.all(this.workers);
  }

  private async work(): Promise<void> {
    // What is queued while the last look is under way is seen by one more look.
    while (this.isAsked) {
      this.isAsked = false;
      for (;;) {
        if (this.isEnding) return;
        const row = await this.claim();
        if (!row) break;
        await this.deliver(row);
      }
    }
  }

  private async claim(): Promise<Row | undefined> {
    const now = this.clock.now();
    const [rows] = await this.db.query<[Row[], number]>(
      `UPDATE mail SET tries = tries + 1, next_try_at = $2
        WHERE id = (SELECT id FROM mail WHERE next_try_at <= $1
                     ORDER BY next_try_at, id LIMIT 1 FOR UPDATE SKIP LOCKED)
        RETURNING id, kind, address, content, tries, created_at AS "createdAt"`,
      [now, later(now, LEASE_SECONDS)],
    );
    return rows[0];
  }

  private async deliver({ id, kind, address, content, tries, createdAt }: Row): Promise<void> {
    try {
      const letter = compose(kind, content, (path) => this.config.at(path));
      const mail = { ...letter, to: address, date: createdAt };
      await this.post.send(mail);
    } catch (error) {
      const now = this.clock.now();
      const isLate = now >= later(createdAt, LIFE_SECONDS);
      const status = refusalOf(error);
      if (status === undefined && !isLate) {
        const wait = Math.min(FIRST_WAIT_SECONDS * 2 ** (tries - 1), WAIT_SECONDS_MAX);
        await this.db.query(`UPDATE mail SET next_try_at = $2 WHERE id = $1`, [
          id,
          later(now, wait),
        ]);
        this.logger.warn({ event: 'mail-waits', kind, tries, code: codeOf(error) });
        return;
      }
      const why = status === undefined ? { tries } : { status };
      this.logger.warn({ event: 'mail-given-up', kind, ...why });
    }
    await this.db.query(`DELETE FROM mail WHERE id = $1`, [id]);
  }
}

const later = (date: Date, seconds: number) => new Date(date.getTime() + seconds * 1000);

/** The status by which a mail server refuses this recipient or message for good. */
function refusalOf(error: unknown): number | undefined {
  const { code, responseCode } = error as { code?: unknown; responseCode?: unknown };
  const isAboutIt = code === 'EENVELOPE' || code === 'EMESSAGE';
  return isAboutIt && typeof responseCode === 'number' && responseCode >= 500
    ? responseCode
    : undefined;
}

/** Its words may hold the recipient's address, which no log shows. */
const codeOf = (error: unknown) => (error as { code?: string }).code ?? 'unknown';
