import { Injectable } from '@nestjs/common';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { type ListQuery, type Mark, NO_SORTINDEX } from './list-query.ts';
import { Statements } from './statements.ts';
import { type BsoRow, type ListRow, listStatement } from './storage.queries.ts';
import { type Hundredths, toHundredths } from './weave-time.ts';

/** One collection of a store: its time, and what lives in it. */
export interface CollectionSummary {
  collection: string;
  modified: Hundredths;
  records: number;
  /** Of the payloads in UTF-8. */
  bytes: number;
}

/** A page of a collection, and the collection's time in the same snapshot. */
export interface Page {
  /** 0 when there is no such collection. */
  modified: Hundredths;
  /** Whoever asks for what is newer than this misses nothing. */
  seenUntil: Hundredths;
  /** How many records it has. */
  count: number;
  /** The first of them. */
  records: BsoRow[];
  /** The others, when there are any, as the reader takes them. */
  rest: AsyncIterable<BsoRow[]> | undefined;
  /** Where the next page begins, if there is one. */
  next: Mark | undefined;
}

/** Payload bytes that a reader has in memory at a time; the record that reaches them comes whole. */
const CHUNK_BYTES = 512 * 1024;

/** What is in the stores of this node: one statement, and so one snapshot, for each request. */
@Injectable()
export class StorageReaderService {
  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** @returns the collections, and the store's time: that of its latest change, deletions included */
  async collections(
    uid: number,
  ): Promise<{ modified: Hundredths; times: Map<string, Hundredths> }> {
    const rows = await this.statements.run<{
      collection: string;
      modified: Hundredths;
      deleted: boolean;
    }>(`SELECT collection, modified, deleted FROM user_collection WHERE uid = $1`, [uid]);
    const alive = rows.filter(({ deleted }) => !deleted);
    return {
      modified: Math.max(0, ...rows.map(({ modified }) => modified)),
      times: new Map(alive.map(({ collection, modified }) => [collection, modified])),
    };
  }

  /** As {@link collections}, without those that are empty: in 1.1 these do not exist. */
  async filledCollections(uid: number): Promise<Map<string, Hundredths>> {
    const rows = await this.statements.run<{ collection: string; modified: Hundredths }>(
      `SELECT c.collection, c.modified FROM user_collection c
        WHERE c.uid = $1 AND NOT c.deleted
          AND EXISTS (SELECT FROM bso b WHERE b.uid = c.uid AND b.collection = c.collection)`,
      [uid],
    );
    return new Map(rows.map(({ collection, modified }) => [collection, modified]));
  }

  /** Counts what lives in each collection that has a living record. */
  async summaries(
    uid: number,
  ): Promise<{ modified: Hundredths; collections: CollectionSummary[] }> {
    const rows = await this.statements.run<
      Omit<CollectionSummary, 'records' | 'bytes'> & {
        records: number | null;
        bytes: number | null;
      }
    >(
      `SELECT c.collection, c.modified, b.records, b.bytes
         FROM user_collection c
         LEFT JOIN (SELECT collection, count(*) AS records, sum(bytes)::bigint AS bytes
                      FROM bso WHERE uid = $1 AND (expires IS NULL OR expires > $2)
                     GROUP BY collection) b USING (collection)
        WHERE c.uid = $1`,
      [uid, this.now()],
    );
    return {
      modified: Math.max(0, ...rows.map(({ modified }) => modified)),
      collections: rows.flatMap(({ records, bytes, ...row }) =>
        records === null || bytes === null ? [] : [{ ...row, records, bytes }],
      ),
    };
  }

  /**
   * Reads a page. Of a long one the first chunk; each further one takes another statement, when
   * the reader has room for it.
   *
   * @param modifiedSince - when the collection is not newer, no record is read
   */
  async list(
    uid: number,
    collection: string,
    query: ListQuery,
    modifiedSince?: Hundredths,
  ): Promise<Page> {
    const place = { uid, collection, now: this.now(), modifiedSince, chunkBytes: CHUNK_BYTES };
    const rows = await this.statements.run<ListRow>(
      ...listStatement({ ...place, until: undefined }, query),
    );
    const first = rows[0];
    const modified = first?.last_modified ?? 0;
    const fitting = rows.filter(hasId);
    const pageBytes = this.config.limits.storagePageBytesMax;
    const end = fitting.findIndex(({ offset_bytes }) => offset_bytes >= pageBytes);
    const size = Math.min(end < 0 ? fitting.length : end, query.limit);
    const page = fitting.slice(0, query.legacy ? wholeTimes(fitting, size) : size);
    const records = page.filter(isRead);
    const last = page.at(-1);
    const from = records.at(-1);
    const missing = page.length - records.length;
    return {
      modified,
      seenUntil: first?.seen_until ?? 0,
      count: page.length,
      records,
      rest:
        missing > 0 && from
          ? this.rest({ ...place, modifiedSince: undefined, until: modified }, query, {
              after: markOf(from, query),
              count: missing,
            })
          : undefined,
      next: last && rows.length > page.length ? markOf(last, query) : undefined,
    };
  }

  /** What was changed since the page began is left out: it belongs to what is newer than the page. */
  private async *rest(
    place: Parameters<typeof listStatement>[0],
    query: ListQuery,
    from: { after: Mark; count: number },
  ): AsyncGenerator<BsoRow[]> {
    let { after, count } = from;
    while (count > 0) {
      const part = { ...query, after, limit: count };
      const rows = await this.statements.run<ListRow>(...listStatement(place, part));
      const records = rows.filter(hasId).slice(0, count).filter(isRead);
      const last = records.at(-1);
      if (!last) return;
      yield records;
      after = markOf(last, query);
      count -= records.length;
    }
  }

  /** @throws Failure `not-found`, also when it expired */
  async get(uid: number, collection: string, id: string): Promise<BsoRow> {
    const [record] = await this.statements.run<BsoRow>(
      `SELECT id, modified, sortindex, payload, parentid, predecessorid FROM bso
        WHERE uid = $1 AND collection = $2 AND id = $3 AND (expires IS NULL OR expires > $4)`,
      [uid, collection, id, this.now()],
    );
    if (!record) throw new Failure('not-found', 'There is no such record.');
    return record;
  }

  private now(): Hundredths {
    return toHundredths(this.clock.now());
  }
}

/**
 * The end of a page between records of different times, if there is one: in 1.1 only a time can say
 * where the next page begins.
 */
function wholeTimes(rows: readonly ListRow[], size: number): number {
  let end = size;
  while (end > 0 && rows[end] && rows[end]?.modified === rows[end - 1]?.modified) end -= 1;
  return end === 0 ? size : end;
}

const hasId = (row: ListRow): row is ListRow & { id: string } => row.id !== null;
const isRead = (row: ListRow & { id: string }): row is ListRow & BsoRow => row.payload !== null;

const markOf = (
  { id, modified, sortindex }: Pick<BsoRow, 'id' | 'modified' | 'sortindex'>,
  { sort }: ListQuery,
): Mark => ({ id, value: sort === 'index' ? (sortindex ?? NO_SORTINDEX) : modified });
