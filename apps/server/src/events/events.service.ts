import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { familyOf, type SecurityEvent, type SecurityEventName } from '#lib/protocol';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import type { Visitor } from '../platform/visitor.ts';
import { shortened } from './traces.ts';

const LIFE_SECONDS = 90 * 86_400;
const SHOWN_MAX = 200;
/** What anybody can bring about must not push the rest off the list. */
const BY_STRANGERS = `'account.login.failure', 'account.password_reset_requested',
  'account.two_factor_challenge_failure'`;
const SHOWN_BY_STRANGERS_MAX = 50;
const PURGE_MS = 3_600_000;

/** What happened to an account, for its owner alone: who, roughly from where, and with what. */
@Injectable()
export class EventsService implements OnModuleInit, OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('events');
  private readonly job = new RepeatedJob(
    () => this.purge(),
    (error) => {
      this.logger.warn({ event: 'events-not-purged', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('events', async (uid) => {
      await this.db.query(`DELETE FROM security_event WHERE uid = $1`, [uid]);
      return undefined;
    });
  }

  onApplicationBootstrap(): void {
    this.job.start(PURGE_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /**
   * @param of - an account, or the address of one; where there is none, the same is done for nobody
   * @param from - whose request it was; undefined for what the server did
   * @param tx - of the change
   */
  async record(
    of: { uid: string } | { email: string },
    name: SecurityEventName,
    from: Visitor | undefined,
    tx: Pick<EntityManager, 'query'> = this.db,
  ): Promise<void> {
    const [column, value] =
      'uid' in of ? ['uid', of.uid] : ['normal_email', of.email.toLowerCase()];
    await tx.query(
      `INSERT INTO security_event (uid, name, verified, network, agent, created_at)
       SELECT uid, $2, verified_at IS NOT NULL, $3, $4, $5 FROM account
        WHERE ${column} = $1`,
      [
        value,
        name,
        from ? shortened(from.client) : null,
        from ? familyOf(from.agent) : null,
        this.clock.now(),
      ],
    );
  }

  /** `Firefox on Linux`, for a mail. */
  programOf(from: Pick<Visitor, 'agent'>): string {
    return familyOf(from.agent);
  }

  /** The latest, newest first. */
  async list(uid: string): Promise<SecurityEvent[]> {
    const rows = await this.db.query<
      {
        name: SecurityEventName;
        verified: boolean;
        network: string | null;
        agent: string | null;
        createdAt: Date;
      }[]
    >(
      `SELECT name, verified, network, agent, created_at AS "createdAt" FROM security_event
        WHERE uid = $1 AND created_at > $2
          AND (name NOT IN (${BY_STRANGERS}) OR id IN
            (SELECT id FROM security_event WHERE uid = $1 AND name IN (${BY_STRANGERS})
              ORDER BY id DESC LIMIT ${SHOWN_BY_STRANGERS_MAX}))
        ORDER BY id DESC LIMIT ${SHOWN_MAX}`,
      [uid, this.oldest()],
    );
    return rows.map(({ name, verified, network, agent, createdAt }) => ({
      ...{ name, verified, createdAt: createdAt.getTime() },
      ...(network !== null && { ipAddr: network }),
      ...(agent !== null && { userAgent: agent }),
    }));
  }

  /** Forgets what is older than 90 days. */
  async purge(): Promise<void> {
    await this.db.query(`DELETE FROM security_event WHERE created_at <= $1`, [this.oldest()]);
  }

  private oldest(): Date {
    return new Date(this.clock.now().getTime() - LIFE_SECONDS * 1000);
  }
}
