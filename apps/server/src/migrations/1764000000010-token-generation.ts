import type { MigrationInterface, QueryRunner } from 'typeorm';

export class TokenGeneration1764000000010 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE storage_user ADD generation bigint NOT NULL DEFAULT 0`);
    await db.query(`ALTER TABLE storage_user ALTER generation DROP DEFAULT`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE storage_user DROP generation`);
  }
}
