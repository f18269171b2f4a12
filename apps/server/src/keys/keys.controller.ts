import {
  Body,
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  Param,
  Post,
  Put,
  type RawBodyRequest,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  Discover,
  Failure,
  type KeysConfig,
  type OwnKeys,
  type PublicKeys,
  PublishKeys,
  Uid,
} from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { isKnown } from '../platform/etags.ts';
import { SettingsService } from '../platform/settings.service.ts';
import { KeysService, type Tagged } from './keys.service.ts';
import { parseStrictly } from './strict-json.ts';

/** Bytes. An answer about several people is padded to whole buckets, so that its length tells little. */
const BUCKET = 32_768;

/** Key Service: docs/protocol/keys.md */
@Controller('keys/v1')
export class KeysController {
  constructor(
    private readonly keys: KeysService,
    private readonly settings: SettingsService,
  ) {}

  @Get('config')
  @Header('cache-control', 'public, max-age=3600')
  async config(): Promise<KeysConfig> {
    return { realm: await this.settings.realm() };
  }

  @Put('me')
  @HttpCode(201)
  @Requires('keys', 'keys:write')
  async publish(
    @Caller() caller: Grant,
    @Headers() headers: Preconditions,
    @Req() request: RawBodyRequest<FastifyRequest>,
    @Body({ schema: PublishKeys }) asked: PublishKeys,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicKeys> {
    if (headers['if-match'] !== undefined) {
      throw new Failure('precondition-failed', 'A published list cannot be replaced yet.');
    }
    if (headers['if-none-match']?.trim() !== '*') {
      throw new Failure('precondition-required', 'A first publication says If-None-Match: *.');
    }
    expectNoRepeats(request.rawBody);
    const { body, etag } = await this.keys.publish(caller, asked);
    void reply.header('etag', etag);
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

  @Get('users/:uid')
  @Header('cache-control', 'private, max-age=60')
  @Header('vary', 'Authorization') // of another app or account, the answer is another
  @Requires('keys', 'keys:discover')
  async user(
    @Caller() caller: Grant,
    @Param('uid', { schema: Uid }) uid: string,
    @Headers() headers: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicKeys | undefined> {
    return unlessKnown(await this.keys.of(uid, caller), headers, reply);
  }

  @Post('discoveries')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @Header('content-type', 'application/json; charset=utf-8')
  @Requires('keys', 'keys:discover')
  async discover(
    @Caller() caller: Grant,
    @Body({ schema: Discover }) { emails }: Discover,
  ): Promise<string> {
    const text = JSON.stringify(await this.keys.discover(emails, caller));
    // Space after a JSON value means nothing; what is in it is ASCII, so a character is a byte.
    return text.padEnd(Math.ceil(text.length / BUCKET) * BUCKET);
  }
}

interface Preconditions {
  'if-match'?: string;
  'if-none-match'?: string;
}

function expectNoRepeats(body: Buffer | undefined): void {
  try {
    parseStrictly(body?.toString('utf8') ?? '');
  } catch (cause) {
    throw new Failure('malformed', 'The body names a member twice.', { cause });
  }
}

/** 304 for the version that the caller has. */
function unlessKnown<T>(
  { body, etag }: Tagged<T>,
  headers: Preconditions,
  reply: FastifyReply,
): T | undefined {
  void reply.header('etag', etag);
  if (!isKnown(headers['if-none-match'], etag)) return body;
  void reply.status(304);
  return undefined;
}
