import {
  applyDecorators,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { type ApiScope, Uid } from '#lib/protocol';
import {
  BearerGuard,
  BearerStrategy,
  type ReadToken,
  RequiresOf,
  type TokenPayload,
} from '../oauth/bearer.guard.ts';
import { runNamed } from '../platform/named-statement.ts';
import { LOOK_UP_BY_TOKEN, type Seen } from './look-ups.ts';

type LookUpRequest = FastifyRequest<{ Params: { uid?: string } }> & { seen?: Seen };

/** Reads a token, and by the same statement the keys that the path asks for. */
@Injectable()
export class LookUpStrategy extends BearerStrategy {
  protected override readonly read: ReadToken = async ([id, now], request) => {
    const asked = request as LookUpRequest;
    // What is no uid is refused later, but must not reach the database.
    const uid = Uid.safeParse(asked.params.uid).data ?? '';
    const [row] = await runNamed<{ payload: TokenPayload } & Seen>(this.db, {
      ...{ name: 'key-look-up-by-token', text: LOOK_UP_BY_TOKEN, values: [id, now, uid] },
    });
    if (row) asked.seen = row;
    return row;
  };
}

@Injectable()
class LookUpGuard extends BearerGuard {
  constructor(@Inject(LookUpStrategy) strategy: LookUpStrategy, reflector: Reflector) {
    super(strategy, reflector);
  }
}

/** As `Requires`, for a route whose parameter `uid` is looked up. */
export const LooksUp = (...scopes: ApiScope[]) =>
  applyDecorators(RequiresOf('keys', ...scopes), UseGuards(LookUpGuard));

/** What was read with the token; undefined when that was bound to a key. */
export const SeenAlready = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<LookUpRequest>().seen,
);
