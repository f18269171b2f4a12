import { Controller, Get, UseGuards } from '@nestjs/common';
import type { SecurityEvent } from '#lib/protocol';
import { EventsService } from '../events/events.service.ts';
import { Session, SessionGuard } from './session.guard.ts';

/** What happened to the account, for its owner. */
@Controller('auth/v1/securityEvents')
@UseGuards(SessionGuard)
export class SecurityEventsController {
  constructor(private readonly events: EventsService) {}

  @Get()
  list(@Session() { uid }: Session): Promise<SecurityEvent[]> {
    return this.events.list(uid);
  }
}
