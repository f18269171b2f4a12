import type { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { BsoRow } from './storage.queries.ts';
import type { Page } from './storage-reader.service.ts';
import { idJson, map, trickle } from './weave-reply.ts';
import { weaveTime } from './weave-time.ts';

type LegacyFormat = 'application/json' | 'application/newlines' | 'application/whoisi';

/** Sends a page of a list of Storage 1.1, a long one as fast as the client takes it. */
export function sendLegacyPage(
  reply: FastifyReply,
  { count, records, rest }: Page,
  format: LegacyFormat,
  isFull: boolean,
): Buffer | Readable {
  void reply.header('x-weave-records', count).header('content-type', format);
  const toJson = isFull ? wboJson : idJson;
  const isJson = format === 'application/json';
  const join = (part: BsoRow[], isFirst: boolean) => {
    const values = part.map(toJson);
    if (isJson) return Buffer.from((isFirst ? '[' : ',') + values.join(','));
    if (format === 'application/newlines') {
      return Buffer.from(values.map((value) => `${value}\n`).join(''));
    }
    return Buffer.concat(values.map(framed));
  };
  const close = isJson ? ']' : '';
  const first = join(records, true);
  if (!rest) return Buffer.concat([first, Buffer.from(close)]);
  return trickle(
    first,
    map(rest, (part) => join(part, false)),
    close,
  );
}

/** A length of four bytes and the text of that length. */
function framed(json: string): Buffer {
  const text = Buffer.from(json);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(text.length);
  return Buffer.concat([length, text]);
}

/** A record of Storage 1.1: with the fields that are not null. */
export function wboJson(row: BsoRow): string {
  const member = (name: 'parentid' | 'predecessorid') =>
    row[name] == null ? '' : `,"${name}":${JSON.stringify(row[name])}`;
  const index = row.sortindex === null ? '' : `,"sortindex":${row.sortindex}`;
  const modified = weaveTime(row.modified);
  return `{"id":${JSON.stringify(row.id)},"modified":${modified}${index}${member('parentid')}${member('predecessorid')},"payload":${JSON.stringify(row.payload)}}`;
}

/** The first form of `Accept` that there is; JSON for every other one. */
export function negotiateLegacy(accept = ''): LegacyFormat {
  const types = accept.split(',').map((range) => (range.split(';')[0] ?? '').trim().toLowerCase());
  return formats.find((format) => types.includes(format)) ?? 'application/json';
}

// Who takes several gets the one that the documents prefer.
const formats = ['application/whoisi', 'application/newlines', 'application/json'] as const;
