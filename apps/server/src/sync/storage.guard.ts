import {
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Inject,
  Injectable,
} from '@nestjs/common';
import type { Strategy } from 'passport';
import { Failure, INBOX } from '#lib/protocol';
import { StrategyGuard } from '../platform/strategy.guard.ts';
import { BasicStrategy } from './basic.strategy.ts';
import { HawkStrategy, type StorageUser } from './hawk.strategy.ts';
import type { StorageRequest } from './raw-requests.ts';
import { StoreHoldsService } from './store-holds.service.ts';

/** Lets a request through to the one store that its token names, as far as the token allows. */
@Injectable()
export class StorageGuard extends StrategyGuard implements CanActivate {
  constructor(
    @Inject(HawkStrategy) strategy: Strategy,
    private readonly holds: StoreHoldsService,
  ) {
    super(strategy);
  }

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<StorageRequest & { user: StorageUser }>();
    expectNoHead(context);
    await super.canActivate(context);
    // The names that the router decoded, and the handlers use: there is no second reading of the path.
    const { collection, id } = request.params as { collection?: string; id?: string };
    const isWrite = request.method === 'PUT' || request.method === 'POST';
    const isDeposit = isWrite && collection === INBOX;
    const { access, uid } = request.user;
    this.holds.expectOpen(uid, request.method === 'GET');
    if (access === 'read' && request.method !== 'GET') {
      throw new Failure('forbidden', 'The token is for reading, and for nothing else.');
    }
    if (access === 'app' && isDeposit) {
      throw new Failure('forbidden', 'An app reads and empties its inbox; others fill it.');
    }
    if (access === 'deposit' && !(isDeposit && (request.method === 'PUT') === (id !== undefined))) {
      throw new Failure('forbidden', 'The token is for a deposit, and for nothing else.');
    }
    return true;
  }
}

/** Lets a user of Storage 1.1 through to the store of that name. */
@Injectable()
export class LegacyGuard extends StrategyGuard implements CanActivate {
  constructor(@Inject(BasicStrategy) strategy: Strategy) {
    super(strategy);
  }

  override canActivate(context: ExecutionContext): Promise<boolean> {
    expectNoHead(context);
    return super.canActivate(context) as Promise<boolean>;
  }
}

/** Fastify answers HEAD wherever there is a GET; the API has none. */
function expectNoHead(context: ExecutionContext): void {
  if (context.switchToHttp().getRequest<StorageRequest>().method === 'HEAD') {
    throw new Failure('method-not-allowed', 'There is no HEAD here.');
  }
}

/** The {@link StorageUser}'s uid. */
export const StorageUid = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: StorageUser }>().user.uid,
);
