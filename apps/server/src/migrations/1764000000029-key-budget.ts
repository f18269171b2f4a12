import type { MigrationInterface, QueryRunner } from 'typeorm';
import { CHARGE as BEFORE } from './1764000000026-key-service.ts';

/**
 * Addresses are counted apart from those whom they lead to; and a key package that was claimed is
 * remembered until it expires.
 */
export class KeyBudget1764000000029 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`DROP FUNCTION key_charge`);
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
    await db.query(`DROP FUNCTION key_charge`);
    await db.query(BEFORE);
  }
}

/**
 * As before, but for whom a look-up found: `uids` says so for each of the targets, null for nobody.
 * These are remembered as found, and are free for the rest of the window. Where the target is an
 * address, it is counted itself, whoever it leads to: else who has nothing left would learn, by not
 * being refused, which addresses are those of people he knows.
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
  SELECT count(*), sum(CASE WHEN t.uid IS NULL THEN miss_cost ELSE 1 END) INTO fresh, cost
    FROM (SELECT DISTINCT ON (target) target, uid
            FROM unnest(targets, uids) AS one (target, uid)) t
   WHERE NOT EXISTS (SELECT FROM key_contact c
                      WHERE c.uid = asker AND c.client_id = app AND c.target = t.target
                        AND c.counted_in = this_day);
  IF fresh > 0 THEN
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
  END IF;
  INSERT INTO key_contact AS c
  SELECT asker, app, one.target, bool_or(one.is_found), this_day
    FROM (SELECT unnest(targets), false UNION ALL SELECT unnest(uids), true) AS one (target, is_found)
   WHERE one.target IS NOT NULL GROUP BY one.target
      ON CONFLICT (uid, client_id, target) DO UPDATE
         SET counted_in = this_day, is_found = c.is_found OR excluded.is_found;
  RETURN 0;
END $$`;
