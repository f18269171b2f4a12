import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The inputs of apps' keys that were rotated, and of those before while a device hands over. */
export class AppKey1764000000028 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE app_key (
        uid             text   NOT NULL,
        client_id       text   NOT NULL,
        secret          bytea  NOT NULL,
        -- milliseconds since 1970
        rotated_at      bigint NOT NULL,
        -- the account's at that time: with another kB the key is another again
        keys_changed_at bigint NOT NULL,
        -- until everything is handed over
        former_secret   bytea,
        former_at       bigint,
        CONSTRAINT app_key_pkey PRIMARY KEY (uid, client_id),
        CONSTRAINT app_key_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
        CONSTRAINT app_key_client_id_fkey FOREIGN KEY (client_id)
          REFERENCES oauth_client (id) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX app_key_client_id ON app_key (client_id)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE app_key`);
  }
}
