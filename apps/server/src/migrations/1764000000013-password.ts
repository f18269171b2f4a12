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
    await db.query(`
      ALTER TABLE session
        -- when the password was last given
        ADD auth_at  timestamptz,
        -- when it last said anything
        ADD used_at  timestamptz,
        -- the session that this one takes the place of, and ends by registering a device
        ADD replaces text`);
    await db.query(`UPDATE session SET auth_at = created_at, used_at = created_at`);
    await db.query(`
      ALTER TABLE session ALTER auth_at SET NOT NULL, ALTER used_at SET NOT NULL`);
    await db.query(`
      ALTER TABLE email_code ADD is_digits boolean NOT NULL DEFAULT false,
        ADD tries integer NOT NULL DEFAULT 0`);
    await db.query(`
      ALTER TABLE email_code ALTER is_digits DROP DEFAULT, ALTER tries DROP DEFAULT`);
    await db.query(`
      CREATE TABLE password_token (
        -- SHA-256 of the token id, which is a bearer credential itself
        id           text        NOT NULL,
        kind         text        NOT NULL,
        -- null: somebody asked for an address that nobody has, and is told the same as others
        uid          text,
        req_hmac_key bytea       NOT NULL,
        -- SHA-256 of the code that a passwordForgotToken is exchanged with
        code_hash    bytea,
        tries        integer     NOT NULL,
        expires_at   timestamptz NOT NULL,
        CONSTRAINT password_token_pkey PRIMARY KEY (id),
        CONSTRAINT password_token_kind_check CHECK (kind IN ('change', 'forgot', 'reset')),
        CONSTRAINT password_token_uid_fkey
          FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX password_token_uid ON password_token (uid)`);
    await db.query(`CREATE INDEX password_token_expires_at ON password_token (expires_at)`);
    await db.query(`
      CREATE TABLE password_digits (
        -- SHA-256 of the address in lower case: addresses that nobody has are asked for, too
        id         bytea       NOT NULL,
        code_hash  bytea       NOT NULL,
        tries      integer     NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT password_digits_pkey PRIMARY KEY (id)
      )`);
    await db.query(`CREATE INDEX password_digits_expires_at ON password_digits (expires_at)`);
    await db.query(`
      CREATE TABLE recovery_key (
        uid        text        NOT NULL,
        -- SHA-256 of the recoveryKeyId
        id_hash    bytea       NOT NULL,
        -- kB under the recovery key, a compact JWE
        data       text        NOT NULL,
        hint       text,
        enabled    boolean     NOT NULL,
        created_at timestamptz NOT NULL,
        CONSTRAINT recovery_key_pkey PRIMARY KEY (uid),
        CONSTRAINT recovery_key_uid_fkey
          FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE
      )`);
    // Unlogged: a row per signed request costs no write to the log. After a crash of the database it
    // is empty; a captured request could then be repeated once, within what is left of its minute.
    await db.query(`
      CREATE UNLOGGED TABLE hawk_nonce (
        -- SHA-256 of token id and nonce
        id         bytea  NOT NULL,
        -- seconds since 1970
        expires_at bigint NOT NULL,
        CONSTRAINT hawk_nonce_pkey PRIMARY KEY (id)
      )`);
    await db.query(`CREATE INDEX hawk_nonce_expires_at ON hawk_nonce (expires_at)`);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const table of ['hawk_nonce', 'recovery_key', 'password_digits', 'password_token']) {
      await db.query(`DROP TABLE ${table}`);
    }
    await db.query(`ALTER TABLE email_code DROP is_digits, DROP tries`);
    await db.query(`ALTER TABLE session DROP auth_at, DROP used_at, DROP replaces`);
    await db.query(`
      ALTER TABLE account DROP verifier_set_at, DROP client_salt, DROP verify_hash_v2,
        DROP wrap_wrap_kb_v2`);
  }
}
