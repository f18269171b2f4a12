import { Controller, Get, Header, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FxaClientConfiguration } from '#lib/protocol';
import { LimitsService } from '../limits/limits.service.ts';
import { Config } from '../platform/config.ts';
import { visitorOf } from '../platform/visitor.ts';
import { AuthorityService } from './authority.service.ts';
import { ClientsService } from './clients.service.ts';

/** Where browsers learn the addresses of everything: docs/protocol/oauth.md */
@Controller()
export class DiscoveryController {
  constructor(
    private readonly config: Config,
    private readonly clients: ClientsService,
    private readonly authority: AuthorityService,
    private readonly limits: LimitsService,
  ) {}

  @Get('.well-known/fxa-client-configuration')
  @Header('access-control-allow-origin', '*')
  configuration(): FxaClientConfiguration {
    const { protocol, host } = this.config.publicUrl;
    return {
      auth_server_base_url: this.config.at('/auth'),
      oauth_server_base_url: this.config.at('/oauth'),
      profile_server_base_url: this.config.at('/profile'),
      sync_tokenserver_base_url: this.config.at('/token'),
      // Browsers drop any path of it.
      pairing_server_base_uri: `${protocol === 'https:' ? 'wss:' : 'ws:'}//${host}`,
    };
  }

  /**
   * The standard's endpoint, which phones take for the address of the sign-in page: with their own
   * parameters, and perhaps without a redirect URI.
   */
  @Get('oauth2/authorize')
  async authorize(
    @Query('client_id') clientId: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const client = typeof clientId === 'string' ? await this.clients.find(clientId) : undefined;
    if (client?.trusted) {
      const { search } = new URL(request.url, this.config.publicUrl);
      await reply.redirect(`${this.config.at('/')}${search}`, 302);
      return;
    }
    await this.limits.spend('ask-to-authorize', { client: visitorOf(request).client });
    reply.hijack();
    this.authority.handle(request.raw, reply.raw);
  }
}
