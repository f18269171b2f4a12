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
import { Config } from '../platform/config.ts';
import { runNamed } from '../platform/named-statement.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';
import { AppUsesService } from './app-uses.service.ts';
import { badProof, checkProof, DPOP_ALGS, dpopChallenge, PROOF_SECONDS } from './dpop-proof.ts';
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
  /** When the user last proved who he is, in seconds since 1970; undefined when unknown. */
  authTime?: number | undefined;
}

/**
 * The path for tokens that any API can take: reads the header alone, never query or body.
 *
 * A token that is bound to a key comes as `DPoP`, with a proof; every other one as `Bearer`.
 */
@Injectable()
export class BearerStrategy extends PassportStrategy(Strategy, 'bearer') {
  constructor(
    @InjectDataSource() protected readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
    private readonly uses: AppUsesService,
  ) {
    super();
  }

  async validate(request: FastifyRequest): Promise<Grant> {
    const [, scheme = '', token] =
      /^(Bearer|DPoP) ([A-Za-z0-9_-]{16,256})$/i.exec(request.headers.authorization ?? '') ?? [];
    if (token === undefined) {
      throw refusal('A token is needed in the Authorization header.', NO_TOKEN);
    }
    const isBound = scheme.toLowerCase() === 'dpop';
    const payload = await (isBound ? this.findBound(token, request) : this.find(token, request));
    const { accountId, clientId, scope, aud, extra } = payload;
    this.uses.note(accountId, clientId);
    return {
      ...{ uid: accountId, clientId, scopes: scope?.split(' ') ?? [], audience: aud ?? '' },
      generation: extra?.['fxa-generation'],
      authTime: extra?.auth_time,
    };
  }

  private async find(token: string, request: FastifyRequest): Promise<TokenPayload> {
    const row = await this.read([hashOf(token), this.clock.now()], request);
    if (!row) throw unknownToken('Bearer error="invalid_token"');
    // RFC 9449 §7.2: who stole it has no key.
    if (row.payload.jkt !== undefined) {
      throw refusal('The token is bound to a key.', dpopChallenge('invalid_token'));
    }
    return row.payload;
  }

  /** One statement: a revoked grant took its tokens along, by the foreign key. */
  protected readonly read: ReadToken = async (values) => {
    const [row] = await runNamed<{ payload: TokenPayload }>(this.db, {
      ...{ name: 'bearer', text: `SELECT payload ${LIVE_TOKEN}`, values: [...values] },
    });
    return row;
  };

  /** One statement as well: it writes the proof down, so that no process takes it a second time. */
  private async findBound(token: string, request: FastifyRequest): Promise<TokenPayload> {
    const now = this.clock.now();
    const { jkt, proofId } = await checkProof({
      proof: request.headers['dpop'],
      method: request.method,
      url: this.config.at(request.originalUrl),
      token,
      now,
    });
    const [row] = await runNamed<{ payload: TokenPayload; isFresh: boolean }>(this.db, {
      ...{ name: 'bearer-bound', text: BOUND },
      values: [hashOf(token), now, jkt, proofId, new Date(now.getTime() + PROOF_SECONDS * 1000)],
    });
    if (!row) throw unknownToken(dpopChallenge('invalid_token'));
    if (!row.isFresh) throw badProof('it was used before');
    return row.payload;
  }
}

/**
 * $1 the token's hash, $2 now. In these words no index but the primary key serves for it: with
 * another, a plan from when there were few tokens would go through all.
 */
export const LIVE_TOKEN = `
  FROM oidc
 WHERE model = 'AccessToken' AND id = $1 AND (grant_id IS NOT NULL AND expires_at > $2) IS TRUE`;
/** Only where there is such a token: strangers cannot fill the table. */
const BOUND = `
  WITH found AS MATERIALIZED (SELECT payload ${LIVE_TOKEN} AND payload->>'jkt' = $3),
       fresh AS (
         INSERT INTO oidc (model, id, expires_at, payload)
         SELECT 'ReplayDetection', $4, $5::timestamptz, '{}' FROM found
             ON CONFLICT DO NOTHING RETURNING id)
  SELECT payload, EXISTS (SELECT FROM fresh) AS "isFresh" FROM found`;

/**
 * Reads a token. Whoever extends {@link BearerStrategy} can have more of what the request is about
 * read by the same statement.
 *
 * @param values - of {@link LIVE_TOKEN}
 */
export type ReadToken = (
  values: readonly [id: string, now: Date],
  request: FastifyRequest,
) => Promise<{ payload: TokenPayload } | undefined>;

/** What is kept of a token. */
export interface TokenPayload {
  accountId: string;
  clientId: string;
  scope?: string;
  aud?: string;
  /** The thumbprint of the key that it is bound to. */
  jkt?: string;
  extra?: { 'fxa-generation'?: number; auth_time?: number };
}

/** Without a token there is no error to name (RFC 6750 §3.1). */
const NO_TOKEN = `Bearer, DPoP algs="${DPOP_ALGS.join(' ')}"`;

const unknownToken = (challenge: string) =>
  refusal('The token is unknown, expired or revoked.', challenge);

const refusal = (why: string, challenge: string) =>
  new Failure('unauthenticated', why, { headers: { 'www-authenticate': challenge } });

const REQUIRES = 'requires';

/** Refuses a token that was issued for another API, or without one of the scopes asked for. */
@Injectable()
export class BearerGuard extends StrategyGuard {
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

/** What {@link Requires} says to another guard that extends {@link BearerGuard}. */
export const RequiresOf = (api: Api, ...scopes: ApiScope[]) =>
  SetMetadata(REQUIRES, { api, scopes });

/** A bearer token for this API, holding at least one of the scopes. */
export const Requires = (api: Api, ...scopes: ApiScope[]) =>
  applyDecorators(RequiresOf(api, ...scopes), UseGuards(BearerGuard));

/** The {@link Grant} of a request that {@link Requires} let through. */
export const Caller = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: Grant }>().user,
);
