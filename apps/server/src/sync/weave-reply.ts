import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { Failure } from '#lib/protocol';
import type { Page } from './storage-reader.service.ts';
import type { BsoRow } from './storage.queries.ts';
import { type Hundredths, weaveTime } from './weave-time.ts';

/** The two forms of a list. */
export type ListFormat = 'application/json' | 'application/newlines';

/** Sends JSON text with the time of the resource it is about. */
export function sendJson(reply: FastifyReply, modified: Hundredths, json: string): string {
  void reply
    .header('x-last-modified', weaveTime(modified))
    .header('content-type', 'application/json');
  return json;
}

/**
 * Answers a write. The server's time is that of the write: another writer may have come since, and
 * who took the clock for a cursor would miss what it wrote.
 */
export function sendWritten(reply: FastifyReply, modified: Hundredths, json: string): string {
  void reply.header('x-weave-timestamp', weaveTime(modified));
  return sendJson(reply, modified, json);
}

/** Tells the reader that it has the resource already. */
export function sendUnchanged(reply: FastifyReply, modified: Hundredths): void {
  void reply.header('x-last-modified', weaveTime(modified)).status(304);
}

/** A JSON object of collection names and numbers that are spelled already. */
export function sendMap(
  reply: FastifyReply,
  modified: Hundredths,
  entries: [name: string, number: string][],
): string {
  void reply.header('x-weave-records', entries.length);
  const members = entries.map(([name, number]) => `${JSON.stringify(name)}:${number}`);
  return sendJson(reply, modified, `{${members.join(',')}}`);
}

/**
 * Sends a page of a list. One chunk is a text. A longer page is written as fast as the client
 * takes it: it waits with two chunks in memory and no connection to the database, for a while.
 */
export function sendPage(
  reply: FastifyReply,
  { modified, count, records, rest }: Page,
  format: ListFormat,
  toJson: (record: BsoRow) => string,
): string | Readable {
  void reply
    .header('x-last-modified', weaveTime(modified))
    .header('x-weave-records', count)
    .header('content-type', format);
  const [open, between, end, close] =
    format === 'application/newlines' ? ['', '', '\n', ''] : ['[', ',', '', ']'];
  const join = (part: BsoRow[]) => part.map((record) => toJson(record) + end).join(between);
  const first = open + join(records);
  if (!rest) return first + close;
  return trickle(
    first,
    map(rest, (part) => between + join(part)),
    close,
  );
}

/** Changes each part, when it is asked for. */
export async function* map<A, B>(
  parts: AsyncIterable<A>,
  change: (part: A) => B,
): AsyncGenerator<B> {
  for await (const part of parts) yield change(part);
}

/** Writes an answer part by part, as fast as the reader takes it, and forgets what it wrote. */
export function trickle(
  first: string | Buffer,
  parts: AsyncIterable<string | Buffer>,
  last: string,
): Readable {
  let pending: Buffer | undefined = Buffer.from(first);
  async function* chunks() {
    const beginning = pending;
    pending = undefined;
    yield beginning;
    for await (const part of parts) yield Buffer.from(part);
    yield Buffer.from(last);
  }
  return Readable.from(chunks());
}

/** Tells a writer how many KiB are left, when they are few. */
export function warnOfQuota(reply: FastifyReply, room: number): void {
  if (room >= QUOTA_WARNING_BYTES) return;
  void reply.header('x-weave-quota-remaining', (Math.max(0, room) / 1024).toFixed(2));
}

/** From this many bytes below the quota on, writers are told what is left. */
const QUOTA_WARNING_BYTES = 1024 * 1024;

/** The id of a record alone. */
export const idJson = ({ id }: BsoRow): string => JSON.stringify(id);

/** A record with its time's two decimals. JSON escapes every line feed, so it is one line. */
export function bsoJson({ id, modified, sortindex, payload }: BsoRow): string {
  const index = sortindex === null ? '' : `,"sortindex":${sortindex}`;
  return `{"id":${JSON.stringify(id)},"modified":${weaveTime(modified)}${index},"payload":${JSON.stringify(payload)}}`;
}

/**
 * Chooses the form of a list by the caller's `Accept`. The first of the best wins, and JSON where
 * anything will do.
 *
 * @throws Failure `not-acceptable`
 */
export function negotiate(accept: string | undefined): ListFormat {
  if (accept === undefined || accept.trim() === '') return 'application/json';
  let best: { format: ListFormat; quality: number } | undefined;
  for (const range of accept.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase());
    const format = formats.get(type);
    const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
    const quality = q === undefined ? 1 : Number(q);
    if (format && quality > (best?.quality ?? 0)) best = { format, quality };
  }
  if (!best) throw new Failure('not-acceptable', 'There is JSON and application/newlines.');
  return best.format;
}

const formats = new Map<string, ListFormat>([
  ['*/*', 'application/json'],
  ['application/*', 'application/json'],
  ['application/json', 'application/json'],
  ['application/newlines', 'application/newlines'],
]);
