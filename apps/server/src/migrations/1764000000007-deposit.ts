import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Deposit1764000000007 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE deposit (
        recipient    text        NOT NULL,
        app          text        NOT NULL,
        id           text        NOT NULL,
        sender       text        NOT NULL,
        sha256       text        NOT NULL,
        created_at   timestamptz NOT NULL,
        expires_at   timestamptz NOT NULL,
        delivered_at timestamptz,
        CONSTRAINT deposit_pkey PRIMARY KEY (recipient, app, id)
      )`);
    await db.query(`CREATE INDEX deposit_sender ON deposit (sender, recipient, app)`);
    await db.query(`CREATE INDEX deposit_expires_at ON deposit (expires_at)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE deposit`);
  }
}
