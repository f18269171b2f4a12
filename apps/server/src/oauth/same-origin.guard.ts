import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';
import { Config } from '../platform/config.ts';

/**
 * Refuses what a browser sends on behalf of another site. For calls that a cookie answers for, which
 * browsers add by themselves. Programs say neither where they are nor for whom, and have no cookies
 * of others.
 *
 * @see Fetch Metadata Request Headers §2.1
 */
@Injectable()
export class SameOriginGuard implements CanActivate {
  constructor(private readonly config: Config) {}

  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<FastifyRequest>();
    const site = headers['sec-fetch-site'];
    // Only where the page is safe does a browser say its site; the origin comes with every POST.
    const isOurs =
      (site === undefined || site === 'same-origin') && this.isOwn(headers.origin, headers.host);
    if (!isOurs) throw new Failure('forbidden', 'This is for the pages of this server.');
    return true;
  }

  /** Under whichever name the page was opened: of its cookies, another origin has none. */
  private isOwn(origin: string | undefined, host: string | undefined): boolean {
    if (origin === undefined || origin === this.config.publicUrl.origin) return true;
    return URL.canParse(origin) && new URL(origin).host === host;
  }
}
