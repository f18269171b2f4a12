import type { IncomingHttpHeaders } from 'node:http';
import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { Failure } from '#lib/protocol';
import { type Hundredths, parseWeaveTime, weaveTime } from './weave-time.ts';

/** What a request wants to be true of its target: the record, else the collection, else the store. */
export interface Conditions {
  modifiedSince: Hundredths | undefined;
  unmodifiedSince: Hundredths | undefined;
}

/**
 * Reads `X-If-Modified-Since` and `X-If-Unmodified-Since`.
 *
 * @throws Failure `invalid-parameter` for both at once, or one that is not a time
 */
function readConditions(headers: IncomingHttpHeaders): Conditions {
  const read = (name: string) => {
    const text = headers[name];
    return typeof text === 'string' ? parseWeaveTime(text) : undefined;
  };
  const modifiedSince = read('x-if-modified-since');
  const unmodifiedSince = read('x-if-unmodified-since');
  if (modifiedSince !== undefined && unmodifiedSince !== undefined) {
    throw new Failure('invalid-parameter', 'A request has one condition, not both.');
  }
  return { modifiedSince, unmodifiedSince };
}

/**
 * Holds a reader's conditions against what it read.
 *
 * @returns true when the reader has it already
 * @throws Failure `precondition-failed`
 */
export function isUnchanged(conditions: Conditions, modified: Hundredths): boolean {
  const { modifiedSince, unmodifiedSince } = conditions;
  if (unmodifiedSince !== undefined && modified > unmodifiedSince) throw changed(modified);
  return modifiedSince !== undefined && modified <= modifiedSince;
}

/** The target was changed at this time, after the one that the caller knows. */
export function changed(modified: Hundredths): Failure {
  return new Failure('precondition-failed', 'The target was modified since.', {
    headers: { 'x-last-modified': weaveTime(modified) },
  });
}

/** The {@link Conditions} of the request. */
export const RequestConditions = createParamDecorator((_: unknown, context: ExecutionContext) =>
  readConditions(context.switchToHttp().getRequest<FastifyRequest>().headers),
);
