import type { MigrationInterface, QueryRunner } from 'typeorm';

export class File1764000000006 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE file (
        root        text        NOT NULL,
        client_id   text        NOT NULL,
        id          text        NOT NULL,
        version     text        NOT NULL,
        blob_id     text        NOT NULL,
        size        bigint      NOT NULL,
        -- of the ciphertext, base64url
        sha256      text        NOT NULL,
        modified_at timestamptz NOT NULL,
        CONSTRAINT file_pkey PRIMARY KEY (root, client_id, id)
      )`);
    await db.query(`CREATE UNIQUE INDEX file_blob_id ON file (blob_id)`);
    await db.query(`
      CREATE TABLE file_space (
        root      text   NOT NULL,
        client_id text   NOT NULL,
        live      bigint NOT NULL,
        CONSTRAINT file_space_pkey PRIMARY KEY (root, client_id)
      )`);
    await db.query(`
      CREATE TABLE file_grant (
        root       text NOT NULL,
        client_id  text NOT NULL,
        file_id    text NOT NULL,
        uid        text NOT NULL,
        expires_at timestamptz,
        CONSTRAINT file_grant_pkey PRIMARY KEY (root, client_id, file_id, uid),
        CONSTRAINT file_grant_file_fkey FOREIGN KEY (root, client_id, file_id)
          REFERENCES file (root, client_id, id) ON DELETE CASCADE
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const table of ['file_grant', 'file_space', 'file']) {
      await db.query(`DROP TABLE ${table}`);
    }
  }
}
