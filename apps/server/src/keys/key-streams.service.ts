import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure, type KeyEvent, type KeyEvents, KEYS_LIMITS } from '#lib/protocol';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { OVERLAP_MS } from './key-events.service.ts';

const LOOK_MS = 1000;
const BEAT_MS = 15_000;
/** Of one process. */
const STREAMS_MAX = 2000;
/** Whoever does not read is let go, and begins again where he was. Bytes. */
const UNREAD_MAX = 65_536;

interface Stream {
  uid: string;
  clientId: string;
  tokenHash: string;
  out: PassThrough;
  /** The entity tag that was told last, by uid. */
  told: Map<string, string | undefined>;
}

interface Change extends KeyEvent {
  clientId: string;
  /** Or hidden from everybody but himself. */
  isShown: boolean;
}

/**
 * Streams of server-sent events, one statement a second for all of them. Each ends with its token,
 * and with the process.
 */
@Injectable()
export class KeyStreamsService
  implements OnApplicationBootstrap, BeforeApplicationShutdown, OnModuleDestroy
{
  private readonly logger = new Logger('keys');
  private readonly streams = new Set<Stream>();
  private lookedAt = '0';
  private readonly failed = (error: unknown) => {
    this.logger.warn({ event: 'key-events-wait', reason: String(error) });
  };
  private readonly looking = new RepeatedJob(() => this.look(), this.failed);
  private readonly beating = new RepeatedJob(() => this.beat(), this.failed);

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.looking.start(LOOK_MS);
    this.beating.start(BEAT_MS);
  }

  /** A server that stops waits for its connections: these would never end. */
  beforeApplicationShutdown(): void {
    for (const { out } of this.streams) out.end();
  }

  async onModuleDestroy(): Promise<void> {
    for (const { out } of this.streams) out.end();
    await Promise.all([this.looking.stop(), this.beating.stop()]);
  }

  /**
   * @param token - what the stream lives by
   * @param known - what changed until now: what is told first
   * @throws Failure `too-many-requests` to who has several open, `unavailable`
   */
  open(
    { uid, clientId }: Grant,
    token: string,
    uids: readonly string[],
    known: KeyEvents,
  ): Readable {
    const own = [...this.streams].filter((one) => one.uid === uid && one.clientId === clientId);
    if (own.length >= KEYS_LIMITS.streams) {
      throw new Failure('too-many-requests', 'Too many streams are open.');
    }
    if (this.streams.size >= STREAMS_MAX) {
      throw new Failure('unavailable', 'Too many streams are open.');
    }
    const unknown = new Set(known.unknown);
    const told = new Map(uids.filter((one) => !unknown.has(one)).map((one) => [one, undefined]));
    const stream: Stream = {
      ...{ uid, clientId, tokenHash: createHash('sha256').update(token).digest('base64url'), told },
      out: new PassThrough({ highWaterMark: UNREAD_MAX }),
    };
    this.streams.add(stream);
    stream.out.once('close', () => this.streams.delete(stream));
    const { unknown: nobody } = known;
    stream.out.write(`event: watching\ndata: ${JSON.stringify({ unknown: nobody })}\n\n`);
    for (const event of known.events) this.tell(stream, event, known.cursor);
    // From where the streams that were there are: what comes twice is not told twice.
    if (this.streams.size === 1) this.lookedAt = known.cursor;
    return stream.out;
  }

  /** Tells what changed since the last look. */
  async look(): Promise<void> {
    if (this.streams.size === 0) return;
    const rows = await this.db.query<(Partial<Change> & { cursor: string })[]>(CHANGED, [
      ...[this.lookedAt, OVERLAP_MS],
    ]);
    for (const { cursor, ...change } of rows) {
      this.lookedAt = cursor;
      if (!isChange(change)) continue;
      for (const stream of this.streams) {
        const isWatched = stream.clientId === change.clientId && stream.told.has(change.uid);
        const isTold = isWatched && (change.isShown || change.uid === stream.uid);
        if (isTold) this.tell(stream, change, cursor);
      }
    }
  }

  /** A sign of life for each, and the end for those whose token ended. */
  async beat(): Promise<void> {
    if (this.streams.size === 0) return;
    const rows = await this.db.query<{ id: string }[]>(
      `SELECT id FROM oidc
        WHERE model = 'AccessToken' AND id = ANY($1) AND grant_id IS NOT NULL AND expires_at > $2`,
      [[...this.streams].map(({ tokenHash }) => tokenHash), this.clock.now()],
    );
    const alive = new Set(rows.map(({ id }) => id));
    for (const stream of this.streams) {
      if (alive.has(stream.tokenHash)) this.write(stream, ':\n\n');
      else this.end(stream);
    }
  }

  private tell(stream: Stream, { uid, ver, etag }: KeyEvent, cursor: string): void {
    if (stream.told.get(uid) === etag) return;
    stream.told.set(uid, etag);
    this.write(
      stream,
      `event: key\nid: ${cursor}\ndata: ${JSON.stringify({ uid, ver, etag })}\n\n`,
    );
  }

  private write(stream: Stream, text: string): void {
    if (stream.out.writableLength > UNREAD_MAX) stream.out.destroy();
    else if (!stream.out.writableEnded) stream.out.write(text);
  }

  /** What was written is still read, but not for ever. */
  private end({ out }: Stream): void {
    if (out.writableEnded) out.destroy();
    else out.end();
  }
}

const isChange = (change: { [K in keyof Change]?: Change[K] | null }): change is Change =>
  typeof change.uid === 'string';

/** $1 cursor, $2 overlap. One row without a change when nothing changed. */
const CHANGED = `
  SELECT m.uid, m.client_id AS "clientId", m.ver, m.etag,
         m.discoverable = 'app' AS "isShown",
         floor(extract(epoch FROM statement_timestamp()) * 1000 - $2::integer)::bigint::text AS cursor
    FROM (SELECT 1) one
    LEFT JOIN key_member m ON m.changed_at > to_timestamp($1::bigint / 1000.0)
   ORDER BY m.changed_at`;
