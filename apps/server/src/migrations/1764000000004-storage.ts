import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CLEAR, DELETE, PURGE } from './storage-deletions.ts';
import { APPEND, COMMIT, SEEN_SINCE, SEEN_UNTIL, WRITE } from './storage-functions.ts';

/** Sync storage. Times are hundredths of a second since 1970. */
export class Storage1764000000004 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE user_collection (
        uid        bigint  NOT NULL,
        collection text    NOT NULL,
        modified   bigint  NOT NULL,
        -- of the payloads of all rows in bso, also of those that expired and were not purged yet
        bytes      bigint  NOT NULL,
        -- a deleted collection keeps its row, or the next one of its name could go back in time
        deleted    boolean NOT NULL,
        CONSTRAINT user_collection_pkey PRIMARY KEY (uid, collection)
      ) WITH (fillfactor = 70)`);
    await db.query(`
      CREATE TABLE bso (
        uid           bigint  NOT NULL,
        collection    text    NOT NULL,
        id            text    NOT NULL,
        modified      bigint  NOT NULL,
        sortindex     integer,
        payload       text    NOT NULL,
        bytes         integer NOT NULL,
        expires       bigint,
        parentid      text,
        predecessorid text,
        CONSTRAINT bso_pkey PRIMARY KEY (uid, collection, id)
      )`);
    await db.query(`CREATE INDEX bso_modified ON bso (uid, collection, modified, id)`);
    // Stores differ more than statistics can tell. A plan that takes each for a large one reads a page
    // in the order of the index; one for the average would sort all of a large collection.
    await db.query(`ALTER TABLE bso ALTER uid SET (n_distinct = 10)`);
    await db.query(`CREATE INDEX bso_expires ON bso (expires) WHERE expires IS NOT NULL`);
    // Not logged: until its commit a batch is nothing that was promised, and an append waits for no disk.
    await db.query(`
      CREATE UNLOGGED TABLE batch (
        id         uuid    NOT NULL,
        uid        bigint  NOT NULL,
        collection text    NOT NULL,
        expires    bigint  NOT NULL,
        records    integer NOT NULL,
        bytes      bigint  NOT NULL,
        CONSTRAINT batch_pkey PRIMARY KEY (id)
      )`);
    await db.query(`CREATE INDEX batch_place ON batch (uid, collection)`);
    await db.query(`CREATE INDEX batch_expires ON batch (expires)`);
    await db.query(`
      CREATE UNLOGGED TABLE batch_bso (
        batch     uuid    NOT NULL,
        id        text    NOT NULL,
        payload   text,
        bytes     integer NOT NULL,
        sortindex integer,
        ttl       integer,
        CONSTRAINT batch_bso_pkey PRIMARY KEY (batch, id)
      )`);
    // Ciphertext does not get smaller.
    await db.query(`ALTER TABLE bso ALTER payload SET STORAGE EXTERNAL`);
    await db.query(`ALTER TABLE batch_bso ALTER payload SET STORAGE EXTERNAL`);
    await db.query(`
      CREATE TABLE legacy_user (
        id       bigserial,
        username text NOT NULL,
        hash     text,
        CONSTRAINT legacy_user_pkey PRIMARY KEY (id),
        CONSTRAINT legacy_user_name UNIQUE (username)
      )`);
    for (const definition of [
      ...[SEEN_SINCE, SEEN_UNTIL, WRITE, APPEND, COMMIT],
      ...[DELETE, CLEAR, PURGE],
    ]) {
      await db.query(definition);
    }
  }

  async down(db: QueryRunner): Promise<void> {
    for (const name of [
      ...['purge', 'clear', 'delete', 'commit', 'append', 'write'],
      ...['seen_until', 'seen_since'],
    ]) {
      await db.query(`DROP FUNCTION storage_${name}`);
    }
    for (const table of ['legacy_user', 'batch_bso', 'batch', 'bso', 'user_collection']) {
      await db.query(`DROP TABLE ${table}`);
    }
  }
}
