import { AuthGuard } from '@nestjs/passport';
import type { Strategy } from 'passport';

/**
 * A guard that asks one strategy, given as an object.
 *
 * Passport's registry of names is one for the process, so a name would mean the strategy of
 * whichever server was built last, with its database; tests run several side by side.
 */
export abstract class StrategyGuard extends AuthGuard() {
  constructor(strategy: Strategy) {
    super({
      // A fresh one at each use: passport hangs the functions of one request on it.
      get defaultStrategy(): Strategy {
        return Object.create(strategy) as Strategy;
      },
    });
  }

  /** Strategies say themselves why they refuse; without this it would be a bare 401. */
  override handleRequest<User>(error: unknown, user: User): User {
    if (error) throw error as Error;
    return user;
  }
}
