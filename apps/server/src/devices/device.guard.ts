import {
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
  type RawBodyRequest,
} from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import type { FastifyRequest } from 'fastify';
import { Strategy } from 'passport-custom';
import { Failure } from '#lib/protocol';
import { SessionStrategy } from '../accounts/session.guard.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';

/** Who calls about devices: what a device record lives by, and the account. */
export interface Holder {
  uid: string;
  /** Whether the account's address is verified. */
  verified: boolean;
  /** Of the session or grant, one of both; what `device.session_id` or `device.grant_id` names. */
  owner: { sessionId: string } | { grantId: string };
}

/** A session, by Hawk or `Bearer fxs_…`. */
@Injectable()
export class DeviceStrategy extends PassportStrategy(Strategy, 'fxa-device') {
  constructor(private readonly sessions: SessionStrategy) {
    super();
  }

  async validate(request: RawBodyRequest<FastifyRequest>): Promise<Holder> {
    const { uid, verified, id } = await this.sessions.validate(request);
    return { uid, verified, owner: { sessionId: id } };
  }
}

/** Lets in who holds a session of an account, verified or not. */
@Injectable()
export class DeviceGuard extends StrategyGuard {
  constructor(@Inject(DeviceStrategy) strategy: DeviceStrategy) {
    super(strategy);
  }
}

/** As {@link DeviceGuard}; refuses an account whose address is not verified, with 104. */
@Injectable()
export class VerifiedDeviceGuard extends DeviceGuard {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
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
