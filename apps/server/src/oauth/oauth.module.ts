import {
  Global,
  Module,
  type OnApplicationBootstrap,
  type OnModuleInit,
  type RawBodyRequest,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { AskAboutToken, Failure } from '#lib/protocol';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { EventsModule } from '../events/events.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { type LimitKind, LimitsService } from '../limits/limits.service.ts';
import { routeOf } from '../platform/requests.ts';
import { visitorOf } from '../platform/visitor.ts';
import { AnswersService } from './answers.service.ts';
import { AuthorityService } from './authority.service.ts';
import { BearerStrategy } from './bearer.guard.ts';
import { ClientsService } from './clients.service.ts';
import { ConnectedAppsController } from './connected-apps.controller.ts';
import { AppUsesService } from './app-uses.service.ts';
import { ConsentsService } from './consents.service.ts';
import { DeviceCodesService } from './device-codes.service.ts';
import { DeviceController } from './device.controller.ts';
import { DiscoveryController } from './discovery.controller.ts';
import { EraseGrantsService } from './erase-grants.service.ts';
import { FxaGrantsService } from './fxa-grants.service.ts';
import { FxaTokenController } from './fxa-token.controller.ts';
import { InteractionController } from './interaction.controller.ts';
import { LogoutNoticesService } from './logout-notices.service.ts';
import { PageTokenController } from './page-token.controller.ts';
import { PageTokensService } from './page-tokens.service.ts';
import { nothingHere } from './provider-failures.ts';
import { RefreshTokensService } from './refresh-tokens.service.ts';
import { ScopedKeyController } from './scoped-key.controller.ts';
import { ScopedKeysService } from './scoped-keys.service.ts';
import { SigningKeysService } from './signing-keys.service.ts';
import { TokenFactsController } from './token-facts.controller.ts';
import { TokenFactsService } from './token-facts.service.ts';

/** Global: every API that takes a bearer token is guarded here. */
@Global()
@Module({
  imports: [AccountsModule, DeletionModule, EventsModule, LimitsModule],
  controllers: [
    DiscoveryController,
    InteractionController,
    DeviceController,
    ConnectedAppsController,
    PageTokenController,
    ScopedKeyController,
    FxaTokenController,
    TokenFactsController,
  ],
  providers: [
    AnswersService,
    AuthorityService,
    BearerStrategy,
    ClientsService,
    AppUsesService,
    ConsentsService,
    DeviceCodesService,
    EraseGrantsService,
    FxaGrantsService,
    LogoutNoticesService,
    PageTokensService,
    RefreshTokensService,
    ScopedKeysService,
    SigningKeysService,
    TokenFactsService,
  ],
  exports: [
    AuthorityService,
    BearerStrategy,
    ClientsService,
    AppUsesService,
    ConsentsService,
    RefreshTokensService,
    ScopedKeysService,
  ],
})
export class OAuthModule implements OnModuleInit, OnApplicationBootstrap {
  constructor(
    private readonly adapters: HttpAdapterHost,
    private readonly authority: AuthorityService,
    private readonly facts: TokenFactsService,
    private readonly limits: LimitsService,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.authority.start();
    const fastify = this.adapters.httpAdapter.getInstance<FastifyInstance>();
    const handler = (request: FastifyRequest, reply: FastifyReply) => {
      if (!SPELLED.test(request.raw.url ?? '')) throw nothingHere;
      reply.hijack();
      this.authority.handle(request.raw, reply.raw);
    };
    await fastify.register((scope, _options, done) => {
      leaveUnread(scope);
      // The routes of the interaction are more specific, so they win over the first of these.
      scope.all('/oauth2/*', handler);
      const limited = (kind: LimitKind) => async (request: FastifyRequest, reply: FastifyReply) => {
        await this.limits.spend(kind, { client: visitorOf(request).client });
        handler(request, reply);
        return reply;
      };
      // `/oauth2/authorize` is limited in discovery.controller.ts.
      scope.post('/oauth2/par', limited('ask-to-authorize'));
      // Whoever fishes with codes needs many of them.
      scope.post('/oauth2/device_authorization', limited('device'));
      scope.all('/.well-known/openid-configuration', handler);
      scope.all('/.well-known/oauth-authorization-server', handler);
      done();
    });
    await fastify.register((scope, _options, done) => {
      leaveUnread(scope);
      scope.addContentTypeParser(
        'application/json',
        { parseAs: 'string' },
        (_request, text, parsed) => {
          parsed(null, text);
        },
      );
      // Phones find its address by discovery, and ask in the words of Firefox Accounts: in JSON.
      scope.post('/oauth2/introspect', (request, reply) => {
        if (typeof request.body !== 'string') {
          handler(request, reply);
          return reply;
        }
        return this.facts.introspect(tokenIn(request.body));
      });
      done();
    });
  }

  /** When the pages have seen to it that no API takes forms. */
  onApplicationBootstrap(): void {
    this.adapters.httpAdapter
      .getInstance<FastifyInstance>()
      .addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'buffer' },
        (request: RawBodyRequest<FastifyRequest>, body: Buffer, parsed) => {
          if (!TAKES_FORMS.test(routeOf(request))) {
            parsed(new Failure('unsupported-media-type', 'There is no form for this.'));
            return;
          }
          request.rawBody = body;
          parsed(null, Object.fromEntries(new URLSearchParams(body.toString())));
        },
      );
  }
}

/**
 * oidc-provider takes capitals, and a slash at the end, for the same address: what is counted and added
 * here would not be.
 */
const SPELLED = /^\/(?:oauth2\/[a-z_]+(?:\/[\w-]+)?|\.well-known\/[a-z-]+)(?:\?|$)/;

/** Where OAuth allows forms (RFC 6749 §4.1.3); nothing there goes by a cookie. */
const TAKES_FORMS = /^\/(?:auth\/v1\/oauth|oauth\/v1)\/(?:token|destroy)$/;

/** The bodies of this context stay unread: the authority reads the raw stream. */
function leaveUnread(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser('*', (_request, _payload, parsed) => {
    parsed(null);
  });
}

function tokenIn(json: string): string {
  try {
    return AskAboutToken.parse(JSON.parse(json)).token;
  } catch (cause) {
    throw new Failure('invalid-parameter', 'The token is missing.', { cause });
  }
}
