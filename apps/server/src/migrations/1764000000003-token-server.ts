import type { MigrationInterface, QueryRunner } from 'typeorm';

export class TokenServer1764000000003 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE storage_user (
        uid             bigserial   NOT NULL,
        account_id      text        NOT NULL,
        -- empty: the account's Firefox store
        client_id       text        NOT NULL,
        node            text        NOT NULL,
        -- hex; empty until the app's first visit
        client_state    text        NOT NULL,
        keys_changed_at bigint      NOT NULL,
        created_at      timestamptz NOT NULL,
        replaced_at     timestamptz,
        CONSTRAINT storage_user_pkey PRIMARY KEY (uid)
      )`);
    await db.query(`
      CREATE UNIQUE INDEX storage_user_current ON storage_user (account_id, client_id)
        WHERE replaced_at IS NULL`);
    await db.query(`CREATE INDEX storage_user_history ON storage_user (account_id, client_id)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE storage_user`);
  }
}
