import { Body, Controller, Header, HttpCode, Post, UseGuards } from '@nestjs/common';
import { AskPageToken, type PageToken } from '#lib/protocol';
import { RecentlyProvedGuard } from '../accounts/recently-proved.guard.ts';
import { Session } from '../accounts/session.guard.ts';
import { PageTokensService } from './page-tokens.service.ts';

/** For the pages on which somebody looks after the keys of an app: docs/protocol/oauth.md */
@Controller('auth/v1/account/connected_apps/token')
@UseGuards(RecentlyProvedGuard)
export class PageTokenController {
  constructor(private readonly tokens: PageTokensService) {}

  @Post()
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  issue(
    @Session() session: Session,
    @Body({ schema: AskPageToken }) asked: AskPageToken,
  ): Promise<PageToken> {
    return this.tokens.issue(session, asked);
  }
}
