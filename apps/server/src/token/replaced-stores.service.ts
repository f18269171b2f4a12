import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, IsNull } from 'typeorm';
import { StoreChanged } from '#lib/protocol';
import { NodesService } from '../nodes/nodes.service.ts';
import { Clock } from '../platform/clock.ts';
import { RepeatedJob } from '../platform/repeated-job.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';

const INTERVAL_MS = 60_000;
const PATIENCE_MS = 10_000;

/** Tells nodes which stores nobody will come back to; a node then refuses and deletes them. */
@Injectable()
export class ReplacedStoresService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('nodes');
  private readonly job = new RepeatedJob(
    () => this.tellAll(),
    (error) => {
      this.logger.warn({ event: 'replaced-stores-wait', reason: String(error) });
    },
  );

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly nodes: NodesService,
    private readonly client: NodeClientService,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.job.start(INTERVAL_MS);
  }

  onModuleDestroy(): Promise<void> {
    return this.job.stop();
  }

  /** Begins now, after what is under way. */
  hurry(): void {
    this.job.hurry();
  }

  /** Resolves when every node that is there has been told. */
  settled(): Promise<void> {
    return this.job.settled();
  }

  private async tellAll(): Promise<void> {
    const rows = await this.db.query<{ uid: number; node: string }[]>(
      `SELECT uid, node FROM storage_user u
        WHERE replaced_at IS NOT NULL AND purged_at IS NULL
          AND NOT EXISTS (SELECT FROM store_move m WHERE m.uid = u.uid) ORDER BY uid`,
    );
    for (const { uid, node } of rows) {
      if (this.job.signal.aborted) return;
      await this.tell(uid, node).catch((error: unknown) => {
        this.logger.warn({ event: 'replaced-store-waits', uid, node, reason: String(error) });
      });
    }
  }

  private async tell(uid: number, name: string): Promise<void> {
    const node = await this.nodes.find(name);
    if (node) {
      const path = `/stores/${uid}`;
      const body = { state: 'gone' };
      await this.client.call(this.nodes.addressOf(node), ['PUT', path], StoreChanged, {
        ...{ body, ms: PATIENCE_MS },
      });
    }
    await this.db.transaction(async (tx) => {
      const notYet = { uid, purgedAt: IsNull() };
      const now = { purgedAt: this.clock.now() };
      const { affected } = await tx.update(StorageUserEntity, notYet, now);
      // Another process of the front may have told it at the same moment.
      if (affected !== 0) await this.nodes.release(tx, name);
    });
  }
}
