import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import type { BsoChange } from './bso.ts';
import { changed } from './conditions.ts';
import { type ListQuery, type Mark, NO_SORTINDEX } from './list-query.ts';
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
  records: BsoRow[];
  /** Where the next page begins, if there is one. */
  next: Mark | undefined;
}

/** Who changes what, on what condition. */
interface Target {
  uid: number;
  collection: string;
  unmodifiedSince: Hundredths | undefined;
}

/** The records of every store of this node: one statement, and so one snapshot, for each request. */
@Injectable()
export class StorageService {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /** @returns the collections, and the store's time: that of its latest change, deletions included */
  async collections(
    uid: number,
  ): Promise<{ modified: Hundredths; times: Map<string, Hundredths> }> {
    const rows = await this.db.query<
      { collection: string; modified: Hundredths; deleted: boolean }[]
    >(`SELECT collection, modified, deleted FROM user_collection WHERE uid = $1`, [uid]);
    const alive = rows.filter(({ deleted }) => !deleted);
    return {
      modified: Math.max(0, ...rows.map(({ modified }) => modified)),
      times: new Map(alive.map(({ collection, modified }) => [collection, modified])),
    };
  }

  /** Counts what lives in each collection that has a living record. */
  async summaries(
    uid: number,
  ): Promise<{ modified: Hundredths; collections: CollectionSummary[] }> {
    const rows = await this.db.query<
      (Omit<CollectionSummary, 'records' | 'bytes'> & {
        records: number | null;
        bytes: number | null;
      })[]
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
   * Reads a page.
   *
   * @param modifiedSince - when the collection is not newer, no record is read
   */
  async list(
    uid: number,
    collection: string,
    query: ListQuery,
    modifiedSince: Hundredths | undefined,
  ): Promise<Page> {
    const bytesMax = this.config.limits.storagePageBytesMax;
    const place = { uid, collection, now: this.now(), modifiedSince, bytesMax };
    const rows = await this.db.query<ListRow[]>(...listStatement(place, query));
    const isInPage = (row: ListRow): row is ListRow & BsoRow =>
      row.id !== null && row.payload !== null;
    const records = rows.slice(0, query.limit).filter(isInPage);
    const last = records.at(-1);
    return {
      modified: rows[0]?.last_modified ?? 0,
      records,
      next: last && rows.length > records.length ? markOf(last, query) : undefined,
    };
  }

  /** @throws Failure `not-found`, also when it expired */
  async get(uid: number, collection: string, id: string): Promise<BsoRow> {
    const [record] = await this.db.query<BsoRow[]>(
      `SELECT id, modified, sortindex, payload FROM bso
        WHERE uid = $1 AND collection = $2 AND id = $3 AND (expires IS NULL OR expires > $4)`,
      [uid, collection, id, this.now()],
    );
    if (!record) throw new Failure('not-found', 'There is no such record.');
    return record;
  }

  /**
   * Creates and updates records, all or none. Never refused for another writer: they take turns.
   *
   * @param changes - no id twice
   * @param item - the record that the condition is on; the collection when undefined
   * @returns the collection's new time, later than any before, and the bytes of its payloads
   * @throws Failure `precondition-failed`, `over-quota`
   */
  async write(
    { uid, collection, unmodifiedSince }: Target,
    changes: readonly BsoChange[],
    item?: string,
  ): Promise<{ modified: Hundredths; bytes: number }> {
    const parameters = [
      ...[uid, collection, this.now(), this.config.limits.storageQuotaBytes],
      ...[item, unmodifiedSince],
      changes.map(({ id }) => id),
      changes.map(({ payload }) => payload ?? null),
      changes.map(({ sortindex }) => sortindex ?? null),
      changes.map(({ ttl }) => ttl ?? null),
    ];
    const written = await this.db
      .query<{ refused: boolean; new_modified: number; new_bytes: number }[]>(
        `SELECT * FROM storage_write($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
        parameters,
      )
      .catch((error: unknown) => {
        throw isOverQuota(error) ? new Failure('over-quota', error.message) : error;
      });
    const { refused, new_modified, new_bytes } = only(written);
    if (refused) throw changed(new_modified);
    return { modified: new_modified, bytes: new_bytes };
  }

  /**
   * Deletes a collection, or those of its records that are named.
   *
   * @returns the collection's new time; that of the store when there was no such collection
   * @throws Failure `precondition-failed`
   */
  async deleteCollection(target: Target, ids: string[] | undefined): Promise<Hundredths> {
    const { new_modified } = await this.delete(target, { ids });
    return new_modified;
  }

  /** @throws Failure `not-found`, `precondition-failed` */
  async deleteRecord(target: Target, item: string): Promise<Hundredths> {
    const { missing, new_modified } = await this.delete(target, { item });
    if (missing) throw new Failure('not-found', 'There is no such record.');
    return new_modified;
  }

  private async delete(
    { uid, collection, unmodifiedSince }: Target,
    { item, ids }: { item?: string; ids?: string[] | undefined },
  ) {
    const rows = await this.db.query<
      { refused: boolean; missing: boolean; new_modified: number }[]
    >(`SELECT * FROM storage_delete($1, $2, $3, $4, $5, $6)`, [
      ...[uid, collection, this.now(), unmodifiedSince, item, ids],
    ]);
    const deleted = only(rows);
    if (deleted.refused) throw changed(deleted.new_modified);
    return deleted;
  }

  /**
   * Deletes everything in a store.
   *
   * @returns the store's new time
   * @throws Failure `precondition-failed`
   */
  async clear(uid: number, unmodifiedSince: Hundredths | undefined): Promise<Hundredths> {
    const rows = await this.db.query<{ refused: boolean; new_modified: number }[]>(
      `SELECT * FROM storage_clear($1, $2, $3)`,
      [uid, this.now(), unmodifiedSince],
    );
    const { refused, new_modified } = only(rows);
    if (refused) throw changed(new_modified);
    return new_modified;
  }

  private now(): Hundredths {
    return toHundredths(this.clock.now());
  }
}

const markOf = ({ id, modified, sortindex }: BsoRow, { sort }: ListQuery): Mark => ({
  id,
  value: sort === 'index' ? (sortindex ?? NO_SORTINDEX) : modified,
});

function only<Row>([row]: Row[]): Row {
  if (row === undefined) throw new Error('A function of the database returned no row.');
  return row;
}

/** Raised by storage_write, so that the whole write is undone. */
function isOverQuota(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'LS507';
}
