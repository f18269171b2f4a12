import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Password1764000000013 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE account
        -- milliseconds since 1970; rises with every password
        ADD verifier_set_at  bigint,
        -- of key stretching v2; all three or none
        ADD client_salt      text,
        ADD verify_hash_v2   bytea,
        ADD wrap_wrap_kb_v2  bytea`);
    await db.query(`UPDATE account SET verifier_set_at = keys_changed_at`);
    await db.query(`ALTER TABLE account ALTER verifier_set_at SET NOT NULL`);
    // When the password was last given, and when the session last said anything.
    await db.query(`ALTER TABLE session ADD auth_at timestamptz, ADD used_at timestamptz`);
    await db.query(`UPDATE session SET auth_at = created_at, used_at = created_at`);
    await db.query(`
      ALTER TABLE session ALTER auth_at SET NOT NULL, ALTER used_at SET NOT NULL`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE session DROP auth_at, DROP used_at`);
    await db.query(`
      ALTER TABLE account DROP verifier_set_at, DROP client_salt, DROP verify_hash_v2,
        DROP wrap_wrap_kb_v2`);
  }
}
