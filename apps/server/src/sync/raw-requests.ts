import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';
import type { Clock } from '../platform/clock.ts';
import type { Limits } from '../platform/config.ts';
import { toHundredths, weaveTime } from './weave-time.ts';

/** A request to the storage API: the body is as it came, whatever its type. */
export interface StorageRequest extends FastifyRequest {
  /** The `Content-Type` as it came. */
  sentType?: string | undefined;
  body: Buffer | undefined;
}

const PREFIXES = ['/storage/', '/1.5/', '/1.1/'];
/** Every resource there is, whatever its methods. */
const RESOURCES = [
  /^(\/storage)?\/1\.5\/\d+(\/info\/configuration)?\/?(\?|$)/,
  /^(\/storage)?\/(1\.5\/\d+|1\.1\/[^/?]+)\/(info\/(collections|collection_counts|collection_usage|quota)|storage(\/[^/?]+){0,2})\/?(\?|$)/,
];
/** Bodies of this API all get the one parser that leaves them alone: the Hawk hash covers bytes. */
const RAW = 'application/vnd.lockstep.storage';

/**
 * Lets the storage API see bodies raw, up to its own limit, puts the server's time on each of its
 * replies, and what the operator has to say, and tells a method that a resource does not have from
 * a path that is none.
 */
export function receiveRaw(server: FastifyInstance, clock: Clock, limits: Limits): void {
  const { storageRequestBytesMax, storageBackoffSeconds, storageAlert } = limits;
  const isOver = isHardEnd(storageAlert);
  const idleMs = limits.storageIdleSeconds * 1000;
  server.addContentTypeParser(
    RAW,
    { parseAs: 'buffer', bodyLimit: storageRequestBytesMax },
    (_request, body, done) => {
      done(null, body);
    },
  );
  server
    .addHook('onRequest', (request, _reply, done) => {
      if (isStorage(request)) {
        (request as StorageRequest).sentType = request.raw.headers['content-type'];
        request.raw.headers['content-type'] = RAW;
        // Of a socket that stands still there is what it sent in memory: it is closed.
        request.raw.setTimeout(idleMs);
        if (isOver) {
          done(new Failure('decommissioned', 'This storage service has ended.'));
          return;
        }
        // The router knows a path by its method, and finds nothing for another.
        if (request.is404 && RESOURCES.some((resource) => resource.test(request.url))) {
          done(new Failure('method-not-allowed', `${request.method} is not for this resource.`));
          return;
        }
      }
      done();
    })
    .addHook('preValidation', (request, _reply, done) => {
      // All of it is here, and now the database may take as long as it needs.
      if (isStorage(request)) request.raw.setTimeout(0);
      done();
    })
    .addHook('onSend', (request, reply, _payload, done) => {
      if (isStorage(request)) {
        request.raw.setTimeout(idleMs);
        if (storageBackoffSeconds) void reply.header('x-weave-backoff', storageBackoffSeconds);
        if (storageAlert) void reply.header('x-weave-alert', storageAlert);
      }
      if (isStorage(request) && !reply.hasHeader('x-weave-timestamp')) {
        const now = weaveTime(toHundredths(clock.now()));
        const modified = reply.getHeader('x-last-modified');
        const isLater = typeof modified === 'string' && Number(modified) > Number(now);
        void reply.header('x-weave-timestamp', isLater ? modified : now);
      }
      done();
    });
}

/** Whether clients are told that the service has ended, after which it serves none. */
function isHardEnd(alert: string | undefined): boolean {
  try {
    const { code } = JSON.parse(alert ?? '{}') as { code?: unknown };
    return code === 'hard-eol';
  } catch {
    return false; // plain text
  }
}

function isStorage({ raw }: FastifyRequest): boolean {
  return PREFIXES.some((prefix) => raw.url?.startsWith(prefix));
}

/** The media type of a request, in lower case and without parameters; empty when not given. */
export function mediaType({ sentType = '' }: StorageRequest): string {
  return (sentType.split(';')[0] ?? '').trim().toLowerCase();
}
