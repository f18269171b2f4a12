import { type ListQuery, NO_SORTINDEX } from './list-query.ts';
import type { Hundredths } from './weave-time.ts';

/** A record as it is read; without a payload when only ids were asked for. */
export interface BsoRow {
  id: string;
  modified: Hundredths;
  sortindex: number | null;
  payload?: string;
}

/**
 * Reads a page and its collection's time in one statement, so in one snapshot: no lock is needed
 * for the two to agree. A collection without a fitting record is one row without an id. One row
 * more than the limit is read, to know whether there is a next page.
 */
export function listStatement(
  place: {
    uid: number;
    collection: string;
    now: Hundredths;
    modifiedSince: Hundredths | undefined;
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
  return [
    `SELECT c.modified AS last_modified, b.*
       FROM user_collection c
       LEFT JOIN LATERAL (
         SELECT r.id, r.modified, r.sortindex, ${key} AS place${query.full ? ', r.payload' : ''}
           FROM bso r
          WHERE ${filters.join(' AND ')}
          ORDER BY ${key} ${order}, r.id ${order}
          LIMIT ${limit}
       ) b ON true
      WHERE c.uid = $1 AND c.collection = $2 AND NOT c.deleted
      ORDER BY b.place ${order}, b.id ${order}`,
    parameters,
  ];
}
