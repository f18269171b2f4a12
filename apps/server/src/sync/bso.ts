import { z } from 'zod';
import { Failure } from '#lib/protocol';

/** A record as a client writes it. What is undefined keeps the value it has. */
export interface BsoChange {
  id: string;
  payload: string | undefined;
  sortindex: number | undefined;
  /** Seconds from the write. */
  ttl: number | undefined;
  /** Of Storage 1.1 alone. */
  parentid?: string | undefined;
  predecessorid?: string | undefined;
}

/** Records to write, and why others of the same request are not. */
export interface Upload {
  changes: BsoChange[];
  /** Reasons by id. */
  failed: Map<string, string>;
}

/** Bytes and records that one request may carry. */
export interface UploadLimits {
  payloadBytes: number;
  postRecords: number;
  postBytes: number;
}

const COLLECTION = /^[A-Za-z0-9._-]{1,32}$/;
const ID = /^[ -~]{1,64}$/;

/** The name of a collection: 1 to 32 characters. */
export const isCollection = (name: string): boolean => COLLECTION.test(name);

/** The id of a record: 1 to 64 printable ASCII characters. */
export const isId = (id: string): boolean => ID.test(id);

// `collection`, `modified` and `payload_size` come back from clients that echo what they read.
const FIELDS = new Set([
  'id',
  'payload',
  'sortindex',
  'ttl',
  'modified',
  'collection',
  'payload_size',
]);
const Sortindex = z.number().int().min(-999_999_999).max(999_999_999);
const Ttl = z.number().int().min(0).max(999_999_999);

/** A key bundle that was encrypted with an IV of zeros: from a client that lost its randomness. */
const KNOWN_BAD_IV = /"IV":\s*"AAAAAAAAAAAAAAAAAAAAAA=="/;

/** NUL, and halves of surrogate pairs: no text of UTF-8 in PostgreSQL can hold them. */
export const UNSTORABLE = /\u0000|\p{Cs}/u;

/**
 * Reads the body of a PUT.
 *
 * @param id - from the path; it wins over one in the body
 * @throws Failure `invalid-json`, or `invalid-bso` for anything wrong with the record
 */
export function readBso(
  { body, collection, id }: { body: Uint8Array; collection: string; id: string },
  limits: UploadLimits,
): BsoChange {
  const value = parse(decode(body));
  if (!isObject(value)) throw new Failure('invalid-bso', 'A record is a JSON object.');
  if (value['id'] != null && !(typeof value['id'] === 'string' && isId(value['id']))) {
    throw new Failure('invalid-bso', 'invalid id');
  }
  const change = toChange({ ...value, id });
  if (typeof change === 'string') throw new Failure('invalid-bso', change);
  if (sizeOf(change) > limits.payloadBytes) throw new Failure('invalid-bso', 'payload too large');
  expectGoodKeys(collection, change);
  return change;
}

/**
 * Reads the body of a POST: a JSON array, or one object on each line.
 *
 * @throws Failure `invalid-json`, or `invalid-bso` when it is not a list of objects with distinct ids
 * @see Storage API 1.5, "POST storage/<collection>"
 */
export function readBsos(
  { body, collection, isLines }: { body: Uint8Array; collection: string; isLines: boolean },
  limits: UploadLimits,
): Upload {
  const text = decode(body);
  const list = isLines ? lines(text).map(parse) : parse(text);
  if (!Array.isArray(list)) throw new Failure('invalid-bso', 'The body is a list of records.');
  const values = list.map((value: unknown) => {
    if (!isObject(value) || typeof value['id'] !== 'string') {
      throw new Failure('invalid-bso', 'A record is a JSON object with an id.');
    }
    return value as Record<string, unknown> & { id: string };
  });
  if (new Set(values.map(({ id }) => id)).size < values.length) {
    throw new Failure('invalid-bso', 'An id occurs twice.');
  }

  const upload: Upload = { changes: [], failed: new Map() };
  let bytes = 0;
  for (const value of values) {
    const change = isId(value.id) ? toChange(value) : 'invalid id';
    const size = typeof change === 'string' ? 0 : sizeOf(change);
    if (typeof change === 'string') upload.failed.set(value.id, change);
    else if (size > limits.payloadBytes) upload.failed.set(value.id, 'payload too large');
    else if (upload.changes.length >= limits.postRecords) upload.failed.set(value.id, 'retry bso');
    else if (bytes + size > limits.postBytes) upload.failed.set(value.id, 'retry bytes');
    else {
      expectGoodKeys(collection, change);
      bytes += size;
      upload.changes.push(change);
    }
  }
  return upload;
}

/** @returns the reason when the record is not valid */
function toChange(value: Record<string, unknown> & { id: string }): BsoChange | string {
  const unknown = Object.keys(value).find((name) => !FIELDS.has(name));
  if (unknown !== undefined) return `unknown field ${unknown}`;
  // A null is a field that was not given, as other servers have it.
  const { id, payload = null, sortindex = null, ttl = null } = value;
  if (payload !== null && typeof payload !== 'string') return 'payload not a string';
  if (payload !== null && UNSTORABLE.test(payload)) return 'payload not text';
  const index = Sortindex.optional().safeParse(sortindex ?? undefined);
  if (!index.success) return 'invalid sortindex';
  const lifetime = Ttl.optional().safeParse(ttl ?? undefined);
  if (!lifetime.success) return 'invalid ttl';
  return { id, payload: payload ?? undefined, sortindex: index.data, ttl: lifetime.data };
}

function expectGoodKeys(collection: string, { payload }: BsoChange): void {
  if (collection === 'crypto' && payload !== undefined && KNOWN_BAD_IV.test(payload)) {
    throw new Failure('invalid-bso', 'The keys were encrypted with an IV of zeros.');
  }
}

const sizeOf = ({ payload }: BsoChange): number => Buffer.byteLength(payload ?? '');

/** The end of the last line may be marked or not; an empty body is no line. */
function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\r?\n$/, '').split('\n');
}

/** @throws Failure `invalid-json` for what is not UTF-8 */
export function decode(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch (cause) {
    throw new Failure('invalid-json', 'The body is not UTF-8.', { cause });
  }
}

/** @throws Failure `invalid-json` */
export function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure('invalid-json', 'The body is not JSON.', { cause });
  }
}

/** Whether JSON is an object, and no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
