import {
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type RawBodyRequest,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { InjectDataSource } from '@nestjs/typeorm';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-custom';
import { DataSource } from 'typeorm';
import { EventsService } from '../events/events.service.ts';
import { Clock } from '../platform/clock.ts';
import { runNamed } from '../platform/named-statement.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';
import { visitorOf } from '../platform/visitor.ts';
import { HawkService, type Nonce, remembering } from './hawk.service.ts';
import { acrOf, amrOf, expectVerified, type Factor, type Proofs } from './proofs.guard.ts';

/** The signed-in device that a request comes from. */
export interface Session {
  /** base64url SHA-256 of the token id: what `oidc.session_id` refers to. */
  id: string;
  uid: string;
  email: string;
  /** Whether the account's address is verified. */
  emailVerified: boolean;
  /** Whether it opens anything: that, and the second factor was given where the account has one. */
  verified: boolean;
  /** Whether a second factor is still missing. */
  awaitsFactor: boolean;
  /** When the password was last given, seconds since 1970. */
  authAt: number;
  /** By which second factor, and when one was last given, in seconds since 1970. */
  factor: Factor | null;
  factorAt: number | null;
  /** RFC 8176 */
  amr: string[];
  acr: 'AAL1' | 'AAL2';
  /** Whether the account has a second factor; the session may be older than that. */
  hasFactors: boolean;
  /** Milliseconds since 1970. */
  keysChangedAt: number;
  /** Milliseconds since 1970 at which the password was set; larger with every password. */
  generation: number;
}

interface Row extends Proofs {
  isFresh?: boolean;
  id: string;
  uid: string;
  reqHmacKey: Buffer;
  email: string;
  verifiedAt: Date | null;
  hasFactors: boolean;
  usedAt: Date;
  agent: string | null;
  keysChangedAt: number;
  generation: number;
}

/** A request seldom pays for a write: `session.used_at` is late by this much at most. */
const NOTED_EVERY_SECONDS = 600;

/** Four weeks. What was granted to apps in a session goes on; so does a device that is switched off. */
export const IDLE_MAX_SECONDS = 28 * 86_400;

/** An hour for the second step; what a stranger who has the password leaves behind is soon gone. */
const AWAITING_MAX_SECONDS = 3600;

/** Hawk or `Bearer fxs_<token id>`, from the header alone; also of who has not given the second factor. */
@Injectable()
export class AnySessionStrategy extends PassportStrategy(Strategy, 'fxa-any-session') {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly hawk: HawkService,
    private readonly events: EventsService,
  ) {
    super();
  }

  async validate(request: RawBodyRequest<FastifyRequest>): Promise<Session> {
    const row = await this.hawk.authenticate(request, 'fxs', (id, nonce) => this.find(id, nonce));
    const now = this.clock.now();
    const isLate = now.getTime() - row.usedAt.getTime() >= NOTED_EVERY_SECONDS * 1000;
    if (isLate || row.agent === null) {
      const agent = this.events.programOf(visitorOf(request));
      await this.db.query(`UPDATE session SET used_at = $2, agent = $3 WHERE id = $1`, [
        ...[row.id, now, agent],
      ]);
    }
    const { id, uid, email, keysChangedAt, generation, awaitsFactor, factor, hasFactors } = row;
    const emailVerified = row.verifiedAt !== null;
    return {
      ...{ id, uid, email, keysChangedAt, generation, awaitsFactor, factor, hasFactors },
      emailVerified,
      verified: emailVerified && !awaitsFactor,
      authAt: Math.floor(row.authAt.getTime() / 1000),
      factorAt: row.factorAt && Math.floor(row.factorAt.getTime() / 1000),
      amr: amrOf(factor),
      acr: acrOf(factor),
    };
  }

  /** Each connection prepares both statements once: planning takes longer than looking up. */
  private async find(id: string, nonce?: Nonce): Promise<Row | undefined> {
    const ago = (seconds: number) => new Date(this.clock.now().getTime() - seconds * 1000);
    const since = [ago(IDLE_MAX_SECONDS), ago(AWAITING_MAX_SECONDS)];
    const statement = nonce
      ? {
          ...{ name: 'session-signed', text: SIGNED },
          values: [nonce.id, nonce.expiresAt, nonce.now, id, ...since],
        }
      : { name: 'session', text: PLAIN, values: [id, ...since] };
    return (await runNamed<Row>(this.db, statement))[0];
  }
}

const COLUMNS = `
  s.id, s.uid, s.req_hmac_key AS "reqHmacKey", s.auth_at AS "authAt", s.used_at AS "usedAt",
  s.awaits_factor AS "awaitsFactor", s.factor, s.factor_at AS "factorAt", s.agent,
  a.has_factors AS "hasFactors", a.email, a.verified_at AS "verifiedAt", a.keys_changed_at AS "keysChangedAt",
  a.verifier_set_at AS generation`;
const from = (id: string, idle: string, awaiting: string) => `
  FROM session s JOIN account a USING (uid)
  WHERE s.id = ${id} AND (NOT s.awaits_factor OR s.created_at > ${awaiting})
    AND (s.used_at > ${idle} OR EXISTS (SELECT 1 FROM device d WHERE d.session_id = s.id))`;
const PLAIN = `SELECT ${COLUMNS} ${from('$1', '$2', '$3')}`;
/** The nonce is written down only where there is a session: strangers cannot fill the table. */
const SIGNED = `
  WITH found AS MATERIALIZED (SELECT ${COLUMNS} ${from('$4', '$5', '$6')}),
       fresh AS (${remembering('SELECT $1::bytea, $2::bigint FROM found')})
  SELECT found.*, EXISTS (SELECT 1 FROM fresh) AS "isFresh" FROM found`;

/** The same, but a session that awaits its second factor is refused with 138. */
@Injectable()
export class SessionStrategy extends PassportStrategy(Strategy, 'fxa-session') {
  constructor(private readonly any: AnySessionStrategy) {
    super();
  }

  async validate(request: RawBodyRequest<FastifyRequest>): Promise<Session> {
    const session = await this.any.validate(request);
    if (session.awaitsFactor) expectVerified({ emailVerified: true, verified: false });
    return session;
  }
}

/**
 * Lets in who holds a session, also one that awaits its second factor: for the calls of the second
 * step, and those that tell a client that there is one.
 */
@Injectable()
export class AnySessionGuard extends StrategyGuard {
  constructor(@Inject(AnySessionStrategy) strategy: AnySessionStrategy) {
    super(strategy);
  }
}

/** Lets in who holds a session, whether or not the account's address is verified. */
@Injectable()
export class SessionGuard extends StrategyGuard {
  constructor(@Inject(SessionStrategy) strategy: SessionStrategy) {
    super(strategy);
  }
}

/** Lets in who holds a session of an account whose address is verified; refuses others with 104. */
@Injectable()
export class VerifiedSessionGuard extends SessionGuard {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    const { user } = context.switchToHttp().getRequest<{ user: Session }>();
    expectVerified(user);
    return true;
  }
}

/** The {@link Session} of a request that {@link SessionGuard} let through. */
export const Session = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: Session }>().user,
);
