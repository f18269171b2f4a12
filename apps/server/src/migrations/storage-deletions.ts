/**
 * The functions of Sync storage that delete; they lock as those that write.
 *
 * @module
 */
import { after, announce, recordOf } from './storage-functions.ts';

const dropBatches = (where: string) => `
  WITH dropped AS (DELETE FROM batch b WHERE ${where} RETURNING b.id)
  DELETE FROM batch_bso s USING dropped d WHERE s.batch = d.id;`;

/**
 * Deletes one record (p_item), some (p_ids, or in 1.1 p_filter) or, with none of them, the
 * collection and what waits to get into it.
 * \`missing\`: no such record or collection; new_modified is then the time of the store.
 */
export const DELETE = `
CREATE OR REPLACE FUNCTION storage_delete(
  p_uid bigint, p_collection text, p_now bigint, p_unmodified_since bigint,
  p_item text, p_ids text[],
  -- of 1.1: {ids, older, newer, above, below, parent, predecessor, sort, limit, offset}, each may be absent
  p_filter jsonb,
  p_legacy boolean,
  OUT outcome text, OUT new_modified bigint
) LANGUAGE plpgsql AS $$
DECLARE
  held user_collection;
  seen bigint;
  freed bigint;
BEGIN
  ${announce}
  SELECT * INTO held FROM user_collection c
   WHERE c.uid = p_uid AND c.collection = p_collection;
  IF FOUND AND NOT held.deleted THEN
    seen := held.modified;
    IF p_item IS NOT NULL THEN
      SELECT b.modified INTO seen FROM ${recordOf('p_item')} b
       WHERE b.expires IS NULL OR b.expires > p_now;
    END IF;
  END IF;
  -- in 1.1 what is empty does not exist
  IF p_legacy AND NOT EXISTS (
       SELECT FROM bso b WHERE b.uid = p_uid AND b.collection = p_collection) THEN
    seen := NULL;
  END IF;
  IF p_item IS NULL AND p_ids IS NULL AND p_filter IS NULL
     AND (seen IS NULL OR p_unmodified_since IS NULL OR seen <= p_unmodified_since) THEN
    ${dropBatches('b.uid = p_uid AND b.collection = p_collection')}
  END IF;
  IF seen IS NULL THEN
    outcome := 'missing';
    SELECT COALESCE(max(c.modified), 0) INTO new_modified FROM user_collection c WHERE c.uid = p_uid;
    RETURN;
  END IF;
  IF seen > p_unmodified_since THEN
    outcome := 'changed';
    new_modified := seen;
    RETURN;
  END IF;

  outcome := 'done';
  new_modified := ${after('held.modified')};
  IF p_item IS NULL AND p_ids IS NULL AND p_filter IS NULL THEN
    DELETE FROM bso b WHERE b.uid = p_uid AND b.collection = p_collection;
    UPDATE user_collection c SET modified = new_modified, bytes = 0, deleted = true
     WHERE c.uid = p_uid AND c.collection = p_collection;
    RETURN;
  END IF;
  IF p_filter IS NOT NULL THEN
    SELECT COALESCE(array_agg(f.id), '{}') INTO p_ids FROM (
      SELECT b.id FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection
         AND (b.expires IS NULL OR b.expires > p_now)
         AND (p_filter->'ids' IS NULL OR p_filter->'ids' ? b.id)
         AND (p_filter->'older' IS NULL OR b.modified < (p_filter->>'older')::bigint)
         AND (p_filter->'newer' IS NULL OR b.modified > (p_filter->>'newer')::bigint)
         AND (p_filter->'above' IS NULL OR b.sortindex > (p_filter->>'above')::double precision)
         AND (p_filter->'below' IS NULL OR b.sortindex < (p_filter->>'below')::double precision)
         AND (p_filter->'parent' IS NULL OR b.parentid = p_filter->>'parent')
         AND (p_filter->'predecessor' IS NULL OR b.predecessorid = p_filter->>'predecessor')
       ORDER BY CASE p_filter->>'sort' WHEN 'newest' THEN -b.modified WHEN 'index' THEN -b.sortindex
                ELSE b.modified END NULLS LAST, b.id
       LIMIT (p_filter->>'limit')::bigint OFFSET (p_filter->>'offset')::bigint) f;
  END IF;
  WITH gone AS (
    DELETE FROM bso b
     WHERE b.ctid = ANY (ARRAY(
             SELECT o.ctid FROM unnest(COALESCE(p_ids, ARRAY[p_item])) g (id),
                    LATERAL ${recordOf('g.id')} o))
    RETURNING b.bytes
  )
  SELECT COALESCE(sum(bytes), 0) INTO freed FROM gone;
  UPDATE user_collection c SET modified = new_modified, bytes = c.bytes - freed
   WHERE c.uid = p_uid AND c.collection = p_collection;
END $$`;

/** Deletes all collections of a user. One that is being created at this moment survives whole. */
export const CLEAR = `
CREATE FUNCTION storage_clear(
  p_uid bigint, p_now bigint, p_unmodified_since bigint,
  OUT outcome text, OUT new_modified bigint
) LANGUAGE plpgsql AS $$
DECLARE
  locked text[];
  latest bigint;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended(c.collection, p_uid))
     FROM (SELECT c.collection FROM user_collection c WHERE c.uid = p_uid ORDER BY c.collection) c;
  SELECT COALESCE(array_agg(l.collection), '{}'), COALESCE(max(l.modified), 0) INTO locked, latest
    FROM (SELECT c.collection, c.modified FROM user_collection c
           WHERE c.uid = p_uid ORDER BY c.collection FOR UPDATE) l;
  new_modified := latest;
  IF latest > p_unmodified_since THEN
    outcome := 'changed';
    RETURN;
  END IF;
  outcome := 'done';
  ${dropBatches('b.uid = p_uid')}
  IF cardinality(locked) = 0 THEN
    RETURN;
  END IF;
  new_modified := ${after('latest')};
  DELETE FROM bso b WHERE b.uid = p_uid AND b.collection = ANY (locked);
  UPDATE user_collection c SET modified = new_modified, bytes = 0, deleted = true
   WHERE c.uid = p_uid AND c.collection = ANY (locked);
END $$`;

/**
 * Removes one chunk of what expired. Only one process at a time does: \`busy\` tells the others.
 * A record that was written again meanwhile stays.
 */
export const PURGE = `
CREATE OR REPLACE FUNCTION storage_purge(
  p_now bigint, p_records integer, p_batches integer,
  OUT busy boolean, OUT records bigint, OUT bytes bigint, OUT batches bigint
) LANGUAGE plpgsql AS $$
DECLARE
  place record;
  gone bigint;
  freed bigint;
  ended uuid[];
BEGIN
  records := 0;
  bytes := 0;
  batches := 0;
  busy := NOT pg_try_advisory_xact_lock(hashtextextended('storage-purge', 0));
  IF busy THEN
    RETURN;
  END IF;
  FOR place IN
    SELECT e.uid, e.collection, array_agg(e.id) AS ids
      FROM (SELECT b.uid, b.collection, b.id FROM bso b
             WHERE b.expires <= p_now ORDER BY b.expires LIMIT p_records) e
     GROUP BY e.uid, e.collection ORDER BY e.uid, e.collection
  LOOP
    -- as whoever writes to the collection, and counts its bytes
    PERFORM pg_advisory_xact_lock(hashtextextended(place.collection, place.uid));
    WITH purged AS (
      DELETE FROM bso b
       WHERE b.uid = place.uid AND b.collection = place.collection
         AND b.id = ANY (place.ids) AND b.expires <= p_now
      RETURNING b.bytes
    )
    SELECT count(*), COALESCE(sum(p.bytes), 0) INTO gone, freed FROM purged p;
    UPDATE user_collection c SET bytes = c.bytes - freed
     WHERE c.uid = place.uid AND c.collection = place.collection;
    records := records + gone;
    bytes := bytes + freed;
  END LOOP;
  SELECT COALESCE(array_agg(e.id), '{}') INTO ended
    FROM (SELECT b.id FROM batch b WHERE b.expires <= p_now
           ORDER BY b.expires LIMIT p_batches FOR UPDATE SKIP LOCKED) e;
  DELETE FROM batch_bso s WHERE s.batch = ANY (ended);
  DELETE FROM batch b WHERE b.id = ANY (ended);
  batches := cardinality(ended);
END $$`;
