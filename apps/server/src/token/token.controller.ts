import {
  All,
  Controller,
  Get,
  Header,
  Headers,
  Param,
  Query,
  Res,
  UseGuards,
} from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Failure, OLD_SYNC, scopesImply, type StorageToken, THUNDERBIRD_SYNC } from '#lib/protocol';
import { Caller, type Grant, Requires } from '../oauth/bearer.guard.ts';
import { Config } from '../platform/config.ts';
import { readKeyId, refusal } from './key-id.ts';
import { SchemeGuard } from './scheme.guard.ts';
import { TokenService } from './token.service.ts';

/** Token server 1.0: docs/protocol/token.md */
@Controller(['token/1.0', '1.0'])
export class TokenController {
  constructor(
    private readonly tokens: TokenService,
    private readonly config: Config,
  ) {}

  @Get('sync/1.5')
  @Requires('storage', 'storage', 'storage#read', OLD_SYNC, `${OLD_SYNC}#read`, THUNDERBIRD_SYNC)
  @UseGuards(SchemeGuard) // before the guard above: decorators run from below
  @Header('cache-control', 'no-store')
  async get(
    @Caller() caller: Grant,
    @Headers('x-keyid') keyId: string | undefined,
    @Headers('x-client-state') clientState: string | undefined,
    @Headers('accept') accept: string | undefined,
    @Query('duration') duration: unknown,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<StorageToken> {
    if (!takesJson(accept)) throw refusal('not-acceptable', 'Accept', 'There is JSON alone');
    const key = { ...readKeyId(keyId, clientState), generation: caller.generation };
    // Whatever clients speak a browser's scope share one store; any other app has its own.
    const browser = [OLD_SYNC, THUNDERBIRD_SYNC].find((scope) =>
      caller.scopes.some((held) => scopesImply([held], `${scope}#read`)),
    );
    const canWrite = browser
      ? scopesImply(caller.scopes, browser)
      : caller.scopes.includes('storage');
    const clientId = browser === OLD_SYNC ? '' : (browser ?? caller.clientId);
    const owner = { accountId: caller.uid, clientId };
    const asked = { seconds: this.seconds(duration), canWrite };
    const { token, backoff } = await this.tokens.visit(owner, key, asked);
    if (backoff > 0) void reply.header('x-backoff', String(backoff));
    return token;
  }

  /** Also the other methods of the path above. */
  @All(':application/:version')
  otherService(
    @Param('application') application: string,
    @Param('version') version: string,
  ): never {
    const isSync = application === 'sync';
    if (isSync && version === '1.5') {
      throw new Failure('method-not-allowed', 'A token is asked for by GET.', {
        extra: { location: 'method' },
      });
    }
    throw new Failure(
      'not-found',
      isSync ? 'Unsupported application version' : 'Unsupported application',
      { extra: { location: 'url', name: isSync ? version : 'application' } },
    );
  }

  /** Clients may ask for less than they would get; anything else they ask for is ignored. */
  private seconds(duration: unknown): number {
    const max = this.config.limits.storageTokenSeconds;
    const asked = typeof duration === 'string' && /^\d{1,9}$/.test(duration) ? Number(duration) : 0;
    return asked > 0 && asked < max ? asked : max;
  }
}

function takesJson(accept = ''): boolean {
  const types = accept.split(',').map((range) => (range.split(';')[0] ?? '').trim().toLowerCase());
  return types.some((type) => ['', '*/*', 'application/*', 'application/json'].includes(type));
}
