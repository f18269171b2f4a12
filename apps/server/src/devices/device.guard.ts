import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type RawBodyRequest,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-custom';
import { Failure, OLD_SYNC, scopesImply } from '#lib/protocol';
import { SessionStrategy } from '../accounts/session.guard.ts';
import { RefreshTokensService } from '../oauth/refresh-tokens.service.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';

/** Who calls about devices: what a device record lives by, and the account. */
export interface Holder {
  uid: string;
  /** Whether the account's address is verified. */
  verified: boolean;
  /** Of the session or grant, one of both; what `device.session_id` or `device.grant_id` names. */
  owner: { sessionId: string } | { grantId: string };
}

/** A session, by Hawk or `Bearer fxs_…`, or the refresh token of an app that syncs, as `Bearer`. */
@Injectable()
export class DeviceStrategy extends PassportStrategy(Strategy, 'fxa-device') {
  constructor(
    private readonly sessions: SessionStrategy,
    private readonly refreshTokens: RefreshTokensService,
  ) {
    super();
  }

  async validate(request: RawBodyRequest<FastifyRequest>): Promise<Holder> {
    const header = request.headers.authorization ?? '';
    const token = /^Bearer (?!fx[a-z]{1,2}_)([A-Za-z0-9_-]{16,256})$/i.exec(header)?.[1];
    if (token !== undefined) return this.ofRefreshToken(token);
    const { uid, verified, id } = await this.sessions.validate(request);
    return { uid, verified, owner: { sessionId: id } };
  }

  /** A code, and so a refresh token, is only given out when the address is verified. */
  private async ofRefreshToken(token: string): Promise<Holder> {
    const client = await this.refreshTokens.find(token);
    if (!client) throw new Failure('unauthenticated', 'The token is unknown or has ended.');
    if (!scopesImply(client.scopes, OLD_SYNC)) {
      throw new Failure('invalid-scopes', 'Only apps that sync know of devices.');
    }
    return { uid: client.uid, verified: true, owner: { grantId: client.grantId } };
  }
}

/** Lets in who holds a session of an account, verified or not. */
@Injectable()
export class DeviceGuard extends StrategyGuard {
  constructor(@Inject(DeviceStrategy) strategy: DeviceStrategy) {
    super(strategy);
  }
}

/** Refuses, after {@link DeviceGuard}, an account whose address is not verified, with 104. */
@Injectable()
export class VerifiedHolderGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { user } = context.switchToHttp().getRequest<{ user: Holder }>();
    if (!user.verified) throw new Failure('unverified-account', 'The address is not verified yet.');
    return true;
  }
}

/** The {@link Holder} of a request that {@link DeviceGuard} let through. */
export const Holder = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: Holder }>().user,
);
