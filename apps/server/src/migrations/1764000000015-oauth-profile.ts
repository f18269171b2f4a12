import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Grants that brought a session along, when tokens were used, and what people show of themselves. */
export class OAuthProfile1764000000015 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      ALTER TABLE oidc
        -- only on model Grant: the session was made for it, and ends when it is revoked
        ADD owns_session boolean NOT NULL DEFAULT false,
        -- only on model RefreshToken
        ADD used_at timestamptz`);
    // As the first version wrote it: the next start adds the row with what it may have now.
    await db.query(
      `DELETE FROM oauth_client WHERE id = '5882386c6d801776' AND NOT metadata ? 'trusted'
          AND metadata->>'scope' = 'profile offline_access https://identity.mozilla.com/apps/oldsync'`,
    );
    await db.query(`
      CREATE TABLE profile (
        uid          text        NOT NULL,
        display_name text,
        changed_at   timestamptz NOT NULL,
        CONSTRAINT profile_pkey PRIMARY KEY (uid),
        CONSTRAINT profile_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`
      CREATE TABLE avatar (
        -- random, with a digest of the picture: whoever knows it may see the picture
        id         text        NOT NULL,
        uid        text        NOT NULL,
        type       text        NOT NULL,
        picture    bytea       NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT avatar_pkey PRIMARY KEY (id),
        CONSTRAINT avatar_uid_key UNIQUE (uid),
        CONSTRAINT avatar_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP TABLE avatar`);
    await db.query(`DROP TABLE profile`);
    await db.query(`ALTER TABLE oidc DROP used_at, DROP owns_session`);
  }
}
