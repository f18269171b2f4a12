import { Controller, Get, Header } from '@nestjs/common';
import type { FxaClientConfiguration } from '#lib/protocol';
import { Config } from '../platform/config.ts';

/** Where browsers learn the addresses of everything: docs/protocol/oauth.md */
@Controller('.well-known')
export class DiscoveryController {
  constructor(private readonly config: Config) {}

  @Get('fxa-client-configuration')
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
}
