import type { MigrationInterface, QueryRunner } from 'typeorm';

export class DepositBytes1764000000009 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    // Deposits from before count as empty until they expire.
    await db.query(`ALTER TABLE deposit ADD COLUMN bytes integer NOT NULL DEFAULT 0`);
    await db.query(`ALTER TABLE deposit ALTER COLUMN bytes DROP DEFAULT`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE deposit DROP COLUMN bytes`);
  }
}
