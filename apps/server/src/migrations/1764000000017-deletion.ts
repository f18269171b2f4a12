import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Accounts that were deleted, and what of theirs is still to be erased. */
export class Deletion1764000000017 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE deletion (
        uid         text        NOT NULL,
        asked_at    timestamptz NOT NULL,
        tries       integer     NOT NULL,
        -- null: nothing is left to do
        next_try_at timestamptz,
        -- by part of the server, why it is not done
        waiting     jsonb       NOT NULL,
        finished_at timestamptz,
        CONSTRAINT deletion_pkey PRIMARY KEY (uid)
      )`);
    await db.query(`CREATE INDEX deletion_next_try_at ON deletion (next_try_at)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE deletion`);
  }
}
