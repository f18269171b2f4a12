import { randomBytes } from 'node:crypto';
import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnModuleDestroy,
} from '@nestjs/common';
import { z } from 'zod';
import type { NodeHealth } from '#lib/protocol';
import { Config } from '../platform/config.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { SettingsService } from '../platform/settings.service.ts';

/** So that a front whose table was restored knows its nodes again. */
const AGAIN_MS = 60_000;
const RETRY_MS = 2000;

/** Who this node is; and tells the front that it is there, when it has one elsewhere. */
@Injectable()
export class NodeIdentityService implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger('node');
  private timer?: NodeJS.Timeout;
  private isEnding = false;

  constructor(
    private readonly config: Config,
    private readonly settings: SettingsService,
    private readonly client: NodeClientService,
  ) {}

  onApplicationBootstrap(): void {
    if (this.config.role === 'storage' && this.config.frontUrl !== undefined) this.plan(0);
  }

  onModuleDestroy(): void {
    this.isEnding = true;
    clearTimeout(this.timer);
  }

  async show(): Promise<NodeHealth> {
    const { role, nodeCapacity: capacity } = this.config;
    const name =
      role === 'storage'
        ? await this.settings.getOrMake('node-name', () => `node-${randomBytes(4).toString('hex')}`)
        : 'local';
    return { name, url: this.config.at(''), capacity };
  }

  private plan(ms: number): void {
    if (this.isEnding) return;
    this.timer = setTimeout(() => {
      this.register().then(
        () => {
          this.plan(AGAIN_MS);
        },
        (error: unknown) => {
          this.logger.warn({ event: 'not-registered', reason: String(error) });
          this.plan(RETRY_MS);
        },
      );
    }, ms).unref();
  }

  private async register(): Promise<void> {
    const body = await this.show();
    const front = this.config.frontUrl ?? '';
    await this.client.call(front, ['POST', '/nodes'], z.object({}), { body, ms: 10_000 });
  }
}
