import {
  type CanActivate,
  type ExecutionContext,
  Injectable,
  type RawBodyRequest,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { DEPOSIT_BYTES_MAX, Failure } from '#lib/protocol';

/** Refuses a long body as a whole, before anything is said about what is in it. */
@Injectable()
export class DepositSizeGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { rawBody } = context.switchToHttp().getRequest<RawBodyRequest<FastifyRequest>>();
    if ((rawBody?.length ?? 0) <= DEPOSIT_BYTES_MAX) return true;
    throw new Failure('too-large', `A deposit has at most ${DEPOSIT_BYTES_MAX} bytes.`);
  }
}
