import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Second factors of accounts, and what sessions and tokens know of them. */
export class SecondFactor1764000000024 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    // As every change of the two tables below leaves it, under the lock of the account.
    await db.query(`ALTER TABLE account ADD has_factors boolean NOT NULL DEFAULT false`);
    await db.query(`
      ALTER TABLE session
        -- the password fitted, the second factor was not given yet: it opens nothing
        ADD awaits_factor boolean NOT NULL DEFAULT false,
        -- by which it was given last, and when: totp, backup-code, passkey
        ADD factor        text,
        ADD factor_at     timestamptz`);
    await db.query(`
      ALTER TABLE key_fetch_token
        -- the session whose second factor it waits for
        ADD awaits text,
        ADD CONSTRAINT key_fetch_token_awaits_fkey FOREIGN KEY (awaits)
          REFERENCES session (id) ON DELETE CASCADE`);
    await db.query(
      `CREATE INDEX key_fetch_token_awaits ON key_fetch_token (awaits) WHERE awaits IS NOT NULL`,
    );
    await db.query(`ALTER TABLE password_token ADD factor text, ADD factor_at timestamptz`);
    await db.query(`
      CREATE TABLE totp (
        uid          text        NOT NULL,
        -- AES-256-GCM under a key that is told in docs/protocol/second-factors.md
        secret       bytea       NOT NULL,
        -- the number of the half minute whose code was taken last: none is taken twice
        last_counter bigint,
        -- null: not proven yet, and no factor
        enabled_at   timestamptz,
        created_at   timestamptz NOT NULL,
        CONSTRAINT totp_pkey PRIMARY KEY (uid),
        CONSTRAINT totp_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`
      CREATE TABLE passkey (
        -- of the credential, base64url, as its maker chose it
        id           text        NOT NULL,
        uid          text        NOT NULL,
        -- COSE
        public_key   bytea       NOT NULL,
        counter      bigint      NOT NULL,
        transports   text[]      NOT NULL,
        -- whether its maker copies it to other devices
        is_synced    boolean     NOT NULL,
        name         text        NOT NULL,
        created_at   timestamptz NOT NULL,
        used_at      timestamptz,
        CONSTRAINT passkey_pkey PRIMARY KEY (id),
        CONSTRAINT passkey_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX passkey_uid ON passkey (uid)`);
    await db.query(`
      CREATE TABLE passkey_challenge (
        -- of the session or the token that it was given to, base64url SHA-256
        holder     text        NOT NULL,
        -- register, prove
        purpose    text        NOT NULL,
        uid        text        NOT NULL,
        challenge  text        NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT passkey_challenge_pkey PRIMARY KEY (holder, purpose),
        CONSTRAINT passkey_challenge_uid_fkey FOREIGN KEY (uid)
          REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX passkey_challenge_uid ON passkey_challenge (uid)`);
    await db.query(`CREATE INDEX passkey_challenge_end ON passkey_challenge (expires_at)`);
    await db.query(`
      CREATE TABLE backup_code (
        uid  text  NOT NULL,
        -- HMAC-SHA256 under a key like that of the secrets
        hash bytea NOT NULL,
        CONSTRAINT backup_code_pkey PRIMARY KEY (uid, hash),
        CONSTRAINT backup_code_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const table of ['backup_code', 'passkey_challenge', 'passkey', 'totp']) {
      await db.query(`DROP TABLE ${table}`);
    }
    await db.query(`ALTER TABLE password_token DROP factor, DROP factor_at`);
    await db.query(`ALTER TABLE key_fetch_token DROP awaits`);
    await db.query(`ALTER TABLE session DROP awaits_factor, DROP factor, DROP factor_at`);
    await db.query(`ALTER TABLE account DROP has_factors`);
  }
}
