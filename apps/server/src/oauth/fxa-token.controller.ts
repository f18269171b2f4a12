import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import { AskFxaToken, DestroyFxaToken, Failure, type FxaToken } from '#lib/protocol';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { AuthorityService, sessionEnded } from './authority.service.ts';
import { ClientsService } from './clients.service.ts';
import { errors } from './oidc-provider.ts';
import { ACCESS_TOKEN_SECONDS, audiencesOf, resourceServer } from './resources.ts';

/** The calls by which Firefox gets tokens for itself, with its session. */
@Controller('auth/v1/oauth')
export class FxaTokenController {
  constructor(
    private readonly authority: AuthorityService,
    private readonly clients: ClientsService,
  ) {}

  /** @throws Failure `unknown-client`, `invalid-scopes` when they are unknown or of several APIs */
  @Post('token')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  async token(
    @Session() session: Session,
    @Body({ schema: AskFxaToken }) asked: AskFxaToken,
  ): Promise<FxaToken> {
    const { provider } = this.authority;
    const metadata = await this.clients.find(asked.client_id);
    const client = metadata && (await provider.Client.find(asked.client_id));
    if (!metadata || !client) {
      throw new Failure('unknown-client', 'There is no such app.', {
        extra: { clientId: asked.client_id },
      });
    }
    const { scope } = asked;
    const scopes = scope.split(' ');
    const allowed = metadata.scope.split(' ');
    const invalidScopes = scopes.filter((name) => !allowed.includes(name));
    const audiences = audiencesOf(scopes);
    if (invalidScopes.length > 0 || audiences.length > 1) {
      throw new Failure('invalid-scopes', 'The app may not have these scopes in one token.', {
        extra: { invalidScopes },
      });
    }
    const info = resourceServer(audiences[0] ?? '', asked.ttl);
    const seconds = info?.accessTokenTTL ?? ACCESS_TOKEN_SECONDS;
    // Firefox asks every few hours: a grant that outlived its one token would be kept for a year.
    const clientId = client.clientId;
    const grantId = await this.authority.grant(session, { clientId, scope, seconds });
    const token = new provider.AccessToken({
      accountId: session.uid,
      client,
      grantId,
      gty: 'fxa-credentials',
      scope,
    });
    if (info?.audience) token.resourceServer = new provider.ResourceServer(info.audience, info);
    const value = await token.save().catch((error: unknown) => {
      throw error instanceof errors.InvalidGrant ? sessionEnded() : error;
    });
    return {
      access_token: value,
      token_type: 'bearer',
      scope,
      expires_in: seconds,
      auth_at: session.authAt,
    };
  }

  /** Ends one token, as the holder of it asks. An unknown one is as good as ended. */
  @Post('destroy')
  @HttpCode(200)
  async destroy(
    @Body({ schema: DestroyFxaToken }) asked: DestroyFxaToken,
  ): Promise<Record<string, never>> {
    const { AccessToken, RefreshToken } = this.authority.provider;
    const value = asked.token ?? asked.access_token ?? asked.refresh_token ?? '';
    const token = (await AccessToken.find(value)) ?? (await RefreshToken.find(value));
    await token?.destroy();
    return {};
  }
}
