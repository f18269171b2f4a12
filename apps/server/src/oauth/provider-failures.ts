import type { Logger } from '@nestjs/common';
import type Provider from 'oidc-provider';
import { Failure } from '#lib/protocol';
import { asFailure } from '../platform/failure.filter.ts';
import { problem } from '../platform/problem.ts';
import { oauthError } from './oauth-error.ts';

/** For addresses of the authority that it does not know. */
export const nothingHere = new Failure('not-found', 'There is nothing at this address.');

/** Answers, in our words, what oidc-provider leaves unanswered or calls an error of its own. */
export function answerFailures(provider: Provider, logger: Logger): void {
  const failures = new WeakMap<object, Failure>();
  provider.on('server_error', (ctx, error) => {
    const failure = asFailure(error);
    if (failure) failures.set(ctx, failure);
    else logger.error({ event: 'crash', error: error.stack });
  });
  provider.use(async (ctx, next) => {
    await next();
    // Phones ask for their profile here, and get a new token when they read FxA's number.
    if (ctx.path === '/oauth2/userinfo' && ctx.status === 401) {
      ctx.body = { ...(ctx.body as object), code: 401, errno: 110 };
    }
    // What its router does not know it leaves unanswered; an error of the database it calls its own.
    const unknown = ctx.status === 404 && !ctx.body ? nothingHere : undefined;
    const failure = failures.get(ctx) ?? unknown;
    if (!failure) return;
    const format = ctx.path.startsWith('/oauth2/') ? oauthError : problem;
    const { status, contentType, body, headers } = format(failure);
    ctx.status = status;
    ctx.body = JSON.stringify(body);
    ctx.set({ ...headers, ...failure.options.headers, 'content-type': contentType });
  });
}
