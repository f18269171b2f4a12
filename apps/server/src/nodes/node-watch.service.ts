import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { NodeHealth } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { NodesService } from './nodes.service.ts';
import type { StorageNodeEntity } from './storage-node.entity.ts';

const INTERVAL_MS = 10_000;
/** A node registers while it starts, a moment before it answers. */
const SOON_MS = 300;
const PATIENCE_MS = 5000;

/** Asks each node again and again whether it is there; one that is silent gets nobody new. */
@Injectable()
export class NodeWatchService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('nodes');
  private timer?: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();
  private isEnding = false;
  private readonly silent = new Set<string>();

  constructor(
    private readonly nodes: NodesService,
    private readonly client: NodeClientService,
    private readonly clock: Clock,
  ) {}

  onApplicationBootstrap(): void {
    this.plan(0);
  }

  async onModuleDestroy(): Promise<void> {
    this.isEnding = true;
    clearTimeout(this.timer);
    await this.running;
  }

  /** Asks shortly, and not only when it is time. */
  hurry(): void {
    this.plan(SOON_MS);
  }

  /** Asks each of them now. */
  async check(): Promise<void> {
    const nodes = await this.nodes.list();
    await Promise.all(nodes.filter(({ url }) => url !== null).map((node) => this.ask(node)));
  }

  private plan(ms: number): void {
    clearTimeout(this.timer);
    if (this.isEnding) return;
    this.timer = setTimeout(() => {
      this.running = this.check()
        .catch((error: unknown) => {
          this.logger.warn({ event: 'nodes-unknown', error: String(error) });
        })
        .finally(() => {
          this.plan(this.silent.size > 0 ? SOON_MS * 5 : INTERVAL_MS);
        });
    }, ms).unref();
  }

  private async ask(node: StorageNodeEntity): Promise<void> {
    const { name } = node;
    try {
      const address = this.nodes.addressOf(node);
      const answer = await this.client.call(address, ['GET', '/health'], NodeHealth, {
        ms: PATIENCE_MS,
      });
      if (answer.name !== name) throw new Error(`The node at its address is ${answer.name}.`);
      await this.nodes.set(name, { seenAt: this.clock.now() });
      if (this.silent.delete(name)) this.logger.log({ event: 'node-back', node: name });
    } catch (error) {
      if (this.silent.has(name) || this.isEnding) return;
      this.silent.add(name);
      this.logger.warn({ event: 'node-away', node: name, reason: String(error) });
    }
  }
}
