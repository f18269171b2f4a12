import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The newest list of each, what is revoked by token, who looked for whom, and key packages. */
export class KeyService1764000000026 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE key_member (
        uid          text        NOT NULL,
        client_id    text        NOT NULL,
        ver          integer     NOT NULL,
        etag         text        NOT NULL,
        revocations  jsonb,
        discoverable text        NOT NULL DEFAULT 'app',
        settings_at  bigint      NOT NULL DEFAULT 0,
        changed_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
        CONSTRAINT key_member_pkey PRIMARY KEY (uid, client_id)
      )`);
    await db.query(`CREATE INDEX key_member_changed_at ON key_member (changed_at)`);
    await db.query(`
      INSERT INTO key_member (uid, client_id, ver, etag)
      SELECT uid, client_id, ver, '"' || ver || '-' || translate(
               encode(substring(sha256(convert_to(skl, 'UTF8')) FOR 12), 'base64'), '+/', '-_') || '"'
        FROM (SELECT DISTINCT ON (uid, client_id) * FROM key_list
               ORDER BY uid, client_id, ver DESC) newest`);
    await db.query(`
      CREATE TABLE key_contact (
        uid        text    NOT NULL,
        client_id  text    NOT NULL,
        target     text    NOT NULL,
        is_found   boolean NOT NULL,
        counted_in integer NOT NULL,
        CONSTRAINT key_contact_pkey PRIMARY KEY (uid, client_id, target)
      )`);
    // For erasing alone: an index that fits a look-up, too, could be taken for it while the table is small.
    await db.query(`CREATE INDEX key_contact_target ON key_contact ((target || ''))`);
    await db.query(`
      CREATE TABLE key_spending (
        uid          text             NOT NULL,
        client_id    text             NOT NULL,
        spent_in     integer          NOT NULL,
        spent        integer          NOT NULL,
        burst        double precision NOT NULL,
        burst_at     timestamptz      NOT NULL,
        CONSTRAINT key_spending_pkey PRIMARY KEY (uid, client_id)
      ) WITH (fillfactor = 50)`);
    await db.query(`
      CREATE TABLE key_package (
        uid        text        NOT NULL,
        client_id  text        NOT NULL,
        id         text        NOT NULL,
        package    text        NOT NULL,
        signer     text        NOT NULL,
        is_last    boolean     NOT NULL,
        expires_at timestamptz NOT NULL,
        CONSTRAINT key_package_pkey PRIMARY KEY (uid, client_id, id)
      )`);
    await db.query(`CREATE INDEX key_package_expires_at ON key_package (expires_at)`);
    await db.query(
      `CREATE UNIQUE INDEX key_package_last ON key_package (uid, client_id) WHERE is_last`,
    );
    await db.query(CHARGE);
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DROP FUNCTION key_charge`);
    await db.query(`DROP TABLE key_package, key_spending, key_contact, key_member`);
  }
}

/**
 * Counts the targets of a look-up that were not counted in this window yet: on who asks, and on the app.
 * Returns 0, or for how many seconds nothing more is answered; then nothing was counted.
 *
 * Under the lock of the asker's row, so that of many at once no more get through than there is. A
 * target costs 1, and a miss `miss_cost`, which is owed where it exceeds the budget: what is refused
 * depends on the number of new targets alone, and so tells nothing of them. Of the burst any number is
 * taken while it is not used up, and flows off by and by.
 *
 * It does not wait for the disk: after a crash, the last of it may be forgotten.
 */
export const CHARGE = `
CREATE FUNCTION key_charge(
  asker text, app text, targets text[], hits boolean[], at timestamptz,
  day_count integer, day_seconds integer, burst_count integer, burst_seconds integer,
  app_count integer, app_seconds integer, miss_cost integer
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  epoch     double precision := extract(epoch FROM at);
  this_day  integer := floor(epoch / day_seconds);
  app_day   integer := floor(epoch / app_seconds);
  own       key_spending;
  shared    key_spending;
  fresh     integer;
  cost      integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO key_spending AS s VALUES (asker, app, this_day, 0, 0, at)
      ON CONFLICT (uid, client_id) DO UPDATE SET
         spent = CASE WHEN s.spent_in = this_day THEN s.spent ELSE 0 END,
         spent_in = this_day,
         burst = greatest(s.burst - burst_count * greatest(epoch - extract(epoch FROM s.burst_at), 0)
                                    / burst_seconds, 0),
         burst_at = greatest(s.burst_at, at)
   RETURNING * INTO own;
  SELECT count(*), sum(CASE WHEN t.hit THEN 1 ELSE miss_cost END) INTO fresh, cost
    FROM (SELECT DISTINCT ON (target) target, hit
            FROM unnest(targets, hits) AS one (target, hit)) t
   WHERE NOT EXISTS (SELECT FROM key_contact c
                      WHERE c.uid = asker AND c.client_id = app AND c.target = t.target
                        AND c.counted_in = this_day);
  IF fresh = 0 THEN RETURN 0; END IF;
  IF own.spent + fresh > day_count THEN
    RETURN greatest(ceil((this_day + 1) * day_seconds::double precision - epoch), 1);
  END IF;
  IF own.burst >= burst_count THEN
    RETURN greatest(ceil((own.burst - burst_count + 1) * burst_seconds / greatest(burst_count, 1)), 1);
  END IF;
  INSERT INTO key_spending AS s VALUES ('', app, app_day, 0, 0, at)
      ON CONFLICT (uid, client_id) DO UPDATE SET
         spent = CASE WHEN s.spent_in = app_day THEN s.spent ELSE 0 END,
         spent_in = app_day
   RETURNING * INTO shared;
  IF shared.spent + fresh > app_count THEN
    RETURN greatest(ceil((app_day + 1) * app_seconds::double precision - epoch), 1);
  END IF;
  UPDATE key_spending s SET spent = s.spent + cost, burst = s.burst + cost
   WHERE s.client_id = app AND s.uid IN (asker, '');
  INSERT INTO key_contact AS c
  SELECT DISTINCT ON (target) asker, app, target, hit, this_day
    FROM unnest(targets, hits) AS one (target, hit)
      ON CONFLICT (uid, client_id, target) DO UPDATE
         SET counted_in = this_day, is_found = c.is_found OR excluded.is_found;
  RETURN 0;
END $$`;
