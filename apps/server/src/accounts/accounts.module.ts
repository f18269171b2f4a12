import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import type { FastifyInstance } from 'fastify';
import { MailModule } from '../mail/mail.module.ts';
import { Clock } from '../platform/clock.ts';
import { AccountEntity } from './account.entity.ts';
import { AccountsController } from './accounts.controller.ts';
import { AccountsService } from './accounts.service.ts';
import { EmailCodeEntity } from './email-code.entity.ts';
import { HawkService } from './hawk.service.ts';
import { InvitationEntity } from './invitation.entity.ts';
import { InvitationsService } from './invitations.service.ts';
import { KeyFetchTokenEntity } from './key-fetch-token.entity.ts';
import { KeyFetchStrategy } from './key-fetch.guard.ts';
import { PasswordsService } from './passwords.service.ts';
import { SessionEntity } from './session.entity.ts';
import { SessionStrategy } from './session.guard.ts';
import { SessionsService } from './sessions.service.ts';
import { VerificationService } from './verification.service.ts';

@Module({
  imports: [
    MailModule,
    TypeOrmModule.forFeature([
      AccountEntity,
      SessionEntity,
      KeyFetchTokenEntity,
      EmailCodeEntity,
      InvitationEntity,
    ]),
  ],
  controllers: [AccountsController],
  providers: [
    AccountsService,
    HawkService,
    InvitationsService,
    KeyFetchStrategy,
    PasswordsService,
    SessionsService,
    SessionStrategy,
    VerificationService,
  ],
  exports: [
    AccountsService,
    InvitationsService,
    SessionsService,
    SessionStrategy,
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
      if (request.url.startsWith('/auth/')) {
        reply.raw.setHeader('timestamp', String(this.clock.seconds()));
        reply.raw.setHeader('cache-control', 'no-store');
      }
      done();
    });
  }
}
