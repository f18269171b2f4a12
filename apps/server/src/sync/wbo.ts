import { Failure } from '#lib/protocol';
import { type BsoChange, decode, isId, isObject, parse, UNSTORABLE } from './bso.ts';

/** Records of Storage 1.1 to write, and why others of the same request are not. */
export interface LegacyUpload {
  changes: BsoChange[];
  /** Reasons by id; by nothing for those without one. */
  failed: Map<string, string[]>;
}

/** Bytes, records and characters that one request may carry. */
export interface LegacyLimits {
  payloadBytes: number;
  postRecords: number;
  /** Of payloads, in characters. */
  postLength: number;
}

const SORTINDEX_MAX = 999_999_999;
/** A year. */
const TTL_MAX = 31_536_000;
const FIELDS = ['payload', 'sortindex', 'ttl', 'parentid', 'predecessorid'] as const;

/**
 * Reads the body of a PUT to a record.
 *
 * @param id - from the path; it wins over one in the body
 * @throws Failure `invalid-json`, `invalid-bso`
 */
export function readWbo(body: Uint8Array, id: string, limits: LegacyLimits): BsoChange {
  return expectChange(parse(decode(body)), limits, id);
}

/**
 * Reads the body of a POST, or of a PUT to a collection: a list, or one record that is answered as
 * a PUT of it. An id that occurs again changes what came before it in the list.
 *
 * @throws Failure `invalid-json`, `invalid-bso` for one record that is not valid, or no record
 * @see Storage API 1.1, "POST storage/<collection>"
 */
export function readWbos(body: Uint8Array, limits: LegacyLimits): LegacyUpload | BsoChange {
  const list = parse(decode(body));
  if (!Array.isArray(list)) {
    const change = expectChange(list, limits);
    if (change.id.includes('/')) throw new Failure('invalid-bso', 'The id is no part of a path.');
    return change;
  }
  const changes = new Map<string, BsoChange>();
  const failed = new Map<string, string[]>();
  let length = 0;
  for (const [i, value] of (list as unknown[]).entries()) {
    const change = toChange(value, limits);
    if ('reason' in change) failed.set(change.id, [change.reason]);
    else if (i >= limits.postRecords) failed.set(change.id, ['retry wbo']);
    else if (length + (change.payload?.length ?? 0) > limits.postLength) {
      failed.set(change.id, ['retry bytes']);
    } else {
      length += change.payload?.length ?? 0;
      changes.set(change.id, over(changes.get(change.id), change));
    }
  }
  for (const id of failed.keys()) changes.delete(id);
  return { changes: [...changes.values()], failed };
}

function over(earlier: BsoChange | undefined, later: BsoChange): BsoChange {
  if (!earlier) return later;
  const merged = { ...earlier };
  // A lifetime that is not given again ends with the write that gave it.
  for (const name of FIELDS) {
    if (name === 'ttl' || later[name] !== undefined) Object.assign(merged, { [name]: later[name] });
  }
  return merged;
}

function expectChange(value: unknown, limits: LegacyLimits, id?: string): BsoChange {
  const given = id !== undefined && isObject(value) ? { ...value, id } : value;
  const change = toChange(given, limits);
  if ('reason' in change) throw new Failure('invalid-bso', change.reason);
  return change;
}

/** Unknown fields are dropped, null is not given, and numbers may be text. */
function toChange(
  value: unknown,
  { payloadBytes }: LegacyLimits,
): BsoChange | { id: string; reason: string } {
  if (!isObject(value)) return { id: '', reason: 'invalid wbo' };
  if (Object.values(value).some((field) => typeof field === 'object' && field !== null)) {
    return { id: '', reason: 'invalid wbo' };
  }
  const id = textOf(value['id']);
  if (id === undefined || !isId(id)) return { id: '', reason: 'invalid id' };
  const bad = (reason: string) => ({ id, reason });
  const parentid = textOf(value['parentid']);
  if (parentid !== undefined && !isParent(parentid)) return bad('invalid parentid');
  const predecessorid = textOf(value['predecessorid']);
  if (predecessorid !== undefined && !isParent(predecessorid)) return bad('invalid predecessorid');
  const ttl = integerOf(value['ttl']);
  if (ttl !== undefined && !(ttl >= 0 && ttl <= TTL_MAX)) return bad('invalid ttl');
  const sortindex = integerOf(value['sortindex']);
  if (sortindex !== undefined && !(Math.abs(sortindex) <= SORTINDEX_MAX)) {
    return bad('invalid sortindex');
  }
  const payload = value['payload'] ?? undefined;
  if (payload !== undefined && typeof payload !== 'string') return bad('payload not a string');
  if (payload !== undefined && UNSTORABLE.test(payload)) return bad('payload not a string');
  if (payload !== undefined && Buffer.byteLength(payload) > payloadBytes) {
    return bad('payload too large');
  }
  return { id, payload, sortindex, ttl, parentid, predecessorid };
}

const isParent = (id: string) => id === '' || isId(id);

function textOf(value: unknown): string | undefined {
  if (value === undefined || value === null || typeof value === 'string') return value ?? undefined;
  return JSON.stringify(value);
}

/** @returns NaN for what is no number */
function integerOf(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && !/^\s*[-+]?(\d+(\.\d*)?|\.\d+)\s*$/.test(value)) return NaN;
  return Math.trunc(Number(value)) + 0; // no -0
}
