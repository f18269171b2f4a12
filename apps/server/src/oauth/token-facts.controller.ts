import { Body, Controller, Get, HttpCode, Param, Post } from '@nestjs/common';
import {
  AskAboutToken,
  Failure,
  type FxaClient,
  type IntrospectedToken,
  type VerifiedToken,
} from '#lib/protocol';
import { AuthorityService } from './authority.service.ts';
import { ClientsService } from './clients.service.ts';
import { TokenFactsService } from './token-facts.service.ts';

/** What anybody may ask about tokens they hold, and about apps: docs/protocol/oauth.md */
@Controller(['auth/v1', 'auth/v1/oauth', 'oauth/v1'])
export class TokenFactsController {
  constructor(
    private readonly facts: TokenFactsService,
    private readonly authority: AuthorityService,
    private readonly clients: ClientsService,
  ) {}

  @Post('verify')
  @HttpCode(200)
  verify(@Body({ schema: AskAboutToken }) { token }: AskAboutToken): Promise<VerifiedToken> {
    return this.facts.verify(token);
  }

  @Post('introspect')
  @HttpCode(200)
  introspect(
    @Body({ schema: AskAboutToken }) { token }: AskAboutToken,
  ): Promise<IntrospectedToken> {
    return this.facts.introspect(token);
  }

  @Get('jwks')
  jwks() {
    return { keys: this.authority.publicKeys };
  }

  @Get('client/:id')
  async client(@Param('id') clientId: string): Promise<FxaClient> {
    const client = await this.clients.find(clientId);
    if (!client) {
      throw new Failure('unknown-client', 'There is no such app.', { extra: { clientId } });
    }
    return {
      id: client.client_id,
      name: client.client_name,
      trusted: client.trusted ?? false,
      image_uri: '',
      redirect_uri: client.redirect_uris[0] ?? '',
    };
  }
}
