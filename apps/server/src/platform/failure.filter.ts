import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Failure, type FailureCode } from '#lib/protocol';
import { isDeadlock } from './deadlock.ts';
import { routeOf } from './requests.ts';

/** How one API writes a refusal, or (given undefined) a crash it must not describe. */
export type ErrorFormat = (failure: Failure | undefined) => {
  status: number;
  contentType: string;
  /** A string is sent as it is; anything else as JSON. */
  body: unknown;
  headers?: Readonly<Record<string, string>>;
};

/** Formats by path prefix; the first match wins, and the last one is for `/`. */
export type ErrorFormats = readonly (readonly [prefix: string, ErrorFormat])[];

/**
 * Answers every request that threw, in the error format of the API it was for.
 * Global, because a malformed body or an unknown path fails before any controller is chosen.
 */
@Catch()
export class FailureFilter implements ExceptionFilter {
  private readonly logger = new Logger('request');

  constructor(
    private readonly formats: ErrorFormats,
    /** For a person who followed a link to nowhere; programs never say that they navigate. */
    private readonly page: ErrorFormat,
  ) {}

  catch(thrown: unknown, context: ArgumentsHost): void {
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    const reply = context.switchToHttp().getResponse<FastifyReply>();
    this.answer(thrown, request, reply);
  }

  /** Also for what fails outside Nest, such as Fastify's own parsers. */
  answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const failure = asFailure(thrown);
    const path = request.url.split('?', 1)[0] ?? '';
    const event = { method: request.method, route: routeOf(request) };
    if (!failure) {
      const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      this.logger.error({ event: 'crash', ...event, error });
    } else if (failure.code === 'unauthenticated' || failure.code === 'wrong-audience') {
      this.logger.log({ event: 'refused', ...event, reason: failure.message });
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    const [prefix, format] = this.formats.find(([start]) => path.startsWith(start)) ?? [];
    if (!format) throw thrown;
    const isPerson = prefix === '/' && request.headers['sec-fetch-mode'] === 'navigate';
    const { status, contentType, body, headers } = (isPerson ? this.page : format)(failure);
    void reply
      .status(status)
      // Also over what the handler was to say: a cache would go on giving out the refusal.
      .headers({ 'cache-control': 'no-store', ...headers, ...failure?.options.headers })
      .header('content-type', contentType)
      .send(typeof body === 'string' ? body : JSON.stringify(body));
  }
}

const codes: Partial<Record<number, FailureCode>> = {
  400: 'malformed',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  405: 'method-not-allowed',
  406: 'not-acceptable',
  411: 'length-required',
  412: 'precondition-failed',
  413: 'too-large',
  414: 'too-large',
  415: 'unsupported-media-type',
  429: 'too-many-requests',
  503: 'unavailable',
};

/** The database is away, not the caller wrong: PostgreSQL's classes 08, 53, 57 and lost sockets. */
const away = /^(08|53|57P)|^(ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND)$/;
const lost =
  /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Driver not Connected)/;

/** PostgreSQL keeps no U+0000: 22021 in text, 22P05 in jsonb. Nothing was written. */
const unstorable = /^(22021|22P05)$/;

/** The framework's own refusals (routing, parsing, validation, guards) in our words; undefined for a crash. */
export function asFailure(thrown: unknown): Failure | undefined {
  if (thrown instanceof Failure) return thrown;
  if (thrown instanceof HttpException) return failureFor(thrown.getStatus(), thrown);
  if (!(thrown instanceof Error)) return undefined;
  const { code, statusCode } = thrown as Error & { code?: unknown; statusCode?: unknown };
  if ((typeof code === 'string' && away.test(code)) || lost.test(thrown.message)) {
    return new Failure('unavailable', 'The database is away. Try again shortly.', {
      cause: thrown,
      headers: { 'retry-after': '10' },
    });
  }
  if (typeof code === 'string' && unstorable.test(code)) {
    return new Failure('malformed', 'No text may hold the character U+0000.', { cause: thrown });
  }
  if (isDeadlock(thrown)) {
    return new Failure('unavailable', 'Another request was in the way. Try again.', {
      cause: thrown,
      headers: { 'retry-after': '1' },
    });
  }
  if (code === 'ENOSPC') return new Failure('over-quota', 'The disk is full.', { cause: thrown });
  return typeof statusCode === 'number' && statusCode < 500
    ? failureFor(statusCode, thrown)
    : undefined;
}

function failureFor(status: number, cause: Error): Failure | undefined {
  const code = codes[status];
  return code && new Failure(code, detailOf(cause), { cause });
}

function detailOf(cause: Error): string {
  // The router's own words repeat the address with its query.
  if (/^Cannot [A-Z]+ \//.test(cause.message)) return 'There is nothing at this address.';
  const said = cause instanceof HttpException ? cause.getResponse() : undefined;
  const { message } = (typeof said === 'object' ? said : {}) as { message?: unknown };
  // The validation's list of what does not fit, and where; it never repeats a value.
  return Array.isArray(message) ? message.join('. ') : cause.message;
}
