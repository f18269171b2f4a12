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
import { Clock } from '../platform/clock.ts';
import { StrategyGuard } from '../platform/strategy.guard.ts';
import { HawkService } from './hawk.service.ts';

interface Row {
  id: string;
  reqHmacKey: Buffer;
}

/** Hawk or `Bearer fxk_<token id>`. It recognises the token; taking it is the handler's decision. */
@Injectable()
export class KeyFetchStrategy extends PassportStrategy(Strategy, 'fxa-key-fetch') {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly hawk: HawkService,
  ) {
    super();
  }

  async validate(request: RawBodyRequest<FastifyRequest>): Promise<string> {
    const row = await this.hawk.authenticate(request, 'fxk', async (id) => {
      const [found] = await this.db.query<Row[]>(
        `SELECT id, req_hmac_key AS "reqHmacKey" FROM key_fetch_token
          WHERE id = $1 AND expires_at > $2`,
        [id, this.clock.now()],
      );
      return found;
    });
    return row.id;
  }
}

/** Lets in who holds a keyFetchToken that was not used yet. */
@Injectable()
export class KeyFetchGuard extends StrategyGuard {
  constructor(@Inject(KeyFetchStrategy) strategy: KeyFetchStrategy) {
    super(strategy);
  }
}

/** The row's id of the token that {@link KeyFetchGuard} recognised. */
export const KeyFetchId = createParamDecorator(
  (_: unknown, context: ExecutionContext) =>
    context.switchToHttp().getRequest<{ user: string }>().user,
);
