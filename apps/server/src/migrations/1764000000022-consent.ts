import type { MigrationInterface, QueryRunner } from 'typeorm';

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** What accounts let apps do: it outlives the grants, so that nobody is asked twice for the same. */
export class Consent1764000000022 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE consent (
        uid        text        NOT NULL,
        client_id  text        NOT NULL,
        scopes     text[]      NOT NULL,
        -- the first yes, and the last one
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        -- when the app last used what it was given; late by ten minutes
        used_at    timestamptz,
        CONSTRAINT consent_pkey PRIMARY KEY (uid, client_id),
        CONSTRAINT consent_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
        CONSTRAINT consent_client_id_fkey FOREIGN KEY (client_id)
          REFERENCES oauth_client (id) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX consent_client_id ON consent (client_id)`);
    await db.query(
      `CREATE INDEX oidc_grant_account ON oidc ((payload->>'accountId')) WHERE model = 'Grant'`,
    );
    await db.query(`
      INSERT INTO consent (uid, client_id, scopes, created_at, changed_at)
      SELECT a.uid, c.id, array_agg(DISTINCT s.scope), min(g.at), max(g.at)
        FROM (SELECT payload, to_timestamp((payload->>'iat')::bigint) AS at
                FROM oidc WHERE model = 'Grant') g
        JOIN account a ON a.uid = g.payload->>'accountId'
        JOIN oauth_client c ON c.id = g.payload->>'clientId'
        CROSS JOIN LATERAL unnest(
          string_to_array(g.payload#>>'{openid,scope}', ' ')) AS s (scope)
       WHERE c.metadata->>'trusted' IS DISTINCT FROM 'true'
       GROUP BY a.uid, c.id`);
    await db.query(
      `UPDATE oauth_client
          SET metadata = jsonb_set(metadata, '{grant_types}', metadata->'grant_types' || to_jsonb($1::text))
        WHERE id = 'demo-app' AND NOT metadata->'grant_types' ? $1`,
      [DEVICE_GRANT],
    );
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP INDEX oidc_grant_account`);
    await db.query(`DROP TABLE consent`);
  }
}
