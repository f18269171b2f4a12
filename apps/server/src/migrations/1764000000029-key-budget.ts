import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CHARGE as BEFORE } from './1764000000026-key-service.ts';

/**
 * Addresses are counted apart from those whom they lead to; and a key package that was claimed is
 * remembered until it expires.
 */
export class KeyBudget1764000000029 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`DROP FUNCTION key_charge`);
    await db.query(`DELETE FROM key_spending WHERE uid = ''`);
    await db.query(SPENT_BY_APP);
    await db.query(CHARGE);
    await db.query(`ALTER TABLE key_package ADD COLUMN is_claimed boolean NOT NULL DEFAULT false`);
    await db.query(
      `CREATE INDEX key_package_waiting ON key_package (uid, client_id, expires_at)
        WHERE NOT is_last AND NOT is_claimed`,
    );
  }

  async down(db: QueryRunner): Promise<void> {
    await db.query(`DELETE FROM key_package WHERE is_claimed`);
    await db.query(`ALTER TABLE key_package DROP COLUMN is_claimed`);
    await db.query(`DROP FUNCTION key_charge, key_spent_by_app`);
    await db.query(`DELETE FROM key_spending WHERE uid LIKE '#%'`);
    await db.query(BEFORE);
  }
}

/** More than all requests cost that can be under way together. */
const APP_MARGIN = 10_000;

const SPENT_BY_APP = `
CREATE FUNCTION key_spent_by_app(app text, app_day integer) RETURNS bigint LANGUAGE sql AS $$
  SELECT coalesce(sum(spent), 0) FROM key_spending
   WHERE uid = ANY (ARRAY(SELECT '#' || n FROM generate_series(0, 15) n))
     AND client_id = app AND spent_in = app_day
$$`;

/**
 * As before, but for whom a look-up found: `uids` says so for each of the targets, null for nobody.
 * These are remembered as found, and are free for the rest of the window. Where the target is an
 * address, it is counted itself, whoever it leads to: else who has nothing left would learn, by not
 * being refused, which addresses are those of people he knows.
 *
 * What an app has spent lies in sixteen rows, so that its users do not wait for each other; only when
 * little is left, one after the other looks whether it is enough. Whom somebody looked for before is
 * found by the whole primary key: a join could go through all of them.
 */
const CHARGE = `
CREATE FUNCTION key_charge(
  asker text, app text, targets text[], uids text[], at timestamptz,
  day_count integer, day_seconds integer, burst_count integer, burst_seconds integer,
  app_count integer, app_seconds integer, miss_cost integer
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
  epoch     double precision := extract(epoch FROM at);
  this_day  integer := floor(epoch / day_seconds);
  app_day   integer := floor(epoch / app_seconds);
  own       key_spending;
  own_spent integer;
  own_burst double precision;
  app_spent bigint;
  fresh     integer;
  cost      integer;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  LOOP
    SELECT * INTO own FROM key_spending s WHERE s.uid = asker AND s.client_id = app FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO key_spending VALUES (asker, app, this_day, 0, 0, at) ON CONFLICT DO NOTHING;
  END LOOP;
  SELECT count(*), sum(CASE WHEN t.uid IS NULL THEN miss_cost ELSE 1 END) INTO fresh, cost
    FROM (SELECT DISTINCT ON (target) target, uid
            FROM unnest(targets, uids) AS one (target, uid)) t
   WHERE (SELECT c.counted_in FROM key_contact c
           WHERE c.uid = asker AND c.client_id = app AND c.target = t.target)
         IS DISTINCT FROM this_day;
  IF fresh > 0 THEN
    own_spent := CASE WHEN own.spent_in = this_day THEN own.spent ELSE 0 END;
    own_burst := greatest(own.burst - burst_count * greatest(epoch - extract(epoch FROM own.burst_at), 0)
                                        / burst_seconds, 0);
    IF own_spent + fresh > day_count THEN
      RETURN greatest(ceil((this_day + 1) * day_seconds::double precision - epoch), 1);
    END IF;
    IF own_burst >= burst_count THEN
      RETURN greatest(ceil((own_burst - burst_count + 1) * burst_seconds / greatest(burst_count, 1)), 1);
    END IF;
    app_spent := key_spent_by_app(app, app_day);
    IF app_spent + fresh > app_count - ${APP_MARGIN} THEN
      PERFORM pg_advisory_xact_lock(hashtextextended('key_charge ' || app, 0));
      app_spent := key_spent_by_app(app, app_day);
    END IF;
    IF app_spent + fresh > app_count THEN
      RETURN greatest(ceil((app_day + 1) * app_seconds::double precision - epoch), 1);
    END IF;
    UPDATE key_spending s SET spent_in = this_day, spent = own_spent + cost,
           burst = own_burst + cost, burst_at = greatest(s.burst_at, at)
     WHERE s.uid = asker AND s.client_id = app;
    INSERT INTO key_spending AS s
    VALUES ('#' || (hashtext(asker) & 15), app, app_day, cost, 0, at)
        ON CONFLICT (uid, client_id) DO UPDATE
           SET spent = CASE WHEN s.spent_in = app_day THEN s.spent ELSE 0 END + cost,
               spent_in = app_day;
  END IF;
  INSERT INTO key_contact AS c
  SELECT asker, app, one.target, bool_or(one.is_found), this_day
    FROM (SELECT unnest(targets), false UNION ALL SELECT unnest(uids), true) AS one (target, is_found)
   WHERE one.target IS NOT NULL GROUP BY one.target
      ON CONFLICT (uid, client_id, target) DO UPDATE
         SET counted_in = this_day, is_found = c.is_found OR excluded.is_found;
  RETURN 0;
END $$`;
