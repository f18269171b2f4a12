import { Body, Controller, Get, HttpCode, Post, UseGuards } from '@nestjs/common';
import { type ConnectedApp, RevokeApp } from '#lib/protocol';
import { Session, SessionGuard } from '../accounts/session.guard.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { ConsentsService } from './consents.service.ts';

/** The apps that an account let in, for its owner: docs/protocol/oauth.md */
@Controller('auth/v1/account/connected_apps')
@UseGuards(SessionGuard)
export class ConnectedAppsController {
  constructor(private readonly consents: ConsentsService) {}

  @Get()
  list(@Session() { uid }: Session): Promise<ConnectedApp[]> {
    return this.consents.list(uid);
  }

  @Post('revoke')
  @HttpCode(200)
  async revoke(
    @Session() { uid }: Session,
    @Body({ schema: RevokeApp }) { client_id: clientId }: RevokeApp,
    @From() from: Visitor,
  ): Promise<Record<string, never>> {
    await this.consents.revoke(uid, clientId, from);
    return {};
  }
}
