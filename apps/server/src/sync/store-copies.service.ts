import { Injectable } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import {
  type CollectionDigest,
  CopiedRecords,
  type DigestQuery,
  Failure,
  Manifest,
  type ManifestQuery,
  MissingRecords,
  type NodeCapacity,
  type Pulled,
  type RecordsQuery,
  StoreSummary,
} from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { NodeClientService } from '../platform/node-client.service.ts';
import { Statements } from './statements.ts';
import { toHundredths } from './weave-time.ts';

type Collection = StoreSummary['collections'][number];

/** Records whose outlines come in one answer. */
const MANIFEST_RECORDS = 5000;
/** Ids in one question. */
const IDS = 500;
/** Of payloads in one answer; the record that reaches them comes whole. */
const PAGE_BYTES = 2 * 1024 * 1024;
/** After which the copying answers how far it came. */
const PULL_MS = 10_000;

/**
 * Copies a store from another node, page by page, each in a transaction: what is already there and
 * equal is not sent again, so that a second time takes what changed since.
 *
 * @see docs/protocol/nodes.md, "Moving a store"
 */
@Injectable()
export class StoreCopiesService {
  constructor(
    private readonly statements: Statements,
    @InjectDataSource() private readonly db: DataSource,
    private readonly client: NodeClientService,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  async capacity(): Promise<NodeCapacity> {
    const used = await this.statements.one<{ stores: number; bytes: number }>(
      `SELECT count(DISTINCT uid) AS stores, COALESCE(sum(bytes), 0)::bigint AS bytes
         FROM user_collection`,
      [],
    );
    return { capacity: this.config.nodeCapacity, ...used };
  }

  async summary(uid: number): Promise<StoreSummary> {
    const collections = await this.statements.run<Collection>(
      `SELECT collection, modified, deleted FROM user_collection WHERE uid = $1
        ORDER BY collection`,
      [uid],
    );
    return { collections };
  }

  /** In the order of this node's database, which another's need not share. */
  async manifest(uid: number, { collection, after }: ManifestQuery): Promise<Manifest> {
    const records = await this.statements.run<Manifest['records'][number]>(
      `SELECT id, modified, sortindex, expires FROM bso
        WHERE uid = $1 AND collection = $2 AND id > $3 AND (expires IS NULL OR expires > $4)
        ORDER BY id LIMIT $5`,
      [uid, collection, after, this.now(), MANIFEST_RECORDS + 1],
    );
    const isLast = records.length <= MANIFEST_RECORDS;
    return { records: records.slice(0, MANIFEST_RECORDS), isLast };
  }

  async records(uid: number, { collection, ids }: RecordsQuery): Promise<CopiedRecords> {
    const records = await this.statements.run<CopiedRecords['records'][number]>(
      `SELECT id, modified, sortindex, expires, payload
         FROM (SELECT *, sum(bytes) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) - bytes AS offset_bytes
                 FROM bso WHERE uid = $1 AND collection = $2 AND id = ANY ($3::text[])) b
        WHERE offset_bytes < $4`,
      [uid, collection, ids, PAGE_BYTES],
    );
    return { records };
  }

  async missing(uid: number, { collection, ids }: RecordsQuery): Promise<MissingRecords> {
    const rows = await this.statements.run<{ id: string }>(
      `SELECT given.id FROM unnest($3::text[]) given (id)
        WHERE NOT EXISTS (SELECT FROM bso b WHERE b.uid = $1 AND b.collection = $2 AND b.id = given.id)`,
      [uid, collection, ids],
    );
    return { ids: rows.map(({ id }) => id) };
  }

  /** A sum, so that it does not depend on an order. */
  async digest(uid: number, { collection, until }: DigestQuery): Promise<CollectionDigest> {
    return this.statements.one<CollectionDigest>(
      `SELECT COALESCE(max(c.modified), 0) AS modified, COALESCE(bool_or(c.deleted), true) AS deleted,
              (SELECT count(*) FROM bso b WHERE ${LIVING}) AS records,
              (SELECT COALESCE(sum(${FINGERPRINT}), 0)::text FROM bso b WHERE ${LIVING}) AS digest
         FROM user_collection c WHERE c.uid = $1 AND c.collection = $2`,
      [uid, collection, until],
    );
  }

  /**
   * Brings the store here to what another node has.
   *
   * @throws Failure `conflict` unless the store is incoming, `unavailable` when the other is away
   */
  async pull(uid: number, from: string): Promise<Pulled> {
    const source = new Source(this.client, from, uid);
    const patience = this.clock.now().getTime() + PULL_MS;
    const known = new Map((await this.summary(uid)).collections.map((c) => [c.collection, c]));
    let changed = 0;
    for (const theirs of await source.collections()) {
      const ours = known.get(theirs.collection);
      if (ours?.modified === theirs.modified && ours.deleted === theirs.deleted) continue;
      changed += await this.remove(uid, source, theirs);
      for (let after = '', isLast = false; !isLast;) {
        const page = await source.manifest(theirs.collection, after);
        changed += await this.copy(uid, source, theirs.collection, page.records);
        after = page.records.at(-1)?.id ?? '';
        isLast = page.isLast;
        const isLate = this.clock.now().getTime() > patience;
        if (!isLast && isLate) return { changed, isDone: false };
      }
      await this.conclude(uid, theirs);
      if (this.clock.now().getTime() > patience) return { changed, isDone: false };
    }
    return { changed, isDone: true };
  }

  /** Removes what the other no longer has. */
  private async remove(uid: number, source: Source, { collection }: Collection): Promise<number> {
    let removed = 0;
    for (let after = ''; ;) {
      const rows = await this.statements.run<{ id: string }>(
        `SELECT id FROM bso WHERE uid = $1 AND collection = $2 AND id > $3 ORDER BY id LIMIT $4`,
        [uid, collection, after, IDS],
      );
      const last = rows.at(-1);
      if (!last) return removed;
      after = last.id;
      const ids = await source.missing(
        collection,
        rows.map(({ id }) => id),
      );
      removed += ids.length;
      if (ids.length === 0) continue;
      await this.write(uid, (tx) =>
        tx.query(`DELETE FROM bso WHERE uid = $1 AND collection = $2 AND id = ANY ($3::text[])`, [
          ...[uid, collection, ids],
        ]),
      );
    }
  }

  /** Copies those of the records that are not here as they are there. */
  private async copy(
    uid: number,
    source: Source,
    collection: string,
    records: Manifest['records'],
  ): Promise<number> {
    const rows = await this.statements.run<{ id: string }>(
      `SELECT g.id FROM unnest($3::text[], $4::bigint[], $5::integer[], $6::bigint[])
                     AS g (id, modified, sortindex, expires)
         LEFT JOIN bso b ON b.uid = $1 AND b.collection = $2 AND b.id = g.id
        WHERE (b.modified, b.sortindex, b.expires) IS DISTINCT FROM (g.modified, g.sortindex, g.expires)`,
      [uid, collection, ...columnsOf(records)],
    );
    const wanted = rows.map(({ id }) => id);
    let copied = 0;
    while (wanted.length > 0) {
      const page = await source.records(collection, wanted.slice(0, IDS));
      // What is gone by now is noticed the next time.
      const got = new Set(page.map(({ id }) => id));
      if (got.size === 0) wanted.splice(0, IDS);
      else wanted.splice(0, wanted.length, ...wanted.filter((id) => !got.has(id)));
      await this.write(uid, (tx) =>
        tx.query(
          `INSERT INTO bso AS b (uid, collection, id, modified, sortindex, payload, bytes, expires)
           SELECT $1, $2, g.id, g.modified, g.sortindex, g.payload, octet_length(g.payload), g.expires
             FROM unnest($3::text[], $4::bigint[], $5::integer[], $6::bigint[], $7::text[])
                    AS g (id, modified, sortindex, expires, payload)
               ON CONFLICT (uid, collection, id) DO UPDATE
              SET modified = EXCLUDED.modified, sortindex = EXCLUDED.sortindex,
                  payload = EXCLUDED.payload, bytes = EXCLUDED.bytes, expires = EXCLUDED.expires`,
          [uid, collection, ...columnsOf(page), page.map(({ payload }) => payload)],
        ),
      );
      copied += got.size;
    }
    return copied;
  }

  /** The time is theirs of before the copying: what changed since shows as a later one. */
  private conclude(uid: number, { collection, modified, deleted }: Collection): Promise<void> {
    return this.write(uid, (tx) =>
      tx.query(
        `INSERT INTO user_collection AS c (uid, collection, modified, bytes, deleted, frozen)
         SELECT $1, $2, $3, COALESCE(sum(b.bytes), 0), $4, true
           FROM bso b WHERE b.uid = $1 AND b.collection = $2
             ON CONFLICT (uid, collection) DO UPDATE
            SET modified = EXCLUDED.modified, bytes = EXCLUDED.bytes, deleted = EXCLUDED.deleted`,
        [uid, collection, modified, deleted],
      ),
    );
  }

  /** In a transaction of its own, while the store is incoming. */
  private write(uid: number, work: (tx: EntityManager) => Promise<unknown>): Promise<void> {
    return this.db.transaction(async (tx) => {
      const rows = await tx.query<object[]>(
        `SELECT set_config('lockstep.copying', $1, true)
           FROM storage_hold WHERE uid = $1::bigint AND state = 'incoming' FOR SHARE`,
        [String(uid)],
      );
      if (rows.length === 0) throw new Failure('conflict', 'The store is not expected here.');
      await work(tx);
    });
  }

  private now() {
    return toHundredths(this.clock.now());
  }
}

const LIVING = `b.uid = $1 AND b.collection = $2 AND (b.expires IS NULL OR b.expires > $3)`;
const SHOWN = ['id', 'modified', 'sortindex', 'expires', 'payload']
  .map((name) => `COALESCE(b.${name}::text, '-')`)
  .join(` || ' ' || `);
/** 56 bits of a hash of the whole record, as a number. */
const FINGERPRINT = `('x' || encode(substr(sha256(convert_to(${SHOWN}, 'UTF8')), 1, 7), 'hex'))::bit(56)::bigint`;

const columnsOf = (records: Manifest['records']) => [
  records.map(({ id }) => id),
  records.map(({ modified }) => modified),
  records.map(({ sortindex }) => sortindex),
  records.map(({ expires }) => expires),
];

/** A store on another node. */
class Source {
  constructor(
    private readonly client: NodeClientService,
    private readonly node: string,
    private readonly uid: number,
  ) {}

  async collections(): Promise<Collection[]> {
    const path = `/stores/${this.uid}`;
    return (await this.client.call(this.node, ['GET', path], StoreSummary)).collections;
  }

  manifest(collection: string, after: string): Promise<Manifest> {
    const body = { collection, after };
    return this.client.call(this.node, ['POST', this.path('manifest')], Manifest, { body });
  }

  async records(collection: string, ids: readonly string[]): Promise<CopiedRecords['records']> {
    const body = { collection, ids };
    const path = this.path('records');
    return (await this.client.call(this.node, ['POST', path], CopiedRecords, { body })).records;
  }

  async missing(collection: string, ids: readonly string[]): Promise<string[]> {
    const body = { collection, ids };
    const path = this.path('missing');
    return (await this.client.call(this.node, ['POST', path], MissingRecords, { body })).ids;
  }

  private path(name: string): string {
    return `/stores/${this.uid}/${name}`;
  }
}
