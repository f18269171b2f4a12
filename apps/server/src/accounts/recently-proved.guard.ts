import { type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { expectVerified, factorRequired } from './proofs.guard.ts';
import { type Session, SessionStrategy, VerifiedSessionGuard } from './session.guard.ts';

/** Whether what somebody proved in a session was a short while ago: STEP_UP_SECONDS. */
@Injectable()
export class StepUpService {
  constructor(
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** @throws Failure `factor-required` when the account has a second factor */
  expectFactor({ hasFactors, factorAt }: Pick<Session, 'hasFactors' | 'factorAt'>): void {
    if (hasFactors && !this.isRecent(factorAt ?? 0)) throw factorRequired();
  }

  /** @throws Failure `unverified-account`, `unverified-session`, `stale-auth`, `factor-required` */
  expectProved(session: Session): void {
    expectVerified(session);
    if (!this.isRecent(session.authAt)) {
      throw new Failure('stale-auth', 'The password must be given again.', {
        extra: { authAt: session.authAt },
      });
    }
    this.expectFactor(session);
  }

  private isRecent(seconds: number): boolean {
    return this.clock.seconds() - seconds <= this.config.limits.stepUpSeconds;
  }
}

/**
 * Lets in who, in a verified session, gave the password within STEP_UP_SECONDS, and the second factor,
 * too, where the account has one. Refuses others with 164 or 160: `session/reauth` and `session/verify/…`
 * of docs/protocol/second-factors.md make it good. For what a session that lies open must not do.
 */
@Injectable()
export class RecentlyProvedGuard extends VerifiedSessionGuard {
  constructor(
    @Inject(SessionStrategy) strategy: SessionStrategy,
    @Inject(StepUpService) private readonly stepUp: StepUpService,
  ) {
    super(strategy);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    this.stepUp.expectProved(context.switchToHttp().getRequest<{ user: Session }>().user);
    return true;
  }
}
