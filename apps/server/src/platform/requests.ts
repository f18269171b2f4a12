import type { ServerResponse } from 'node:http';
import { Logger } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import type { Config } from './config.ts';

/** Headers that every reply carries, also one that is not written through Fastify. */
export function secure(reply: ServerResponse, { publicUrl }: Config): void {
  reply.setHeader('x-content-type-options', 'nosniff');
  reply.setHeader('referrer-policy', 'no-referrer');
  if (publicUrl.protocol === 'https:') {
    reply.setHeader('strict-transport-security', 'max-age=31536000');
  }
}

/** The pattern that a request matched. The path itself may hold a mail address or a secret. */
export function routeOf(request: FastifyRequest): string {
  // Absent, against its type, on what the router itself refuses.
  const options = request.routeOptions as FastifyRequest['routeOptions'] | undefined;
  return options?.url ?? 'unmatched';
}

/** Secures every reply and writes one line about every request, when it is answered. */
export function attendRequests(server: NestFastifyApplication, config: Config): void {
  const logger = new Logger('request');
  let isClosing = false;
  server
    .getHttpAdapter()
    .getInstance()
    .addHook('onRequest', (_request, reply, done) => {
      secure(reply.raw, config);
      done();
    })
    .addHook('preClose', (done) => {
      isClosing = true;
      done();
    })
    .addHook('onResponse', (request, reply, done) => {
      logger.log({
        event: 'request',
        method: request.method,
        route: routeOf(request),
        status: reply.raw.statusCode,
        ms: Math.round(reply.elapsedTime),
      });
      // Kept alive, it would hold up the end of the process until the caller lets go.
      if (isClosing) request.raw.socket.end();
      done();
    });
}
