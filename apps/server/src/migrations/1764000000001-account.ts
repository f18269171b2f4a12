import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Account1764000000001 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE account (
        uid             text        NOT NULL,
        -- as it was spelled at sign-up: the client's stretching depends on every byte of it
        email           text        NOT NULL,
        -- in lower case: two accounts cannot differ by case alone
        normal_email    text        NOT NULL,
        auth_salt       bytea       NOT NULL,
        verify_hash     bytea       NOT NULL,
        wrap_wrap_kb    bytea       NOT NULL,
        ka              bytea       NOT NULL,
        -- milliseconds since 1970, the unit of FxA's key ids
        keys_changed_at bigint      NOT NULL,
        verified_at     timestamptz,
        created_at      timestamptz NOT NULL,
        CONSTRAINT account_pkey PRIMARY KEY (uid),
        CONSTRAINT account_normal_email_key UNIQUE (normal_email)
      )`);
    await db.query(`
      CREATE TABLE session (
        -- SHA-256 of the token id, which is a bearer credential itself
        id           text        NOT NULL,
        uid          text        NOT NULL,
        req_hmac_key bytea       NOT NULL,
        created_at   timestamptz NOT NULL,
        CONSTRAINT session_pkey PRIMARY KEY (id),
        CONSTRAINT session_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX session_uid ON session (uid)`);
    await db.query(`
      CREATE TABLE key_fetch_token (
        id           text        NOT NULL,
        uid          text        NOT NULL,
        req_hmac_key bytea       NOT NULL,
        bundle       bytea       NOT NULL,
        expires_at   timestamptz NOT NULL,
        CONSTRAINT key_fetch_token_pkey PRIMARY KEY (id),
        CONSTRAINT key_fetch_token_uid_fkey
          FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX key_fetch_token_uid ON key_fetch_token (uid)`);
    await db.query(`
      CREATE TABLE email_code (
        -- SHA-256 of the mailed code
        id         text        NOT NULL,
        uid        text        NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT email_code_pkey PRIMARY KEY (id),
        CONSTRAINT email_code_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX email_code_uid ON email_code (uid)`);
    await db.query(`
      CREATE TABLE invitation (
        -- SHA-256 of the invitation
        id           text        NOT NULL,
        -- null: the operator's first one, good for any address
        normal_email text,
        expires_at   timestamptz NOT NULL,
        CONSTRAINT invitation_pkey PRIMARY KEY (id)
      )`);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const table of ['invitation', 'email_code', 'key_fetch_token', 'session', 'account']) {
      await db.query(`DROP TABLE ${table}`);
    }
  }
}
