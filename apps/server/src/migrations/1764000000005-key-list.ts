import type { MigrationInterface, QueryRunner } from 'typeorm';

export class KeyList1764000000005 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE key_list (
        uid          text        NOT NULL,
        client_id    text        NOT NULL,
        ver          integer     NOT NULL,
        skl          text        NOT NULL,
        wrapped      jsonb       NOT NULL,
        published_at timestamptz NOT NULL,
        CONSTRAINT key_list_pkey PRIMARY KEY (uid, client_id, ver)
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE key_list`);
  }
}
