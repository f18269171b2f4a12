import type { NestFastifyApplication } from '@nestjs/platform-fastify';

const ALLOWED = {
  'access-control-allow-methods': 'GET, PUT, POST, DELETE',
  'access-control-max-age': '86400', // browsers ask again sooner
};
/** What a page may read of a reply besides its body and type. */
const EXPOSED = [
  'dpop-nonce',
  'etag',
  'retry-after',
  'www-authenticate',
  'x-backoff',
  'x-last-modified',
  'x-timestamp',
  'x-weave-alert',
  'x-weave-backoff',
  'x-weave-next-offset',
  'x-weave-quota-remaining',
  'x-weave-records',
  'x-weave-timestamp',
].join(', ');

/**
 * Lets pages of every origin use the APIs below these prefixes: they take credentials from the
 * `Authorization` header alone, which no browser adds by itself. A preflight is answered before
 * anybody asks who it is, since it cannot say.
 *
 * @see Fetch, CORS protocol
 */
export function admitOrigins(server: NestFastifyApplication, prefixes: readonly string[]): void {
  server
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (request, reply, done) => {
      const { headers } = request;
      const { origin } = headers;
      if (origin === undefined || !prefixes.some((prefix) => request.url.startsWith(prefix))) {
        done();
        return;
      }
      void reply.headers({ 'access-control-allow-origin': origin, vary: 'origin' });
      if (request.method === 'OPTIONS' && headers['access-control-request-method'] !== undefined) {
        const asked = headers['access-control-request-headers'];
        void reply
          .headers({ ...ALLOWED, ...(asked && { 'access-control-allow-headers': asked }) })
          .send();
        return;
      }
      void reply.header('access-control-expose-headers', EXPOSED);
      done();
    });
}
