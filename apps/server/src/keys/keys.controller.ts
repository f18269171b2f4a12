import {
  Body,
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  Post,
  Put,
  Query,
  type RawBodyRequest,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  ChangeKeySettings,
  Failure,
  type KeyHistory,
  KeyHistoryQuery,
  KEYS_LIMITS,
  type KeysConfig,
  type KeySettingsNow,
  type OwnKeys,
  type PublicKeys,
  PublishKeys,
  RevokeKey,
} from '#lib/protocol';
import { LimitsService } from '../limits/limits.service.ts';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { visitorOf } from '../platform/visitor.ts';
import { type Preconditions, unlessKnown } from './conditions.ts';
import { KeysService } from './keys.service.ts';
import { parseStrictly } from './strict-json.ts';

/** Key Service, what is one's own: docs/protocol/keys.md */
@Controller('keys/v1')
export class KeysController {
  constructor(
    private readonly keys: KeysService,
    private readonly limits: LimitsService,
    private readonly settings: SettingsService,
  ) {}

  @Get('config')
  @Header('cache-control', 'public, max-age=3600')
  async config(): Promise<KeysConfig> {
    return {
      realm: await this.settings.realm(),
      algorithms: ['HPKE-4-KE', 'HPKE-11-KE'],
      limits: { ...KEYS_LIMITS },
    };
  }

  @Put('me')
  @Requires('keys', 'keys:write')
  async publish(
    @Caller() caller: Grant,
    @Headers() headers: Preconditions,
    @Req() request: RawBodyRequest<FastifyRequest>,
    @Body({ schema: PublishKeys }) asked: PublishKeys,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicKeys> {
    const { 'if-match': ifMatch, 'if-none-match': ifNoneMatch } = headers;
    if (ifMatch === undefined && ifNoneMatch?.trim() !== '*') {
      throw new Failure(
        'precondition-required',
        'A first list says If-None-Match: *, any other If-Match with the entity tag it replaces.',
      );
    }
    if (ifMatch !== undefined && ifNoneMatch !== undefined) {
      throw new Failure('precondition-failed', 'Both conditions at once are never met.');
    }
    expectNoRepeats(request.rawBody);
    const { body, etag } =
      ifMatch === undefined
        ? await this.keys.publishFirst(caller, asked)
        : await this.keys.publishNext(caller, asked, ifMatch);
    void reply.header('etag', etag).status(ifMatch === undefined ? 201 : 200);
    return body;
  }

  @Get('me')
  @Header('cache-control', 'private, no-cache')
  @Header('vary', 'Authorization')
  @Requires('keys', 'keys:read')
  async own(
    @Caller() caller: Grant,
    @Headers() headers: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<OwnKeys | undefined> {
    return unlessKnown(await this.keys.own(caller), headers, reply);
  }

  @Get('me/history')
  @Header('cache-control', 'no-store')
  @Requires('keys', 'keys:read')
  history(
    @Caller() caller: Grant,
    @Query({ schema: KeyHistoryQuery }) query: KeyHistoryQuery,
  ): Promise<KeyHistory> {
    return this.keys.history(caller, query);
  }

  @Put('me/settings')
  @Requires('keys', 'keys:write')
  change(
    @Caller() caller: Grant,
    @Body({ schema: ChangeKeySettings }) asked: ChangeKeySettings,
  ): Promise<KeySettingsNow> {
    return this.keys.change(caller, asked);
  }

  /** No bearer: whoever lost every device has the paper. */
  @Post('revocations')
  @HttpCode(204)
  async revoke(
    @Req() request: FastifyRequest,
    @Body({ schema: RevokeKey }) asked: RevokeKey,
  ): Promise<void> {
    await this.limits.spend('revocation', { client: visitorOf(request).client });
    await this.keys.revoke(asked);
  }
}

function expectNoRepeats(body: Buffer | undefined): void {
  try {
    parseStrictly(body?.toString('utf8') ?? '');
  } catch (cause) {
    throw new Failure('malformed', 'The body names a member twice.', { cause });
  }
}
