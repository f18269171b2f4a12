import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Keys that sign tokens: several, so that one can take over from another. And what apps are to be told
 * of sign-outs.
 */
export class Authority1764000000021 implements MigrationInterface {
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
    await db.query(`
      CREATE TABLE logout_notice (
        id          bigint      GENERATED ALWAYS AS IDENTITY,
        client_id   text        NOT NULL,
        -- the account, as the app knows it: it may be gone
        sub         text        NOT NULL,
        sid         text,
        created_at  timestamptz NOT NULL,
        next_try_at timestamptz NOT NULL,
        tries       integer     NOT NULL DEFAULT 0,
        CONSTRAINT logout_notice_pkey PRIMARY KEY (id),
        CONSTRAINT logout_notice_client_fkey
          FOREIGN KEY (client_id) REFERENCES oauth_client (id) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX logout_notice_next_try_at ON logout_notice (next_try_at)`);
    await db.query(`CREATE INDEX logout_notice_client_id ON logout_notice (client_id)`);
    // Grants end in many ways, most of them by a foreign key: whichever it was, it is written down in
    // the same transaction. One that expired was no sign-out.
    await db.query(`
      CREATE FUNCTION note_logout() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO logout_notice (client_id, sub, sid, created_at, next_try_at)
        SELECT c.id, OLD.payload->>'accountId', OLD.payload->>'sid', now(), now()
          FROM oauth_client c
         WHERE c.id = OLD.payload->>'clientId' AND c.metadata ? 'backchannel_logout_uri'
           -- not the minutes that this server's own pages get
           AND OLD.expires_at > to_timestamp((OLD.payload->>'iat')::bigint) + interval '2 days'
           -- without a name for the session it would sign out all of the account's
           AND (OLD.payload ? 'sid'
             OR c.metadata->>'backchannel_logout_session_required' IS DISTINCT FROM 'true');
        RETURN NULL;
      END $$`);
    await db.query(`
      CREATE TRIGGER oidc_grant_ended AFTER DELETE ON oidc FOR EACH ROW
        WHEN (OLD.model = 'Grant' AND OLD.expires_at > now()) EXECUTE FUNCTION note_logout()`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TRIGGER oidc_grant_ended ON oidc`);
    await db.query(`DROP FUNCTION note_logout()`);
    await db.query(`DROP TABLE logout_notice`);
    await db.query(`
      INSERT INTO setting (name, value)
      SELECT 'oidc-jwks', jsonb_build_object('keys', jsonb_agg(jwk ORDER BY signs_at DESC))::text
        FROM signing_key HAVING count(*) > 0`);
    await db.query(`DROP TABLE signing_key`);
  }
}
