import type { MigrationInterface, QueryRunner } from 'typeorm';
import { DELETE, PURGE } from './storage-deletions.ts';
import { COMMIT, SEEN_SINCE, SEEN_UNTIL, WRITE, WRITE_ONE } from './storage-functions.ts';

/** Functions of Sync storage that do less: writers take turns by one lock, and purges take it, too. */
export class StorageFaster1764000000020 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    for (const definition of [
      ...[SEEN_SINCE, SEEN_UNTIL, WRITE, WRITE_ONE, COMMIT],
      ...[DELETE, PURGE],
    ]) {
      await db.query(definition);
    }
  }

  async down(db: QueryRunner): Promise<void> {
    // The others stay: what was there before promises the same of the same tables.
    await db.query(`DROP FUNCTION storage_write_one`);
  }
}
