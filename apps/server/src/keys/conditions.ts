import type { FastifyReply } from 'fastify';
import { isKnown } from '../platform/etags.ts';
import type { Tagged } from './etag.ts';

/** The headers that make a request conditional. */
export interface Preconditions {
  'if-match'?: string;
  'if-none-match'?: string;
}

/** 304 for the version that the caller has. */
export function unlessKnown<T>(
  { body, etag }: Tagged<T>,
  headers: Preconditions,
  reply: FastifyReply,
): T | undefined {
  void reply.header('etag', etag);
  if (!isKnown(headers['if-none-match'], etag)) return body;
  void reply.status(304);
  return undefined;
}
