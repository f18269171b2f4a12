import type { MigrationInterface, QueryRunner } from 'typeorm';

/** On the front: the nodes, and the stores that are being moved between them. */
export class StorageNode1764000000012 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE storage_node (
        name          text        NOT NULL,
        -- null: this server's own storage, at PUBLIC_URL
        url           text,
        -- stores that it is made for, that it has, and that it may get before more are released
        capacity      integer     NOT NULL,
        current_load  integer     NOT NULL,
        available     integer     NOT NULL,
        downed        boolean     NOT NULL,
        draining      boolean     NOT NULL,
        backoff_until timestamptz,
        -- when it last answered
        seen_at       timestamptz,
        created_at    timestamptz NOT NULL,
        CONSTRAINT storage_node_pkey PRIMARY KEY (name),
        CONSTRAINT storage_node_url UNIQUE (url)
      )`);
    await db.query(`
      CREATE TABLE store_move (
        uid        bigint      NOT NULL,
        from_node  text        NOT NULL,
        to_node    text        NOT NULL,
        -- copying, releasing, switched
        state      text        NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT store_move_pkey PRIMARY KEY (uid)
      )`);
    await db.query(`ALTER TABLE storage_user ADD purged_at timestamptz`);
    await db.query(`CREATE INDEX storage_user_node ON storage_user (node)`);
    await db.query(`
      CREATE INDEX storage_user_left ON storage_user (uid)
        WHERE replaced_at IS NOT NULL AND purged_at IS NULL`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP INDEX storage_user_left`);
    await db.query(`DROP INDEX storage_user_node`);
    await db.query(`ALTER TABLE storage_user DROP purged_at`);
    await db.query(`DROP TABLE store_move`);
    await db.query(`DROP TABLE storage_node`);
  }
}
