import { type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { SessionGuard } from '../accounts/session.guard.ts';

/** Lets in also who sends no credentials; credentials that are sent must be a session's. */
@Injectable()
export class SessionIfSentGuard extends SessionGuard {
  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    if (headers.authorization === undefined) return true;
    await super.canActivate(context);
    return true;
  }
}
