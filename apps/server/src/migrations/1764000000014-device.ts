import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Device1764000000014 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE device (
        id                 text        NOT NULL,
        uid                text        NOT NULL,
        -- a device is of one session or of one grant with a refresh token, and ends with it
        session_id         text        CONSTRAINT device_session_id_key UNIQUE,
        grant_id           text        CONSTRAINT device_grant_id_key UNIQUE,
        name               text        NOT NULL,
        type               text        NOT NULL,
        push_callback      text,
        push_public_key    text,
        push_auth_key      text,
        push_expired       boolean     NOT NULL DEFAULT false,
        -- json, not jsonb: opaque text of devices, which may hold what jsonb cannot
        available_commands json        NOT NULL,
        -- the number of the next command; it never goes back, whatever happens to the commands
        next_index         bigint      NOT NULL DEFAULT 1,
        -- the last command that the device said it has
        seen_index         bigint      NOT NULL DEFAULT 0,
        created_at         timestamptz NOT NULL,
        used_at            timestamptz NOT NULL,
        CONSTRAINT device_pkey PRIMARY KEY (id),
        CONSTRAINT device_owner_check CHECK (num_nonnulls(session_id, grant_id) = 1),
        CONSTRAINT device_uid_fkey FOREIGN KEY (uid) REFERENCES account (uid) ON DELETE CASCADE,
        CONSTRAINT device_session_id_fkey
          FOREIGN KEY (session_id) REFERENCES session (id) ON DELETE CASCADE,
        CONSTRAINT device_grant_id_fkey
          FOREIGN KEY (grant_id) REFERENCES oidc (grant_key) ON DELETE CASCADE
      )`);
    await db.query(`CREATE INDEX device_uid ON device (uid)`);
    await db.query(`
      CREATE TABLE device_command (
        device_id  text        NOT NULL,
        index      bigint      NOT NULL,
        -- the id of a device that may have gone since
        sender     text,
        command    text        NOT NULL,
        payload    json        NOT NULL,
        size_bytes integer     NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT device_command_pkey PRIMARY KEY (device_id, index),
        CONSTRAINT device_command_device_id_fkey
          FOREIGN KEY (device_id) REFERENCES device (id) ON DELETE CASCADE
      )`);
    // What the session was last used with, as `Firefox on Linux`: it has no name without a device.
    await db.query(`ALTER TABLE session ADD agent text`);
    await db.query(`CREATE INDEX device_command_expires_at ON device_command (expires_at)`);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`ALTER TABLE session DROP agent`);
    await db.query(`DROP TABLE device_command`);
    await db.query(`DROP TABLE device`);
  }
}
