import { type ListQuery, NO_SORTINDEX } from './list-query.ts';
import type { Hundredths } from './weave-time.ts';

/** A record as it is read. */
export interface BsoRow {
  id: string;
  modified: Hundredths;
  sortindex: number | null;
  /** Empty when only ids were asked for. */
  payload: string;
  /** Of Storage 1.1, when it asks. */
  parentid?: string | null;
  predecessorid?: string | null;
}

/** A row of a page. */
export interface ListRow {
  last_modified: Hundredths;
  /** No change that this snapshot does not show will ever have this time or an earlier one. */
  seen_until: Hundredths;
  /** Null on the one row of a collection without a fitting record. */
  id: string | null;
  modified: Hundredths;
  sortindex: number | null;
  /** Null beyond the first bytes. */
  payload: string | null;
  /** Of the payloads before this one. */
  offset_bytes: number;
  parentid?: string | null;
  predecessorid?: string | null;
}

/** What one statement reads. */
interface Place {
  uid: number;
  collection: string;
  now: Hundredths;
  /** A collection that is not newer is not read. */
  modifiedSince: Hundredths | undefined;
  /** Of payloads: it ends with the one that reaches it. */
  chunkBytes: number;
  /** A later part of a page: what changed since its first belongs to a later list. */
  until: Hundredths | undefined;
}

const SEEN_UNTIL = `
  (SELECT storage_seen_until($1, $2, (SELECT modified FROM user_collection
                                       WHERE uid = $1 AND collection = $2)))`;

/**
 * Reads the first records of a list and the collection's time in one statement, so in one snapshot:
 * no lock is needed for the two to agree. Without a fitting record there is one row without an id.
 * One row more than the limit is read, to know whether there are more; of records beyond the bytes
 * of a chunk the payload stays where it is.
 */
export function listStatement(place: Place, query: ListQuery): Statement {
  const { parameters, value, key, filters, order, sorting } = selection(place, query);
  if (place.modifiedSince !== undefined) {
    filters.push(`c.modified > ${value(place.modifiedSince)}`);
  }
  const { legacy } = query;
  const limit = value(query.limit === 0 ? 0 : query.limit + 1);
  const skip = legacy && !query.after && legacy.skip > 0 ? ` OFFSET ${value(legacy.skip)}` : '';
  // No index has the order of sortindex: all of the collection is sorted, so without its payloads.
  const isNarrow = query.full && query.sort === 'index';
  const [columns, payload] = query.full
    ? [
        `${isNarrow ? '' : 'r.payload, '}sum(r.bytes) OVER (ORDER BY ${sorting} ROWS UNBOUNDED PRECEDING) - r.bytes AS offset_bytes`,
        isNarrow
          ? 'p.payload'
          : `CASE WHEN b.offset_bytes < ${value(place.chunkBytes)} THEN b.payload END`,
      ]
    : ['0 AS offset_bytes', `''`];
  const [inner, outer] = legacy
    ? [', r.parentid, r.predecessorid', ', b.parentid, b.predecessorid']
    : ['', ''];
  return [
    `SELECT COALESCE(c.modified, 0) AS last_modified,
            COALESCE(GREATEST(c.modified, ${SEEN_UNTIL}), 0) AS seen_until,
            b.id, b.modified, b.sortindex, ${payload} AS payload, b.offset_bytes${outer}
       FROM (VALUES (1)) always
       LEFT JOIN user_collection c ON c.uid = $1 AND c.collection = $2 AND NOT c.deleted
       LEFT JOIN LATERAL (
         SELECT r.id, r.modified, r.sortindex, ${key} AS place, ${columns}${inner}
           FROM bso r
          WHERE c.uid IS NOT NULL AND ${filters.join(' AND ')}
          ORDER BY ${sorting}
          LIMIT ${limit}${skip}
       ) b ON true${
         isNarrow
           ? `
       LEFT JOIN bso p ON b.offset_bytes < ${value(place.chunkBytes)}
         AND p.uid = $1 AND p.collection = $2 AND p.id = b.id`
           : ''
       }
      ORDER BY b.place ${order}, b.id ${order}`,
    parameters,
  ];
}

/**
 * Where a page ends that begins after a mark, without its payloads: how many records it has, the
 * last of them, and how many there are up to one beyond the limit. No row: there is none.
 *
 * @param bytes - of payloads: the page ends with the one that reaches them
 */
export function extentStatement(place: Place, query: ListQuery, bytes: number): Statement {
  const { parameters, value, key, filters, order, sorting } = selection(place, query);
  const limit = value(query.limit);
  return [
    `WITH b AS (
       SELECT r.id, ${key} AS place, row_number() OVER w AS number,
              sum(r.bytes) OVER w - r.bytes AS offset_bytes
         FROM bso r
        WHERE ${filters.join(' AND ')}
       WINDOW w AS (ORDER BY ${sorting} ROWS UNBOUNDED PRECEDING)
        ORDER BY ${sorting}
        LIMIT ${limit} + 1)
     SELECT number AS count, place AS value, id, (SELECT count(*) FROM b) AS available
       FROM b WHERE number <= ${limit} AND offset_bytes < ${value(bytes)}
      ORDER BY place ${order === 'ASC' ? 'DESC' : 'ASC'}, id ${order === 'ASC' ? 'DESC' : 'ASC'}
      LIMIT 1`,
    parameters,
  ];
}

type Statement = [text: string, parameters: unknown[]];

/** What the filters and the order of a list are in SQL. */
function selection(place: Place, query: ListQuery) {
  const parameters: unknown[] = [place.uid, place.collection, place.now];
  const value = (given: unknown) => `$${parameters.push(given)}`;
  const key = query.sort === 'index' ? `COALESCE(r.sortindex, ${NO_SORTINDEX})` : 'r.modified';
  const [order, beyond] = query.sort === 'oldest' ? ['ASC', '>'] : ['DESC', '<'];

  const filters = ['r.uid = $1', 'r.collection = $2', '(r.expires IS NULL OR r.expires > $3)'];
  if (query.ids) filters.push(`r.id = ANY (${value(query.ids)}::text[])`);
  if (query.newer !== undefined) filters.push(`r.modified > ${value(query.newer)}`);
  if (query.older !== undefined) filters.push(`r.modified < ${value(query.older)}`);
  if (place.until !== undefined) filters.push(`r.modified <= ${value(place.until)}`);
  if (query.after) {
    filters.push(
      `(${key}, r.id) ${beyond} (${value(query.after.value)}, ${value(query.after.id)})`,
    );
  }
  const { legacy } = query;
  if (legacy?.above !== undefined) {
    filters.push(`r.sortindex > ${value(legacy.above)}::double precision`);
  }
  if (legacy?.below !== undefined) {
    filters.push(`r.sortindex < ${value(legacy.below)}::double precision`);
  }
  if (legacy?.parent !== undefined) filters.push(`r.parentid = ${value(legacy.parent)}`);
  if (legacy?.predecessor !== undefined) {
    filters.push(`r.predecessorid = ${value(legacy.predecessor)}`);
  }
  return { parameters, value, key, filters, order, sorting: `${key} ${order}, r.id ${order}` };
}
