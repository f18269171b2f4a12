import { Body, Controller, HttpCode, Post, UseGuards } from '@nestjs/common';
import {
  AskFxaCode,
  AskFxaToken,
  DestroyFxaToken,
  Failure,
  type FxaCode,
  type FxaToken,
} from '#lib/protocol';
import { Session, VerifiedSessionGuard } from '../accounts/session.guard.ts';
import { LimitsService } from '../limits/limits.service.ts';
import { From, type Visitor } from '../platform/visitor.ts';
import { AuthorityService } from './authority.service.ts';
import { FxaGrantsService } from './fxa-grants.service.ts';
import { SessionIfSentGuard } from './session-if-sent.guard.ts';

/** How browsers get and end tokens: docs/protocol/oauth.md */
@Controller(['auth/v1/oauth', 'oauth/v1'])
export class FxaTokenController {
  constructor(
    private readonly authority: AuthorityService,
    private readonly grants: FxaGrantsService,
    private readonly limits: LimitsService,
  ) {}

  @Post('authorization')
  @HttpCode(200)
  @UseGuards(VerifiedSessionGuard)
  async authorize(
    @Session() session: Session,
    @Body({ schema: AskFxaCode }) asked: AskFxaCode,
    @From() { client }: Visitor,
  ): Promise<FxaCode> {
    await this.limits.spend('authorize', { client, account: session.uid });
    return this.grants.authorize(session, asked);
  }

  @Post('token')
  @HttpCode(200)
  @UseGuards(SessionIfSentGuard)
  token(
    @Session() session: Session | undefined,
    @Body({ schema: AskFxaToken }) asked: AskFxaToken,
  ): Promise<FxaToken> {
    switch (asked.grant_type) {
      case 'authorization_code':
        return this.grants.redeem(asked, session);
      case 'refresh_token':
        return this.grants.refresh(asked);
      case 'fxa-credentials':
        return this.grants.fromSession(verified(session), asked);
      case 'urn:ietf:params:oauth:grant-type:token-exchange':
        return this.grants.exchange(asked);
    }
  }

  /** Ends a token, as the holder of it asks. An unknown one is as good as ended. */
  @Post('destroy')
  @HttpCode(200)
  async destroy(
    @Body({ schema: DestroyFxaToken }) asked: DestroyFxaToken,
  ): Promise<Record<string, never>> {
    await this.authority.endToken(asked.token ?? asked.access_token ?? asked.refresh_token ?? '');
    return {};
  }
}

function verified(session: Session | undefined): Session {
  if (!session) throw new Failure('unauthenticated', 'A session is needed.');
  if (!session.verified) {
    throw new Failure('unverified-account', 'The address is not verified yet.');
  }
  return session;
}
