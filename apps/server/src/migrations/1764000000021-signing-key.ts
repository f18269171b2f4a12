import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Keys that sign tokens: several, so that one can take over from another. */
export class SigningKey1764000000021 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE signing_key (
        kid        text        NOT NULL,
        -- with its private member
        jwk        jsonb       NOT NULL,
        created_at timestamptz NOT NULL,
        -- published before, so that every verifier knows it by then
        signs_at   timestamptz NOT NULL,
        -- when all that it signed has expired; null while none takes over
        ends_at    timestamptz,
        CONSTRAINT signing_key_pkey PRIMARY KEY (kid)
      )`);
    await db.query(`
      INSERT INTO signing_key (kid, jwk, created_at, signs_at)
      SELECT jwk->>'kid', jwk, now(), now()
        FROM setting, jsonb_array_elements(value::jsonb->'keys') AS jwk WHERE name = 'oidc-jwks'`);
    await db.query(`DELETE FROM setting WHERE name = 'oidc-jwks'`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`
      INSERT INTO setting (name, value)
      SELECT 'oidc-jwks', jsonb_build_object('keys', jsonb_agg(jwk ORDER BY signs_at DESC))::text
        FROM signing_key HAVING count(*) > 0`);
    await db.query(`DROP TABLE signing_key`);
  }
}
