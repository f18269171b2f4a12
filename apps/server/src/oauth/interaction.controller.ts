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
import { provenAt } from '../accounts/proofs.guard.ts';
import { Session } from '../accounts/session.guard.ts';
import { Clock } from '../platform/clock.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AnswersService } from './answers.service.ts';
import { type AppParams, text } from './app-params.ts';
import { AuthorityService } from './authority.service.ts';
import { errors } from './oidc-provider.ts';
import { SameOriginGuard } from './same-origin.guard.ts';
import { SessionIfSentGuard } from './session-if-sent.guard.ts';

/** Where an account answers an app's request for authorization: docs/protocol/oauth.md */
@Controller('oauth2/interaction/:id')
@UseGuards(SameOriginGuard, SessionIfSentGuard)
export class InteractionController {
  constructor(
    private readonly authority: AuthorityService,
    private readonly answers: AnswersService,
    private readonly clock: Clock,
  ) {}

  @Get('details')
  @Header('cache-control', 'no-store')
  async details(
    @Param('id') id: string,
    @Session() session: Session | undefined,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<InteractionDetails> {
    const { uid, params } = await this.interaction(id, request, reply);
    const { granted, ...asked } = await this.answers.asked(uid, params, session);
    return {
      ...asked,
      // Who asks for consent in so many words wants the whole page.
      ...(granted && !isPrompted(params, 'consent') && { granted }),
      redirect_uri: text(params['redirect_uri']),
      fresh: isPrompted(params, 'login') || params['max_age'] !== undefined,
    };
  }

  @Post('finish')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  async finish(
    @Param('id') id: string,
    @Session() session: Session | undefined,
    @Body({ schema: FinishInteraction }) answer: FinishInteraction,
    @From() from: Visitor,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<{ redirect: string }> {
    const { provider } = this.authority;
    const interaction = await this.interaction(id, request, reply);
    if (!answer.consent) {
      const refused = { error: 'access_denied', error_description: 'The account refused.' };
      // Also of somebody who did not say who they are: they just go back.
      return { redirect: await provider.interactionResult(request.raw, reply.raw, refused) };
    }
    if (session) this.expectFresh(session, interaction);
    const { grantId, uid, signIn } = await this.answers.grant(
      session,
      interaction.params,
      answer,
      from,
    );
    if (interaction.session && interaction.session.accountId !== uid) {
      // Another account of this browser: without this, the library would show a log-out form.
      await this.authority.forgetBrowser(interaction.session.uid);
      delete interaction.session;
      await interaction.persist();
    }
    const result = { login: { accountId: uid, ...signIn }, consent: { grantId } };
    return { redirect: await provider.interactionResult(request.raw, reply.raw, result) };
  }

  /** The provider takes our word for the sign-in, however old it is (OpenID Connect Core §3.1.2.1). */
  private expectFresh(session: Session, { params, iat }: { params: AppParams; iat: number }): void {
    const { max_age: maxAge } = params;
    const at = provenAt(session) ?? 0;
    const isOld =
      (isPrompted(params, 'login') && at < iat) ||
      (maxAge !== undefined && this.clock.seconds() - at > Number(maxAge));
    if (isOld)
      throw new Failure(
        'stale-auth',
        'The password and, where there is one, the second factor must be given again.',
      );
  }

  /** The app may have lost an address, or itself, since it asked: nothing is sent to whoever has that now. */
  private async expectStillThere({ client_id: id, redirect_uri: uri }: AppParams): Promise<void> {
    const client = await this.authority.provider.Client.find(text(id));
    if (client?.redirectUriAllowed(text(uri)) === true) return;
    throw new Failure('unknown-client', 'The app is gone, or not at this address any more.');
  }

  /**
   * The interaction that this browser began, by the cookie it got for it. Knowing the id is not
   * enough: an attacker could begin one, have the victim finish it, and go on alone.
   */
  private async interaction(id: string, request: FastifyRequest, reply: FastifyReply) {
    try {
      const found = await this.authority.provider.interactionDetails(request.raw, reply.raw);
      if (found.uid === id) {
        await this.expectStillThere(found.params);
        return found;
      }
    } catch (error) {
      if (!(error instanceof errors.SessionNotFound)) throw error;
    }
    throw new Failure('invalid-parameter', 'This browser did not begin this authorization.');
  }
}

/** Whether the app asks for this in so many words. */
const isPrompted = (params: AppParams, prompt: 'consent' | 'login') =>
  text(params['prompt']).split(' ').includes(prompt);
