import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Setting1764000000000 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE setting (
        name  text NOT NULL,
        value text NOT NULL,
        CONSTRAINT setting_pkey PRIMARY KEY (name)
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE setting`);
  }
}
