import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { AuthorityService } from './authority.service.ts';

const INTERVAL_MS = 2000;
/** One slow app does not hold up the others for long. */
const AT_ONCE = 10;
const FIRST_WAIT_SECONDS = 10;
const WAIT_SECONDS_MAX = 3600;
/** By then the app's own session is over, or nobody answers there any more. */
const LIFE_SECONDS = 86_400;

interface Notice {
  id: number;
  clientId: string;
  sub: string;
  sid: string | null;
  tries: number;
  createdAt: Date;
}

/**
 * Tells apps of sign-outs (OpenID Connect Back-Channel Logout 1.0), with a growing pause after each
 * failure, for a day. What there is to tell a trigger writes down, whichever way a grant ended.
 *
 * A process that is killed between sending and noting it leaves a notice that is sent twice.
 */
@Injectable()
export class LogoutNoticesService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('oauth');
  private readonly job = new RepeatedJob(
    () => this.work(),
    (error) => {
      this.logger.warn({ event: 'logout-notices-wait', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly authority: AuthorityService,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(INTERVAL_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Sends all that is due. */
  async work(): Promise<void> {
    while (!this.job.signal.aborted) {
      const notices = await this.claim();
      if (notices.length === 0) return;
      await Promise.all(notices.map((notice) => this.tell(notice)));
    }
  }

  /**
   * The pause is written down before, so that no other process sends the same meanwhile. What was not
   * tried yet comes first: whose app never answers holds up none.
   */
  private async claim(): Promise<Notice[]> {
    const [rows] = await this.db.query<[Notice[], number]>(
      `UPDATE logout_notice SET tries = tries + 1,
              next_try_at = $1::timestamptz + least($3, $2 * 2 ^ tries) * interval '1 second'
        WHERE id IN (SELECT id FROM logout_notice WHERE next_try_at <= $1
                      ORDER BY tries, next_try_at LIMIT $4 FOR UPDATE SKIP LOCKED)
        RETURNING id, client_id AS "clientId", sub, sid, tries, created_at AS "createdAt"`,
      [this.clock.now(), FIRST_WAIT_SECONDS, WAIT_SECONDS_MAX, AT_ONCE],
    );
    return rows;
  }

  private async tell({ id, clientId, sub, sid, createdAt }: Notice): Promise<void> {
    try {
      const client = await this.authority.provider.Client.find(clientId);
      if (client?.backchannelLogoutUri !== undefined) {
        await (client as unknown as Tellable).backchannelLogout(sub, sid ?? undefined);
      }
    } catch (error) {
      const age = this.clock.now().getTime() - createdAt.getTime();
      if (age < LIFE_SECONDS * 1000) return;
      this.logger.warn({ event: 'logout-untold', app: clientId, reason: String(error) });
    }
    await this.db.query(`DELETE FROM logout_notice WHERE id = $1`, [id]);
  }
}

/** Signs the token and posts it; throws unless the app answers 200 or 204. */
interface Tellable {
  backchannelLogout: (sub: string, sid: string | undefined) => Promise<void>;
}
