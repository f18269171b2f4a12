import { Failure } from '#lib/protocol';
import { isId } from './bso.ts';
import { type Hundredths, parseWeaveTime } from './weave-time.ts';

/** A query string, as Fastify reads it: a name that occurs twice has a list of values. */
export type RawQuery = Readonly<Record<string, string | string[] | undefined>>;

/** The last record of a page: the next one begins after it. */
export interface Mark {
  /** The modification time, or the sortindex when sorted by that. */
  value: number;
  id: string;
}

/** Which records of a collection, in which order. */
export interface ListQuery {
  ids: string[] | undefined;
  newer: Hundredths | undefined;
  older: Hundredths | undefined;
  full: boolean;
  limit: number;
  after: Mark | undefined;
  sort: Sort;
  /** What only Storage 1.1 can ask for, and only its records have. */
  legacy?: LegacyFilter | undefined;
}

/** Filters of Storage 1.1. */
export interface LegacyFilter {
  above: number | undefined;
  below: number | undefined;
  parent: string | undefined;
  predecessor: string | undefined;
  /** Records to leave out at the beginning. */
  skip: number;
}

/** The orders of a list. */
export const sorts = ['newest', 'oldest', 'index'] as const;
export type Sort = (typeof sorts)[number];

/** Records without a sortindex come after every record with one. */
export const NO_SORTINDEX = -1_000_000_000;

/**
 * Reads the query of a list. Unknown names are ignored.
 *
 * @param pageRecordsMax - cuts a page short, whatever `limit` says
 * @throws Failure `invalid-parameter`
 * @see Storage API 1.5, "GET storage/<collection>"
 */
export function readListQuery(query: RawQuery, pageRecordsMax: number): ListQuery {
  const limit = one(query, 'limit');
  if (limit !== undefined && !/^\d{1,15}$/.test(limit)) throw bad('limit is a whole number.');
  const sort = sorts.find((name) => name === (one(query, 'sort') ?? 'newest'));
  if (!sort) throw bad(`sort is one of ${sorts.join(', ')}.`);
  const newer = one(query, 'newer');
  const older = one(query, 'older');
  const offset = one(query, 'offset');
  return {
    ids: readIds(query),
    newer: newer === undefined ? undefined : parseWeaveTime(newer),
    older: older === undefined ? undefined : parseWeaveTime(older, 'up'),
    full: query['full'] !== undefined,
    limit: Math.min(limit === undefined ? pageRecordsMax : Number(limit), pageRecordsMax),
    after: offset === undefined ? undefined : readOffset(offset, sort),
    sort,
  };
}

/**
 * Reads `ids`, a list with commas. Present but empty, it names no record.
 *
 * @throws Failure `invalid-parameter` for more than 100, or one that cannot be an id
 */
export function readIds(query: RawQuery): string[] | undefined {
  const ids = one(query, 'ids')
    ?.split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '');
  if (ids && ids.length > 100) throw bad('ids names more than 100 records.');
  if (ids && !ids.every(isId)) throw bad('ids names what cannot be an id.');
  return ids;
}

/** The text of `X-Weave-Next-Offset`; opaque to clients, and of the base64url alphabet. */
export function toOffset({ value, id }: Mark, sort: Sort): string {
  return Buffer.from(`${sort}:${value}:${id}`).toString('base64url');
}

function readOffset(offset: string, sort: Sort): Mark {
  const text = Buffer.from(offset, 'base64url').toString('latin1');
  const [, order, value, id] = /^([a-z]+):(-?\d{1,15}):([ -~]{1,64})$/.exec(text) ?? [];
  const mark = { value: Number(value), id: id ?? '' };
  // No sortindex is beyond this, and the database has no larger ones.
  const isOdd = sort === 'index' && !(Math.abs(mark.value) <= -NO_SORTINDEX);
  if (order !== sort || id === undefined || isOdd) throw bad('offset is not one of this list.');
  return mark;
}

/** What a POST has to do with batches. Undefined: nothing. */
export interface BatchStep {
  /** Undefined: a new one. */
  id: string | undefined;
  commit: boolean;
}

const BATCH_ID = /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/;

/**
 * Reads `batch` and `commit`. To begin a batch and commit it at once is to make a plain POST.
 *
 * @throws Failure `invalid-parameter`, also for what cannot be the id of a batch
 * @see Storage API 1.5, "Batch uploads"
 */
export function readBatch(query: RawQuery): BatchStep | undefined {
  const batch = one(query, 'batch');
  const commit = one(query, 'commit');
  if (commit !== undefined && commit.toLowerCase() !== 'true') throw bad('commit is true.');
  if (batch === undefined) {
    if (commit !== undefined) throw bad('There is nothing to commit without a batch.');
    return undefined;
  }
  const isNew = batch === '' || batch.toLowerCase() === 'true';
  if (isNew) return commit === undefined ? { id: undefined, commit: false } : undefined;
  if (!BATCH_ID.test(batch)) throw bad('There is no such batch.');
  return { id: batch, commit: commit !== undefined };
}

/** @throws Failure `invalid-parameter` for a name that occurs twice */
export function one(query: RawQuery, name: string): string | undefined {
  const value = query[name];
  if (Array.isArray(value)) throw bad(`${name} occurs more than once.`);
  return value;
}

const bad = (why: string) => new Failure('invalid-parameter', why);
