import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';

/**
 * Tells credentials that are of no kind we take from those that are no good: clients get a new
 * access token for the latter only.
 *
 * @see Token server 1.0, "Errors"
 */
@Injectable()
export class SchemeGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    const [, scheme] = /^(\S+) +\S/.exec(headers.authorization ?? '') ?? [];
    if (scheme === undefined) throw refused('Unauthorized');
    if (!['bearer', 'dpop'].includes(scheme.toLowerCase())) throw refused('Unsupported');
    return true;
  }
}

const refused = (description: string) =>
  new Failure('no-credentials', description, { headers: { 'www-authenticate': 'Bearer' } });
