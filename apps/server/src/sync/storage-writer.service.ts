import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import type { BsoChange } from './bso.ts';
import { changed } from './conditions.ts';
import { Statements } from './statements.ts';
import { type Hundredths, toHundredths } from './weave-time.ts';

/** Who changes what, on what condition. */
export interface Target {
  uid: number;
  collection: string;
  unmodifiedSince: Hundredths | undefined;
}

/** What came of a write. */
export interface Written {
  /** The collection's new time, later than any before. */
  modified: Hundredths;
  /** The time of the one record of a PUT. */
  itemModified: Hundredths;
  /** Bytes that still fit. */
  room: number;
}

/** Which records of a collection to delete, as Storage 1.1 can say it. */
export interface DeleteFilter {
  ids?: string[] | undefined;
  older?: Hundredths | undefined;
  newer?: Hundredths | undefined;
  above?: number | undefined;
  below?: number | undefined;
  parent?: string | undefined;
  predecessor?: string | undefined;
  sort?: string | undefined;
  limit?: number | undefined;
  offset?: number | undefined;
}

interface Outcome {
  outcome: 'done' | 'changed' | 'missing' | 'no-batch' | 'too-large';
  new_modified: Hundredths;
}

/**
 * Changes to the stores of this node: one function of the database for each request, all or
 * nothing. Never refused for another writer: they take turns.
 */
@Injectable()
export class StorageWriterService {
  constructor(
    private readonly statements: Statements,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Creates and updates records.
   *
   * @param changes - no id twice
   * @param item - the record that the condition is on; the collection when undefined
   * @param isLegacy - by the rules of Storage 1.1 for lifetimes and times
   * @throws Failure `precondition-failed`, `over-quota`
   */
  async write(
    { uid, collection, unmodifiedSince }: Target,
    changes: readonly BsoChange[],
    { item, isLegacy = false }: { item?: string; isLegacy?: boolean } = {},
  ): Promise<Written> {
    const bounds = this.ttlBounds(collection);
    const columns = [
      ...columnsOf(changes, bounds),
      ...(isLegacy
        ? [changes.map(({ parentid }) => parentid), changes.map((c) => c.predecessorid)]
        : [null, null]),
    ];
    const isOne = changes.length === 1;
    const row = await this.call<Outcome & { item_modified: Hundredths; room: number }>(
      `SELECT outcome, new_modified, item_modified, room
         FROM ${isOne ? 'storage_write_one' : 'storage_write'}(
                $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)`,
      [
        ...[uid, collection, this.now(), ...this.quotas()],
        ...[bounds.max, isLegacy, item, unmodifiedSince],
        ...(isOne ? columns.map((column) => column?.[0]) : columns),
      ],
    );
    return writtenOf(row);
  }

  /**
   * Begins a batch, or adds to one.
   *
   * @param batch - undefined for a new one
   * @returns its id, and the collection's time, which does not change
   * @throws Failure `precondition-failed`, `over-quota`, `size-limit`, `invalid-parameter` for a
   * batch that is not one of this collection
   */
  async append(
    { uid, collection, unmodifiedSince }: Target,
    changes: readonly BsoChange[],
    batch: string | undefined,
  ): Promise<{ batch: string; modified: Hundredths }> {
    const id = batch ?? randomUUID();
    const { storageBatchSeconds, storageQuotaBytes } = this.config.limits;
    const expires = batch === undefined ? this.now() + storageBatchSeconds * 100 : undefined;
    const row = await this.call<Outcome>(
      `SELECT outcome, new_modified
         FROM storage_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      [
        ...[uid, collection, this.now(), storageQuotaBytes, unmodifiedSince, id, expires],
        ...[...this.batchLimits(), ...columnsOf(changes, this.ttlBounds(collection))],
        this.config.limits.storageUserQuotaBytes,
      ],
    );
    return { batch: id, modified: row.new_modified };
  }

  /**
   * Adds the last records to a batch and writes all of it, at one time.
   *
   * @throws Failure as {@link append}; the batch is then as it was before
   */
  async commit(
    { uid, collection, unmodifiedSince }: Target,
    changes: readonly BsoChange[],
    batch: string,
  ): Promise<Written> {
    const bounds = this.ttlBounds(collection);
    const row = await this.call<Outcome & { item_modified: Hundredths; room: number }>(
      `SELECT outcome, new_modified, item_modified, room
         FROM storage_commit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
      [
        ...[uid, collection, this.now(), ...this.quotas(), bounds.max, unmodifiedSince, batch],
        ...[...this.batchLimits(), ...columnsOf(changes, bounds)],
      ],
    );
    return writtenOf(row);
  }

  /**
   * Deletes a collection, or those of its records that are named.
   *
   * @returns the collection's new time; that of the store when there was no such collection
   * @param isLegacy - by the rules of Storage 1.1, where a collection without records does not exist
   * @throws Failure `precondition-failed`
   */
  async deleteCollection(
    target: Target,
    which: string[] | DeleteFilter | undefined,
    { isLegacy = false }: { isLegacy?: boolean } = {},
  ) {
    const filter: DeleteFilter | undefined = Array.isArray(which) ? { ids: which } : which;
    const ids = filter?.ids;
    // Of nothing but names, there is no need to look at the whole collection.
    const isNamed =
      ids !== undefined &&
      Object.entries({ ...filter, ids: undefined, sort: undefined }).every(
        ([, value]) => value === undefined,
      );
    const named = isNamed ? { ids } : { filter };
    const { new_modified } = await this.delete(target, { ...named, isLegacy });
    return new_modified;
  }

  /**
   * @returns the collection's new time; undefined when there is no such record
   * @throws Failure `precondition-failed`
   */
  async deleteRecord(target: Target, item: string): Promise<Hundredths | undefined> {
    const { outcome, new_modified } = await this.delete(target, { item });
    return outcome === 'missing' ? undefined : new_modified;
  }

  private delete(
    { uid, collection, unmodifiedSince }: Target,
    which: {
      item?: string;
      ids?: string[] | undefined;
      filter?: DeleteFilter | undefined;
      isLegacy?: boolean;
    },
  ): Promise<Outcome> {
    return this.call<Outcome>(
      `SELECT outcome, new_modified FROM storage_delete($1, $2, $3, $4, $5, $6, $7, $8)`,
      [
        ...[uid, collection, this.now(), unmodifiedSince, which.item, which.ids],
        which.filter && JSON.stringify(which.filter),
        which.isLegacy ?? false,
      ],
    );
  }

  /**
   * Deletes everything in a store.
   *
   * @returns the store's new time
   * @throws Failure `precondition-failed`
   */
  async clear(uid: number, unmodifiedSince: Hundredths | undefined): Promise<Hundredths> {
    const { new_modified } = await this.call<Outcome>(
      `SELECT outcome, new_modified FROM storage_clear($1, $2, $3)`,
      [uid, this.now(), unmodifiedSince],
    );
    return new_modified;
  }

  private async call<Row extends Outcome>(text: string, values: unknown[]): Promise<Row> {
    const row = await this.statements.one<Row>(text, values).catch((error: unknown) => {
      throw isOverQuota(error) ? new Failure('over-quota', error.message) : error;
    });
    switch (row.outcome) {
      case 'changed':
        throw changed(row.new_modified);
      case 'no-batch':
        throw new Failure('invalid-parameter', 'There is no such batch.');
      case 'too-large':
        throw new Failure('size-limit', 'The batch has more than max_total_records or _bytes.');
      case 'done':
      case 'missing':
        return row;
    }
  }

  private now(): Hundredths {
    return toHundredths(this.clock.now());
  }

  private quotas() {
    return [this.config.limits.storageQuotaBytes, this.config.limits.storageUserQuotaBytes];
  }

  private batchLimits() {
    const { storageTotalRecordsMax, storageTotalBytesMax } = this.config.limits;
    return [storageTotalRecordsMax, storageTotalBytesMax];
  }

  private ttlBounds(collection: string): TtlBounds {
    return this.config.limits.storageTtlBounds.get(collection) ?? {};
  }
}

interface TtlBounds {
  min?: number | undefined;
  max?: number | undefined;
}

/** The columns of the changes, as arrays of text that nobody looks into. */
function columnsOf(changes: readonly BsoChange[], { min = 0, max = Infinity }: TtlBounds) {
  return [
    changes.map(({ id }) => id),
    changes.map(({ payload }) => payload),
    changes.map(({ sortindex }) => sortindex),
    changes.map(({ ttl }) => (ttl === undefined ? null : Math.min(Math.max(ttl, min), max))),
  ];
}

const writtenOf = (row: {
  new_modified: number;
  item_modified: number;
  room: number;
}): Written => ({
  modified: row.new_modified,
  itemModified: row.item_modified,
  room: row.room,
});

/** Raised by the functions, so that the whole write is undone. */
function isOverQuota(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && error.code === 'LS507';
}
