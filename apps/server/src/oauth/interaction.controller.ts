import {
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Param,
  Post,
  Req,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure, FinishInteraction, type InteractionDetails } from '#lib/protocol';
import { Session } from '../accounts/session.guard.ts';
import { AuthorityService } from './authority.service.ts';
import { errors } from './oidc-provider.ts';
import { SessionIfSentGuard } from './session-if-sent.guard.ts';

const KEYS_JWE = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]*){4}$/;

/** Where an account answers an app's request for authorization: docs/protocol/oauth.md */
@Controller('oauth2/interaction/:id')
export class InteractionController {
  constructor(private readonly authority: AuthorityService) {}

  @Get('details')
  @Header('cache-control', 'no-store')
  async details(
    @Param('id') id: string,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InteractionDetails> {
    const { uid, params } = await this.interaction(id, request, reply);
    const client = await this.authority.provider.Client.find(text(params.client_id));
    if (!client) throw new Failure('unknown-client', 'The app is gone.');
    return {
      uid,
      client: { client_id: client.clientId, name: client.clientName ?? client.clientId },
      redirect_uri: text(params.redirect_uri),
      scopes: text(params.scope).split(' ').filter(Boolean),
      ...(params.keys_jwk !== undefined && { keys_jwk: text(params.keys_jwk) }),
    };
  }

  @Post('finish')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @UseGuards(SessionIfSentGuard)
  async finish(
    @Param('id') id: string,
    @Session() session: Session | undefined,
    @Body({ schema: FinishInteraction }) { consent, keys_jwe: keysJwe }: FinishInteraction,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ redirect: string }> {
    const { provider } = this.authority;
    const interaction = await this.interaction(id, request, reply);
    if (!consent) {
      const refused = { error: 'access_denied', error_description: 'The account refused.' };
      // Also of somebody who did not say who they are: they just go back.
      return { redirect: await provider.interactionResult(request.raw, reply.raw, refused) };
    }
    if (!session) throw new Failure('unauthenticated', 'A session must consent.');
    if (!session.verified) {
      throw new Failure('unverified-account', 'The address is not verified yet.');
    }
    const { params } = interaction;
    const wantsKeys = params.keys_jwk !== undefined;
    if (wantsKeys !== (keysJwe !== undefined) || (keysJwe && !KEYS_JWE.test(keysJwe))) {
      throw new Failure(
        'invalid-parameter',
        wantsKeys
          ? 'keys_jwe must hold the keys that the app asked for.'
          : 'No keys were asked for.',
      );
    }
    const grantId = await this.authority.grant(session, {
      clientId: text(params.client_id),
      scope: text(params.scope),
      audiences: [params.resource ?? []].flat() as string[],
      keysJwe,
    });
    if (interaction.session && interaction.session.accountId !== session.uid) {
      // Another account of this browser: without this, the library would show a log-out form.
      await this.authority.forgetBrowser(interaction.session.uid);
      delete interaction.session;
      await interaction.persist();
    }
    const result = {
      login: { accountId: session.uid, ts: session.authAt, acr: 'AAL1', amr: ['pwd'] },
      consent: { grantId },
    };
    return { redirect: await provider.interactionResult(request.raw, reply.raw, result) };
  }

  /**
   * The interaction that this browser began, by the cookie it got for it. Knowing the id is not
   * enough: an attacker could begin one, have the victim finish it, and go on alone.
   */
  private async interaction(id: string, request: FastifyRequest, reply: FastifyReply) {
    try {
      const found = await this.authority.provider.interactionDetails(request.raw, reply.raw);
      if (found.uid === id) return found;
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
    }
    throw new Failure('invalid-parameter', 'This browser did not begin this authorization.');
  }
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '');
