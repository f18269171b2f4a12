import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { fxaError, MISSING } from './accounts/fxa-error.ts';
import { fxaOAuthError } from './oauth/fxa-oauth-error.ts';
import { oauthError } from './oauth/oauth-error.ts';
import { admitOrigins } from './platform/cross-origin.ts';
import { type ErrorFormats, FailureFilter } from './platform/failure.filter.ts';
import { pageError } from './platform/html.ts';
import type { Parts } from './platform/platform.module.ts';
import { problem } from './platform/problem.ts';
import { attendRequests, secure } from './platform/requests.ts';
import { attendVisitors } from './platform/visitor.ts';
import { profileError } from './profile/profile-error.ts';
import { ServerModule } from './server.module.ts';
import { legacyWeave, weave } from './sync/weave.ts';
import { tokenError } from './token/token-error.ts';

// Nobody who typed an address wants to read a regular expression.
z.config({
  customError: ({ code, input, ...issue }) => {
    if (input === undefined && code !== 'custom') return MISSING;
    return code === 'invalid_format' && issue['format'] === 'regex' ? 'Malformed' : undefined;
  },
});

/** Which API answers refusals in which format. The first match wins. */
const formats: ErrorFormats = [
  ['/auth/', fxaError],
  ['/profile/', profileError],
  ['/oauth2/', oauthError],
  ['/token/', tokenError],
  ['/1.0/', tokenError],
  ['/storage/1.1/', legacyWeave],
  ['/storage/', weave],
  ['/1.5/', weave],
  ['/1.1/', legacyWeave],
  ['/oauth/v1/', fxaOAuthError],
  ['/oauth', pageError],
  ['/settings', pageError],
  ['/pair', pageError],
  ['/connect_another_device', pageError],
  ['/verify_email', pageError],
  ['/', problem],
];

/** Storage 1.0, which is 1.1 with less; not `/1.0/sync/1.5` of the token server. */
const OLD_STORAGE = /^(?:\/storage)?\/1(?:\.0)?\/(?=[^/?]+\/(?:info|storage)(?:[/?]|$))/;

/** Builds the server that `main.ts` runs and the tests talk to. Call `listen` on the result. */
export async function createServer(parts: Parts): Promise<NestFastifyApplication> {
  const { limits } = parts.config;
  const refusals = new FailureFilter(formats, pageError);
  const adapter = new FastifyAdapter({
    bodyLimit: limits.bodyBytesMax,
    // Storage ids may hold any printable character, and item paths end where the query starts.
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: true },
    rewriteUrl: ({ url = '/' }) => url.replace(OLD_STORAGE, '/storage/1.1/'),
    forceCloseConnections: 'idle',
    // The router's own refusals, such as of a malformed escape, come before every hook.
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      secure(reply.raw, parts.config);
      refusals.answer(error, request, reply);
    },
  });
  // Nest would set its own after the routes are made, some of which would then never have one.
  adapter.getInstance().setErrorHandler((error, request, reply) => {
    refusals.answer(error, request, reply);
  });
  adapter.setErrorHandler = () => adapter.getInstance();
  const server = await NestFactory.create<NestFastifyApplication>(
    ServerModule.with(parts),
    adapter,
    {
      rawBody: true, // Hawk signs the body as it came
      bufferLogs: true,
      abortOnError: false, // main.ts says what went wrong
    },
  );
  server.useGlobalFilters(refusals);
  attendRequests(server, parts.config);
  attendVisitors(server, parts.config.trustedProxies);
  const storage = ['/storage/', '/1.5/', '/1.1/', '/token/', '/1.0/'];
  admitOrigins(server, [...storage, '/keys/v1/', '/files/v1/', '/deposit/v1/', '/profile/v1/']);
  return server;
}
