import type { IncomingHttpHeaders } from 'node:http';
import { Failure } from '#lib/protocol';
import { isId } from './bso.ts';
import { type ListQuery, one, type RawQuery, type Sort, sorts } from './list-query.ts';
import type { DeleteFilter } from './storage-writer.service.ts';
import type { Hundredths } from './weave-time.ts';

/** A list of Storage 1.1, and whether the client said where it ends. */
export interface LegacyListQuery extends ListQuery {
  isLimited: boolean;
}

interface Filters {
  ids: string[] | undefined;
  newer: Hundredths | undefined;
  older: Hundredths | undefined;
  above: number | undefined;
  below: number | undefined;
  parent: string | undefined;
  predecessor: string | undefined;
  sort: Sort | undefined;
  limit: number | undefined;
  skip: number;
}

/**
 * Reads the query of a list. Without an order that exists, it is the oldest first, so that a list
 * that is cut can go on by time.
 *
 * @param pageRecordsMax - cuts a page short, whatever `limit` says
 * @throws Failure `invalid-parameter` for what is no number
 * @see Storage API 1.1, "GET storage/<collection>"
 */
export function readLegacyList(query: RawQuery, pageRecordsMax: number): LegacyListQuery {
  const { ids, newer, older, sort = 'oldest', limit, skip, ...legacy } = readFilters(query);
  return {
    ...{ ids, newer, older, sort },
    full: (one(query, 'full') ?? '') !== '',
    limit: Math.min(limit ?? pageRecordsMax, pageRecordsMax),
    isLimited: limit !== undefined && limit <= pageRecordsMax,
    after: undefined,
    legacy: { ...legacy, skip },
  };
}

/**
 * Reads which records a DELETE is for.
 *
 * @returns undefined for the whole collection
 * @throws Failure `invalid-parameter`
 */
export function readDeleteFilter(query: RawQuery): DeleteFilter | undefined {
  const { skip, ...filter } = readFilters(query);
  const isAll = Object.entries(filter).every(
    ([name, value]) => name === 'sort' || value === undefined,
  );
  return isAll ? undefined : { ...filter, ...(skip > 0 && { offset: skip }) };
}

function readFilters(query: RawQuery): Filters {
  const sort = one(query, 'sort');
  const limit = positive(query, 'limit');
  const skip = positive(query, 'offset');
  const ids = one(query, 'ids')?.split(',');
  const parent = one(query, 'parentid');
  const predecessor = one(query, 'predecessorid');
  // What cannot be an id names no record.
  const isNobody = [parent, predecessor].some((id) => id !== undefined && !isId(id));
  return {
    ids: isNobody ? [] : ids?.filter(isId),
    newer: time(one(query, 'newer')),
    older: time(one(query, 'older')),
    above: number(one(query, 'index_above')),
    below: number(one(query, 'index_below')),
    parent: isNobody ? undefined : parent,
    predecessor: isNobody ? undefined : predecessor,
    sort: sorts.find((name) => name === sort),
    limit,
    skip: limit === undefined ? 0 : (skip ?? 0),
  };
}

/** Reads `X-If-Unmodified-Since`. @throws Failure `invalid-parameter` */
export function readUnmodifiedSince(headers: IncomingHttpHeaders): Hundredths | undefined {
  const text = headers['x-if-unmodified-since'];
  return time(typeof text === 'string' ? text : undefined);
}

function time(text: string | undefined): Hundredths | undefined {
  const seconds = number(text);
  if (seconds === undefined) return undefined;
  const hundredths = Math.round(seconds * 100);
  return Math.max(-1, Math.min(hundredths, Number.MAX_SAFE_INTEGER)) + 0;
}

function number(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\s*[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?\s*$/i.test(text) ? Number(text) : NaN;
  if (!Number.isFinite(value)) throw new Failure('invalid-parameter', 'That is not a number.');
  return value;
}

/** Zero and less are as if they were not given. */
function positive(query: RawQuery, name: string): number | undefined {
  const text = one(query, name);
  if (text === undefined) return undefined;
  if (!/^\s*[-+]?\d{1,15}\s*$/.test(text)) {
    throw new Failure('invalid-parameter', `${name} is a whole number.`);
  }
  const value = Number(text);
  return value > 0 ? value : undefined;
}
