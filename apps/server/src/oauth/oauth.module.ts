import { Global, Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { AuthorityService } from './authority.service.ts';
import { BearerStrategy } from './bearer.guard.ts';
import { ClientsService } from './clients.service.ts';
import { FxaTokenController } from './fxa-token.controller.ts';
import { InteractionController } from './interaction.controller.ts';
import { ScopedKeyController } from './scoped-key.controller.ts';

/** Global: every API that takes a bearer token is guarded here. */
@Global()
@Module({
  imports: [AccountsModule],
  controllers: [InteractionController, ScopedKeyController, FxaTokenController],
  providers: [AuthorityService, BearerStrategy, ClientsService],
  exports: [BearerStrategy, ClientsService],
})
export class OAuthModule implements OnModuleInit {
  constructor(
    private readonly adapters: HttpAdapterHost,
    private readonly authority: AuthorityService,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.authority.start();
    const fastify = this.adapters.httpAdapter.getInstance<FastifyInstance>();
    await fastify.register((scope, _options, done) => {
      // A context of its own, where bodies stay unread: the authority reads the raw stream.
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser('*', (_request, _payload, parsed) => {
        parsed(null);
      });
      const handler = (request: FastifyRequest, reply: FastifyReply) => {
        reply.hijack();
        this.authority.handle(request.raw, reply.raw);
      };
      // The routes of the interaction are more specific, so they win over the first of these.
      scope.all('/oauth2/*', handler);
      scope.all('/.well-known/openid-configuration', handler);
      scope.all('/.well-known/oauth-authorization-server', handler);
      done();
    });
  }
}
