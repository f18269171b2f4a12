import {
  applyDecorators,
  type ExecutionContext,
  Injectable,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { Failure, scopesImply } from '#lib/protocol';
import { BearerStrategy, type Grant } from '../oauth/bearer.guard.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';

const NEEDS = 'profile:needs';

/**
 * Refuses a token without the scope. Whom a token was issued for does not matter: no app has a
 * scope of the profile whom the account did not let see it.
 */
@Injectable()
class ProfileGuard extends StrategyGuard {
  constructor(
    strategy: BearerStrategy,
    private readonly reflector: Reflector,
  ) {
    super(strategy);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    await super.canActivate(context);
    const { user } = context.switchToHttp().getRequest<{ user: Grant }>();
    const scope = this.reflector.get<string>(NEEDS, context.getHandler());
    // Without a scope of its own, the call answers with what the token's scopes allow.
    if (scope !== '' && !scopesImply(user.scopes, scope)) {
      throw new Failure('insufficient-scope', `The token lacks the scope ${scope}.`, {
        headers: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
      });
    }
    return true;
  }
}

/** A bearer token that implies this scope. */
export const NeedsScope = (scope: string) =>
  applyDecorators(SetMetadata(NEEDS, scope), UseGuards(ProfileGuard));
