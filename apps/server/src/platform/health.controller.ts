import { type BeforeApplicationShutdown, Controller, Get, Header } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';

/** What a supervisor or a load balancer asks. */
@Controller()
export class HealthController implements BeforeApplicationShutdown {
  private isStopping = false;

  constructor(@InjectDataSource() private readonly db: DataSource) {}

  beforeApplicationShutdown(): void {
    this.isStopping = true;
  }

  /** The process is up. */
  @Get('healthz')
  @Header('cache-control', 'no-store')
  healthz(): { status: 'ok' } {
    return { status: 'ok' };
  }

  /** The process can serve: its database answers, and it is not about to stop. */
  @Get('readyz')
  @Header('cache-control', 'no-store')
  async readyz(): Promise<{ status: 'ready' }> {
    if (this.isStopping) throw new Failure('unavailable', 'The server is shutting down.');
    await this.db.query('SELECT 1');
    return { status: 'ready' };
  }
}
