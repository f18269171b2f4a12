import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import { type AttachedClient, DestroyAttachedClient } from '#lib/protocol';
import { Session, SessionGuard } from '../accounts/session.guard.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AttachedClientsService } from './attached-clients.service.ts';

/** Everything that is signed in to an account: docs/protocol/devices.md */
@Controller('auth/v1/account')
@UseGuards(SessionGuard)
export class AttachedClientsController {
  constructor(private readonly clients: AttachedClientsService) {}

  @Get('attached_clients')
  list(@Session() session: Session): Promise<AttachedClient[]> {
    return this.clients.list(session);
  }

  @Post('attached_client/destroy')
  @HttpCode(200)
  async destroy(
    @Session() session: Session,
    @Body({ schema: DestroyAttachedClient }) asked: DestroyAttachedClient,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.clients.destroy(session, asked, from);
    return {};
  }
}
