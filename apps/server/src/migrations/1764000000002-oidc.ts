import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Oidc1764000000002 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE oauth_client (
        id       text  NOT NULL,
        metadata jsonb NOT NULL,
        CONSTRAINT oauth_client_pkey PRIMARY KEY (id)
      )`);
    await db.query(`
      CREATE TABLE oidc (
        model      text NOT NULL,
        id         text NOT NULL,
        -- only on model Grant: what the tokens of the grant refer to, so that they die with it
        grant_key  text CONSTRAINT oidc_grant_key UNIQUE,
        grant_id   text CONSTRAINT oidc_grant_id_fkey REFERENCES oidc (grant_key) ON DELETE CASCADE,
        uid        text,
        user_code  text,
        -- SHA-256 of the id of the session that the grant was given in
        session_id text CONSTRAINT oidc_session_id_fkey REFERENCES session (id) ON DELETE CASCADE,
        keys_jwe   text,
        consumed   bigint,
        expires_at timestamptz,
        payload    jsonb NOT NULL,
        CONSTRAINT oidc_pkey PRIMARY KEY (model, id)
      )`);
    for (const column of ['grant_id', 'uid', 'user_code', 'session_id', 'expires_at']) {
      await db.query(`CREATE INDEX oidc_${column} ON oidc (${column}) WHERE ${column} IS NOT NULL`);
    }
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE oidc`);
    await db.query(`DROP TABLE oauth_client`);
  }
}
