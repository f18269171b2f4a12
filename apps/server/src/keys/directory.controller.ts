import { Body, Controller, Get, Header, Headers, HttpCode, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Discover, LookUp, type PublicKeys, Uid } from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { type Preconditions, unlessKnown } from './conditions.ts';
import { DirectoryService } from './directory.service.ts';
import { LooksUp, SeenAlready } from './look-up.guard.ts';
import type { Seen } from './look-ups.ts';

/** Bytes. An answer about several people is padded to whole buckets, so that its length tells little. */
const BUCKET = 32_768;

/** Key Service, other people: docs/protocol/keys.md */
@Controller('keys/v1')
export class DirectoryController {
  constructor(private readonly directory: DirectoryService) {}

  @Get('users/:uid')
  @Header('cache-control', 'private, max-age=60')
  @Header('vary', 'Authorization') // of another app or account, the answer is another
  @LooksUp('keys:discover')
  async user(
    @Caller() caller: Grant,
    @SeenAlready() seen: Seen | undefined,
    @Param('uid', { schema: Uid }) uid: string,
    @Headers() headers: Preconditions,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PublicKeys | undefined> {
    return unlessKnown(await this.directory.of(uid, caller, seen), headers, reply);
  }

  @Post('lookups')
  @HttpCode(200)
  @Header('cache-control', 'no-store')
  @Header('content-type', 'application/json; charset=utf-8')
  @Requires('keys', 'keys:discover')
  async lookUp(
    @Caller() caller: Grant,
    @Body({ schema: LookUp }) { uids }: LookUp,
  ): Promise<string> {
    return padded(await this.directory.lookUp(uids, caller));
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
    return padded(await this.directory.discover(emails, caller));
  }
}

function padded(answer: object): string {
  const text = JSON.stringify(answer);
  // Space after a JSON value means nothing; what is in it is ASCII, so a character is a byte.
  return text.padEnd(Math.ceil(text.length / BUCKET) * BUCKET);
}
