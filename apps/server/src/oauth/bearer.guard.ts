import {
  applyDecorators,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { PassportStrategy } from '@nestjs/passport';
import { InjectDataSource } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { type Api, type ApiScope, audiences, Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { runNamed } from '../platform/named-statement.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';
import { hashOf } from './token-hash.ts';

/** Who is calling through which app, and what the token allows. */
export interface Grant {
  /** The account: 32 hex digits. */
  uid: string;
  clientId: string;
  scopes: readonly string[];
  audience: string;
  /** When the account's authentication last changed, in milliseconds; undefined when unknown. */
  generation?: number | undefined;
}

/** The path for tokens that any API can take: reads the header alone, never query or body. */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy, 'bearer') {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
  ) {
    super();
  }

  /** One statement: the token and the grant it lives by. A revoked grant took its tokens along. */
  async validate(request: FastifyRequest): Promise<Grant> {
    const token = /^Bearer ([A-Za-z0-9_-]{16,256})$/i.exec(
      request.headers.authorization ?? '',
    )?.[1];
    if (token === undefined) throw refusal('A bearer token is needed in the Authorization header.');
    const [row] = await runNamed<{ payload: TokenPayload }>(this.db, {
      ...{ name: 'bearer', text: PLAIN },
      values: [hashOf(token), this.clock.now()],
    });
    if (!row) throw refusal('The token is unknown, expired or revoked.');
    const { accountId, clientId, scope, aud, extra } = row.payload;
    return {
      ...{ uid: accountId, clientId, scopes: scope?.split(' ') ?? [], audience: aud ?? '' },
      generation: extra?.['fxa-generation'],
    };
  }
}

const PLAIN = `
  SELECT payload FROM oidc
   WHERE model = 'AccessToken' AND id = $1 AND grant_id IS NOT NULL AND expires_at > $2`;

interface TokenPayload {
  accountId: string;
  clientId: string;
  scope?: string;
  aud?: string;
  extra?: { 'fxa-generation'?: number };
}

const refusal = (why: string) =>
  new Failure('unauthenticated', why, {
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });

const REQUIRES = 'requires';

/** Refuses a token that was issued for another API, or without one of the scopes asked for. */
@Injectable()
class BearerGuard extends StrategyGuard {
  constructor(
    strategy: BearerStrategy,
    private readonly reflector: Reflector,
  ) {
    super(strategy);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    const { user } = context.switchToHttp().getRequest<{ user: Grant }>();
    const needs = this.reflector.get<{ api: Api; scopes: ApiScope[] }>(
      REQUIRES,
      context.getHandler(),
    );
    if (user.audience !== audiences[needs.api]) {
      throw new Failure('wrong-audience', `The token is not for ${audiences[needs.api]}.`, {
        headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
      });
    }
    if (!needs.scopes.some((scope) => user.scopes.includes(scope))) {
      const scope = needs.scopes.join(' ');
      throw new Failure('insufficient-scope', `The token lacks the scope ${scope}.`, {
        headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
      });
    }
    return true;
  }
}

/** A bearer token for this API, holding at least one of the scopes. */
export const Requires = (api: Api, ...scopes: ApiScope[]) =>
  applyDecorators(SetMetadata(REQUIRES, { api, scopes }), UseGuards(BearerGuard));

/** The {@link Grant} of a request that {@link Requires} let through. */
export const Caller = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: Grant }>().user,
);
