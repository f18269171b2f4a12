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

/** A row of a page: the collection's, which comes first, or one of a record. */
export interface ListRow {
  /** Of the collection; null on a record. */
  last_modified: Hundredths | null;
  /** No change that this snapshot does not show will ever have this time or an earlier one. */
  seen_until: Hundredths | null;
  /** Null on the collection's row. */
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

/**
 * The collection's time, and how far this snapshot can see. Most collections are there and not being
 * moved, which their row says; of the others the database has to ask more.
 */
const COLLECTION = `
  SELECT CASE WHEN c.deleted THEN 0 ELSE COALESCE(c.modified, 0) END AS last_modified,
         COALESCE(GREATEST(c.modified,
                           CASE WHEN c.frozen IS FALSE THEN storage_seen_since($1, $2, c.modified)
                                ELSE storage_seen_until($1, $2, c.modified) END), 0) AS seen_until`;
const FROM_COLLECTION = `
    FROM (VALUES (1)) always LEFT JOIN user_collection c ON c.uid = $1 AND c.collection = $2`;

/**
 * Reads the collection's time and the first records of a list in one statement, so in one snapshot:
 * no lock is needed for the two to agree. The row without an id is the collection's. One row more
 * than the limit is read, to know whether there are more; of records beyond the bytes of a chunk the
 * payload stays where it is. Records are in the order of the list: nothing here can run in parallel.
 */
export function listStatement(place: Place, query: ListQuery): Statement {
  const { parameters, value, key, source, filters, order, sorting } = selection(place, query);
  const { modifiedSince } = place;
  if (modifiedSince !== undefined) {
    filters.push(`(SELECT c.modified FROM user_collection c
                    WHERE c.uid = $1 AND c.collection = $2) > ${value(modifiedSince)}`);
  }
  const { legacy } = query;
  const limit = value(query.limit === 0 ? 0 : query.limit + 1);
  const skip = legacy && !query.after && legacy.skip > 0 ? ` OFFSET ${value(legacy.skip)}` : '';
  const offset = `sum(r.bytes) OVER (ORDER BY ${sorting} ROWS UNBOUNDED PRECEDING) - r.bytes`;
  const page = (columns: string, last: string) => `
       SELECT ${columns}${legacy ? ', r.parentid, r.predecessorid' : ''}${last}
         FROM ${source}
        WHERE ${filters.join(' AND ')}
        ORDER BY ${sorting}
        LIMIT ${limit}${skip}`;
  return [
    `${COLLECTION}, NULL::text AS id, NULL::bigint AS modified, NULL::integer AS sortindex,
            NULL::text AS payload, NULL::bigint AS offset_bytes${
              legacy ? ', NULL::text AS parentid, NULL::text AS predecessorid' : ''
            }${FROM_COLLECTION}
     UNION ALL (${records()})`,
    parameters,
  ];

  function records(): string {
    const head = 'NULL::bigint, NULL::bigint';
    const own = 'r.id, r.modified, r.sortindex';
    if (!query.full) return page(`${head}, ${own}, '', 0`, '');
    const chunkBytes = value(place.chunkBytes);
    const columns = `b.id, b.modified, b.sortindex`;
    const outer = legacy ? ', b.parentid, b.predecessorid' : '';
    if (query.sort !== 'index') {
      return `
       SELECT ${head}, ${columns}, CASE WHEN b.offset_bytes < ${chunkBytes} THEN b.payload END,
              b.offset_bytes${outer}
         FROM (${page(`${own}, r.payload, ${offset} AS offset_bytes`, '')}) b`;
    }
    // No index has the order of sortindex: all of the collection is sorted, so without its payloads.
    return `
       SELECT ${head}, ${columns}, p.payload, b.offset_bytes${outer}
         FROM (${page(`${own}, ${offset} AS offset_bytes`, `, ${key} AS place`)}) b
         LEFT JOIN bso p ON b.offset_bytes < ${chunkBytes}
           AND p.uid = $1 AND p.collection = $2 AND p.id = b.id
        ORDER BY b.place ${order}, b.id ${order}`;
  }
}

/**
 * Where a page ends that begins after a mark, without its payloads: how many records it has, the
 * last of them, and how many there are up to one beyond the limit. No row: there is none.
 *
 * @param bytes - of payloads: the page ends with the one that reaches them
 */
export function extentStatement(place: Place, query: ListQuery, bytes: number): Statement {
  const { parameters, value, key, source, filters, order, sorting } = selection(place, query);
  const limit = value(query.limit);
  return [
    `WITH b AS (
       SELECT r.id, ${key} AS place, row_number() OVER w AS number,
              sum(r.bytes) OVER w - r.bytes AS offset_bytes
         FROM ${source}
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

  const filters = ['(r.expires IS NULL OR r.expires > $3)'];
  let source = 'bso r';
  if (query.ids) {
    // By the primary key whatever the statistics say: only it gives a range of ids in their order.
    source = `(SELECT DISTINCT id FROM unnest(${value(query.ids)}::text[]) id) g,
              LATERAL (SELECT * FROM bso b
                        WHERE b.uid = $1 AND b.collection = $2 AND b.id >= g.id AND b.id <= g.id
                        ORDER BY b.id LIMIT 1) r`;
  } else {
    filters.push('r.uid = $1', 'r.collection = $2');
  }
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
  return {
    parameters,
    value,
    key,
    source,
    filters,
    order,
    sorting: `${key} ${order}, r.id ${order}`,
  };
}
