import type { MigrationInterface, QueryRunner } from 'typeorm';
import { FENCE, FENCE_TRIGGERS, HOLD, PURGE_GONE } from './node-functions.ts';
import { SEEN_UNTIL } from './storage-functions.ts';

/** On storage nodes: stores that are being moved, or went away. */
export class StorageHold1764000000011 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE storage_hold (
        uid        bigint      NOT NULL,
        -- frozen, released, incoming, gone
        state      text        NOT NULL,
        -- hundredths of a second since 1970, when frozen
        expires    bigint,
        changed_at timestamptz NOT NULL,
        -- nothing of a store that is gone is left
        purged     boolean     NOT NULL,
        CONSTRAINT storage_hold_pkey PRIMARY KEY (uid)
      )`);
    // Tells other processes of the node that something changed.
    await db.query(`CREATE SEQUENCE storage_hold_changes`);
    await db.query(`ALTER TABLE user_collection ADD frozen boolean NOT NULL DEFAULT false`);
    for (const definition of [FENCE, ...FENCE_TRIGGERS, HOLD, PURGE_GONE])
      await db.query(definition);
    await db.query(SEEN_UNTIL);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP FUNCTION storage_purge_gone`);
    await db.query(`DROP FUNCTION storage_hold_change`);
    await db.query(`DROP FUNCTION storage_fence CASCADE`);
    await db.query(`ALTER TABLE user_collection DROP frozen`);
    await db.query(`DROP SEQUENCE storage_hold_changes`);
    await db.query(`DROP TABLE storage_hold`);
  }
}
