import { randomBytes } from 'node:crypto';
import { Controller, Get, HttpCode, Post } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';

/** What monitors and old clients ask an auth server of FxA: docs/protocol/accounts.md */
@Controller(['auth/v1', 'auth'])
export class ServiceInfoController {
  constructor(@InjectDataSource() private readonly db: DataSource) {}

  @Get(['', '__version__'])
  version(): { version: string; source: string } {
    // Of the protocol. Which build it is, strangers need not know.
    return { version: '1', source: 'lockstep' };
  }

  /** Answers 503 while the database is away. */
  @Get('__heartbeat__')
  async heartbeat(): Promise<Record<string, never>> {
    await this.db.query('SELECT 1');
    return {};
  }

  @Get('__lbheartbeat__')
  balancer(): Record<string, never> {
    return {};
  }

  @Post('get_random_bytes')
  @HttpCode(200)
  random(): { data: string } {
    return { data: randomBytes(32).toString('hex') };
  }
}
