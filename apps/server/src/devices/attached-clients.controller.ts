import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import { type AttachedClient, DestroyAttachedClient, DestroySession } from '#lib/protocol';
import { expectVerified } from '../accounts/proofs.guard.ts';
import { AnySessionGuard, Session, SessionGuard } from '../accounts/session.guard.ts';
import { SessionsService } from '../accounts/sessions.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AttachedClientsService } from './attached-clients.service.ts';
import { DevicesService } from './devices.service.ts';

/** Everything that is signed in to an account, and signing out: docs/protocol/devices.md */
@Controller('auth/v1')
export class AttachedClientsController {
  constructor(
    private readonly clients: AttachedClientsService,
    private readonly devices: DevicesService,
    private readonly sessions: SessionsService,
  ) {}

  @Get('account/attached_clients')
  @UseGuards(SessionGuard)
  list(@Session() session: Session): Promise<AttachedClient[]> {
    return this.clients.list(session);
  }

  @Post('account/attached_client/destroy')
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async destroy(
    @Session() session: Session,
    @Body({ schema: DestroyAttachedClient }) asked: DestroyAttachedClient,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.clients.destroy(session, asked, from);
    return {};
  }

  @Post('session/destroy')
  @HttpCode(200)
  @UseGuards(AnySessionGuard)
  async signOut(
    @Session() session: Session,
    @Body({ schema: DestroySession }) asked: DestroySession,
  ): Promise<Record<string, never>> {
    const { id, uid, awaitsFactor } = session;
    const other = asked?.customSessionToken;
    // Whoever has the password alone may go, and send nobody else away.
    if (other !== undefined && awaitsFactor) expectVerified(session);
    await this.devices.signOut(uid, () =>
      other === undefined ? this.sessions.end(id) : this.sessions.endOther(uid, other),
    );
    return {};
  }
}
