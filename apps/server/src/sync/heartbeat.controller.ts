import { Controller, Get, Header } from '@nestjs/common';
import { Statements } from './statements.ts';

/** What load balancers ask storage nodes for, by the names that other servers have for it. */
@Controller()
export class HeartbeatController {
  constructor(private readonly statements: Statements) {}

  /** The node can serve: its database answers. */
  @Get('__heartbeat__')
  @Header('cache-control', 'no-store')
  async heartbeat(): Promise<{ status: 'Ok' }> {
    await this.statements.run('SELECT 1 AS one', []);
    return { status: 'Ok' };
  }

  /** The process is up. */
  @Get('__lbheartbeat__')
  @Header('cache-control', 'no-store')
  lbheartbeat(): object {
    return {};
  }
}
