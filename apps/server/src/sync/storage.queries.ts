import { type ListQuery, NO_SORTINDEX } from './list-query.ts';
import type { Hundredths } from './weave-time.ts';

/** A record as it is read. */
export interface BsoRow {
  id: string;
  modified: Hundredths;
  sortindex: number | null;
  /** Empty when only ids were asked for. */
  payload: string;
}

/** A row of a page. */
export interface ListRow {
  last_modified: Hundredths;
  /** Null on the one row of a collection without a fitting record. */
  id: string | null;
  modified: Hundredths;
  sortindex: number | null;
  /** Null beyond the page. */
  payload: string | null;
}

/**
 * Reads a page and its collection's time in one statement, so in one snapshot: no lock is needed
 * for the two to agree. A collection without a fitting record is one row without an id. One row
 * more than the limit is read, to know whether there is a next page; of records beyond the bytes of
 * a page the payload stays where it is.
 */
export function listStatement(
  place: {
    uid: number;
    collection: string;
    now: Hundredths;
    modifiedSince: Hundredths | undefined;
    /** A page ends with the payload that reaches it. */
    bytesMax: number;
  },
  query: ListQuery,
): [text: string, parameters: unknown[]] {
  const parameters: unknown[] = [place.uid, place.collection, place.now];
  const value = (given: unknown) => `$${parameters.push(given)}`;
  const key = query.sort === 'index' ? `COALESCE(r.sortindex, ${NO_SORTINDEX})` : 'r.modified';
  const [order, beyond] = query.sort === 'oldest' ? ['ASC', '>'] : ['DESC', '<'];

  const filters = ['r.uid = $1', 'r.collection = $2', '(r.expires IS NULL OR r.expires > $3)'];
  if (query.ids) filters.push(`r.id = ANY (${value(query.ids)}::text[])`);
  if (query.newer !== undefined) filters.push(`r.modified > ${value(query.newer)}`);
  if (query.older !== undefined) filters.push(`r.modified < ${value(query.older)}`);
  if (query.after) {
    filters.push(
      `(${key}, r.id) ${beyond} (${value(query.after.value)}, ${value(query.after.id)})`,
    );
  }
  if (place.modifiedSince !== undefined) {
    filters.push(`c.modified > ${value(place.modifiedSince)}`);
  }
  const limit = value(query.limit === 0 ? 0 : query.limit + 1);
  const sorting = `${key} ${order}, r.id ${order}`;
  const [columns, payload] = query.full
    ? [
        `r.payload, sum(r.bytes) OVER (ORDER BY ${sorting} ROWS UNBOUNDED PRECEDING) - r.bytes AS offset_bytes`,
        `CASE WHEN b.offset_bytes < ${value(place.bytesMax)} THEN b.payload END`,
      ]
    : ['r.bytes', `''`];
  return [
    `SELECT c.modified AS last_modified, b.id, b.modified, b.sortindex, ${payload} AS payload
       FROM user_collection c
       LEFT JOIN LATERAL (
         SELECT r.id, r.modified, r.sortindex, ${key} AS place, ${columns}
           FROM bso r
          WHERE ${filters.join(' AND ')}
          ORDER BY ${sorting}
          LIMIT ${limit}
       ) b ON true
      WHERE c.uid = $1 AND c.collection = $2 AND NOT c.deleted
      ORDER BY b.place ${order}, b.id ${order}`,
    parameters,
  ];
}
