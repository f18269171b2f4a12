import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { FastifyInstance } from 'fastify';
import { EventsModule } from '../events/events.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { MailModule } from '../mail/mail.module.ts';
import { Clock } from '../platform/clock.ts';
import { AccountEntity } from './account.entity.ts';
import { AccountsController } from './accounts.controller.ts';
import { AccountsService } from './accounts.service.ts';
import { CredentialsService } from './credentials.service.ts';
import { EmailCodeEntity } from './email-code.entity.ts';
import { HawkService } from './hawk.service.ts';
import { InvitationEntity } from './invitation.entity.ts';
import { InvitationsService } from './invitations.service.ts';
import { KeyFetchTokenEntity } from './key-fetch-token.entity.ts';
import { KeyFetchStrategy } from './key-fetch.guard.ts';
import { PasswordsService } from './passwords.service.ts';
import { StepUpService } from './recently-proved.guard.ts';
import { SecurityEventsController } from './security-events.controller.ts';
import { ServiceInfoController } from './service-info.controller.ts';
import { SessionEntity } from './session.entity.ts';
import { AnySessionStrategy, SessionStrategy } from './session.guard.ts';
import { SessionsController } from './sessions.controller.ts';
import { SessionsService } from './sessions.service.ts';
import { UnblockCodeEntity } from './unblock-code.entity.ts';
import { UnblockController } from './unblock.controller.ts';
import { UnblockService } from './unblock.service.ts';
import { VerificationService } from './verification.service.ts';

@Module({
  imports: [
    EventsModule,
    LimitsModule,
    MailModule,
    TypeOrmModule.forFeature([
      AccountEntity,
      SessionEntity,
      KeyFetchTokenEntity,
      EmailCodeEntity,
      InvitationEntity,
      UnblockCodeEntity,
    ]),
  ],
  controllers: [
    AccountsController,
    SecurityEventsController,
    SessionsController,
    UnblockController,
    ServiceInfoController,
  ],
  providers: [
    AccountsService,
    AnySessionStrategy,
    CredentialsService,
    HawkService,
    InvitationsService,
    KeyFetchStrategy,
    PasswordsService,
    SessionsService,
    SessionStrategy,
    StepUpService,
    UnblockService,
    VerificationService,
  ],
  exports: [
    AccountsService,
    AnySessionStrategy,
    CredentialsService,
    HawkService,
    InvitationsService,
    SessionsService,
    SessionStrategy,
    StepUpService,
    VerificationService,
  ],
})
export class AccountsModule implements OnModuleInit {
  constructor(
    private readonly adapters: HttpAdapterHost,
    private readonly clock: Clock,
  ) {}

  /**
   * FxA's clients learn the server's time from every answer, refusals included. No answer may be
   * kept by a cache: most hold a token, keys or an address.
   */
  onModuleInit(): void {
    const fastify = this.adapters.httpAdapter.getInstance<FastifyInstance>();
    fastify.addHook('onRequest', (request, reply, done) => {
      if (/^\/(auth|oauth\/v1)\//.test(request.url)) {
        reply.raw.setHeader('timestamp', String(this.clock.seconds()));
        reply.raw.setHeader('cache-control', 'no-store');
      }
      done();
    });
  }
}
