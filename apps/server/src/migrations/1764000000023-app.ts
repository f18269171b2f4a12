import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Whose an app is, its secret and logo; a grant goes with its app. */
export class App1764000000023 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE oauth_client
        -- uid of the developer; null: the operator. No key: the apps of a deleted account go with
        -- all that was granted to them
        ADD owner      text,
        -- [{sha256: base64url, expires_at?: seconds}], the newest first; null: there is none
        ADD secrets    jsonb,
        ADD created_at timestamptz NOT NULL DEFAULT now(),
        ADD changed_at timestamptz NOT NULL DEFAULT now()`);
    await db.query(`CREATE INDEX oauth_client_owner ON oauth_client (owner)`);
    await db.query(`
      CREATE TABLE app_logo (
        -- random, with a digest of the picture
        id         text        NOT NULL,
        client_id  text        NOT NULL,
        type       text        NOT NULL,
        picture    bytea       NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT app_logo_pkey PRIMARY KEY (id),
        CONSTRAINT app_logo_client_id_key UNIQUE (client_id),
        CONSTRAINT app_logo_client_id_fkey FOREIGN KEY (client_id)
          REFERENCES oauth_client (id) ON DELETE CASCADE
      )`);
    await db.query(`
      CREATE TABLE removed_app (
        -- never given to another app: what its users stored under it would be the other's
        id         text        NOT NULL,
        removed_at timestamptz NOT NULL,
        CONSTRAINT removed_app_pkey PRIMARY KEY (id)
      )`);
    await db.query(`
      CREATE TABLE operator (
        uid        text        NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT operator_pkey PRIMARY KEY (uid),
        CONSTRAINT operator_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(
      `DELETE FROM oidc WHERE model = 'Grant' AND payload ? 'clientId'
          AND NOT EXISTS (SELECT FROM oauth_client c WHERE c.id = payload->>'clientId')`,
    );
    await db.query(`
      ALTER TABLE oidc
        ADD client_id text GENERATED ALWAYS AS (
          CASE WHEN model = 'Grant' THEN payload->>'clientId' END) STORED,
        ADD CONSTRAINT oidc_client_id_fkey FOREIGN KEY (client_id)
          REFERENCES oauth_client (id) ON DELETE CASCADE`);
    await db.query(`CREATE INDEX oidc_client_id ON oidc (client_id) WHERE client_id IS NOT NULL`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE oidc DROP client_id`);
    await db.query(`DROP TABLE operator`);
    await db.query(`DROP TABLE removed_app`);
    await db.query(`DROP TABLE app_logo`);
    await db.query(
      `ALTER TABLE oauth_client DROP owner, DROP secrets,
         DROP created_at, DROP changed_at`,
    );
  }
}
