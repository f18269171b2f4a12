import { Injectable } from '@nestjs/common';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { type ListQuery, type Mark, NO_SORTINDEX } from './list-query.ts';
import { Statements } from './statements.ts';
import { type BsoRow, extentStatement, type ListRow, listStatement } from './storage.queries.ts';
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

/** Payload bytes that one statement answers, so most pages; the record that reaches them comes whole. */
const CHUNK_BYTES = 512 * 1024;
/** Of each further part of a long page: a slow reader holds some of these in memory. */
const PART_BYTES = 96 * 1024;
/** Records that a statement reads, at most, when it reads their payloads. */
const CHUNK_RECORDS = 1000;
const PART_RECORDS = 200;

/** When a store was changed last, deletions included. */
export interface StoreTime {
  modified: Hundredths;
  /** More than one collection has that time: who knows of the one need not know of the other. */
  isShared: boolean;
}

function storeTime(rows: readonly { modified: Hundredths }[]): StoreTime {
  const modified = Math.max(0, ...rows.map((row) => row.modified));
  return { modified, isShared: rows.filter((row) => row.modified === modified).length > 1 };
}

/** What is in the stores of this node: one statement, and so one snapshot, for each request. */
@Injectable()
export class StorageReaderService {
  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** @returns the collections with their times */
  async collections(uid: number): Promise<StoreTime & { times: Map<string, Hundredths> }> {
    const rows = await this.statements.run<{
      collection: string;
      modified: Hundredths;
      deleted: boolean;
    }>(`SELECT collection, modified, deleted FROM user_collection WHERE uid = $1`, [uid]);
    const alive = rows.filter(({ deleted }) => !deleted);
    return {
      ...storeTime(rows),
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
  async summaries(uid: number): Promise<StoreTime & { collections: CollectionSummary[] }> {
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
      ...storeTime(rows),
      collections: rows.flatMap(({ records, bytes, ...row }) =>
        records === null || bytes === null ? [] : [{ ...row, records, bytes }],
      ),
    };
  }

  /**
   * Reads a page. Of a long one the first chunk, and where it ends; each further chunk takes another
   * statement, when the reader has room for it.
   *
   * @param modifiedSince - when the collection is not newer, no record is read
   * @param bytesMax - of payloads: the page ends with the one that reaches them
   */
  async list(
    uid: number,
    collection: string,
    query: ListQuery,
    {
      modifiedSince,
      bytesMax = this.config.limits.storagePageBytesMax,
    }: { modifiedSince?: Hundredths | undefined; bytesMax?: number } = {},
  ): Promise<Page> {
    const chunkBytes = Math.min(CHUNK_BYTES, bytesMax);
    const place = { uid, collection, now: this.now(), modifiedSince, chunkBytes, until: undefined };
    const limit = query.full ? Math.min(query.limit, CHUNK_RECORDS) : query.limit;
    const [head, ...rows] = await this.statements.run<ListRow>(
      ...listStatement(place, { ...query, limit }),
    );
    const modified = head?.last_modified ?? 0;
    const seenUntil = head?.seen_until ?? 0;
    const records = rows.slice(0, limit).filter(isRead);
    const last = records.at(-1);
    const isAll = rows.length === records.length || !last;
    const from = last && markOf(last, query);
    const bytes = bytesMax - (rows[records.length]?.offset_bytes ?? 0);
    if (isAll || records.length === query.limit || (query.full && bytes <= 0)) {
      const next = isAll ? undefined : from;
      return { modified, seenUntil, count: records.length, records, rest: undefined, next };
    }

    const later = { ...place, modifiedSince: undefined, until: modified, chunkBytes: PART_BYTES };
    const rest = { ...query, after: from, limit: query.limit - records.length };
    const [end] = await this.statements.run<Mark & { count: number; available: number }>(
      ...extentStatement(later, rest, bytes),
    );
    const more = end?.count ?? 0;
    return {
      ...{ modified, seenUntil, records, count: records.length + more },
      rest: more > 0 ? this.rest(later, { ...rest, limit: more }) : undefined,
      next: end && end.available > end.count ? { value: end.value, id: end.id } : undefined,
    };
  }

  /** What was changed since the page began is left out: it belongs to what is newer than the page. */
  private async *rest(
    place: Parameters<typeof listStatement>[0],
    query: ListQuery,
  ): AsyncGenerator<BsoRow[]> {
    let { after, limit } = query;
    let guess = PART_RECORDS;
    while (limit > 0) {
      const size = Math.min(limit, guess);
      const [, ...rows] = await this.statements.run<ListRow>(
        ...listStatement(place, { ...query, after, limit: size }),
      );
      const records = rows.slice(0, size).filter(isRead);
      const last = records.at(-1);
      if (!last) return;
      after = markOf(last, query);
      limit -= records.length;
      // As many again, and some, will fit: no more rows than that are looked at.
      guess = Math.min(PART_RECORDS, Math.ceil(records.length * 1.2) + 2);
      yield records;
    }
  }

  /** @throws Failure `not-found`, also when it expired */
  async get(uid: number, collection: string, id: string): Promise<BsoRow> {
    // A range in the order of ids is found by the primary key, whatever the statistics say.
    const [record] = await this.statements.run<BsoRow>(
      `SELECT id, modified, sortindex, payload, parentid, predecessorid FROM bso
        WHERE uid = $1 AND collection = $2 AND id >= $3 AND id <= $3
          AND (expires IS NULL OR expires > $4)
        ORDER BY id LIMIT 1`,
      [uid, collection, id, this.now()],
    );
    if (!record) throw new Failure('not-found', 'There is no such record.');
    return record;
  }

  private now(): Hundredths {
    return toHundredths(this.clock.now());
  }
}

const isRead = (row: ListRow): row is ListRow & BsoRow => row.id !== null && row.payload !== null;

const markOf = (
  { id, modified, sortindex }: Pick<BsoRow, 'id' | 'modified' | 'sortindex'>,
  { sort }: ListQuery,
): Mark => ({ id, value: sort === 'index' ? (sortindex ?? NO_SORTINDEX) : modified });
