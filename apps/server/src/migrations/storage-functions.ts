/**
 * The functions of Sync storage. Each is one round trip, and every statement inside one sees what
 * was committed before it, so also before it had waited for a lock. All of them lock in one order:
 * announcements by collection, rows by collection, a batch, the store's total.
 *
 * @module
 */

/**
 * A time for a change: later than the last one, and later than any hundredth in which a reader can
 * have looked at this database while the change was not under way. Both matter to who polls.
 */
export const after = (last: string) =>
  `GREATEST(p_now, floor(extract(epoch FROM clock_timestamp()) * 100)::bigint + 1, ${last} + 1)`;

/** Tells readers, who never wait for it, that a change is under way. */
export const announce = `PERFORM pg_advisory_xact_lock(hashtextextended(p_collection, p_uid));`;

/**
 * Writers to a collection take turns by their announcements, and whoever deletes or purges does too:
 * its row, made if there is none, needs no lock before it is changed.
 */
const lockCollection = `
  ${announce}
  SELECT * INTO held FROM user_collection c WHERE c.uid = p_uid AND c.collection = p_collection;
  IF NOT FOUND THEN
    INSERT INTO user_collection VALUES (p_uid, p_collection, 0, 0, true) ON CONFLICT DO NOTHING;
    SELECT * INTO held FROM user_collection c WHERE c.uid = p_uid AND c.collection = p_collection;
  END IF;
  new_modified := ${after('held.modified')};`;

const records = `unnest(p_ids, p_payloads, p_sortindexes, p_ttls, p_parents, p_predecessors)
       AS g (id, payload, sortindex, ttl, parentid, predecessorid)`;

/**
 * The record of an id, found by the primary key whatever the statistics say: `=` would fit
 * bso_modified as well, and reading a collection once for each record takes 11 s for 10,000. Only
 * the primary key gives a range of ids in their order.
 */
export const recordOf = (id: string) => `(
        SELECT b.ctid, b.* FROM bso b
         WHERE b.uid = p_uid AND b.collection = p_collection AND b.id >= ${id} AND b.id <= ${id}
         ORDER BY b.id LIMIT 1)`;

/** Each record with the one it replaces. */
const withOld = (source: string) => `${source}
      LEFT JOIN LATERAL ${recordOf('g.id')} o ON true`;
const lives = `(o.id IS NOT NULL AND (o.expires IS NULL OR o.expires > p_now))`;
/** A new lifetime alone is no news for whoever polls; in 1.1, nothing is but a payload. */
const keepsTime = `(${lives} AND g.payload IS NULL AND (p_legacy OR g.sortindex IS NULL))`;

const measure = (source: string) => `
  SELECT COALESCE(sum(COALESCE(octet_length(g.payload), CASE WHEN ${lives} THEN o.bytes END, 0)
                      - COALESCE(o.bytes, 0)), 0),
         COALESCE(bool_and(${keepsTime}), false),
         min(CASE WHEN ${keepsTime} THEN o.modified ELSE new_modified END)
    INTO grown, is_quiet, item_modified
    FROM ${withOld(source)};
  room := LEAST(p_quota - held.bytes, p_store_quota - elsewhere - held.bytes) - grown;`;

/**
 * A plan for the very arrays of a call always looks cheaper than one for any arrays, so PostgreSQL
 * would plan anew each time, which takes as long as the write itself. A plan that is kept has to be
 * right for any size: made while a table is nearly empty, it would read all of it forever after.
 */
const planOnce = `SET plan_cache_mode = force_generic_plan SET enable_seqscan = off`;

const weighStore = `
  IF p_store_quota IS NOT NULL THEN
    -- two collections of a store may not both take what is left
    PERFORM pg_advisory_xact_lock(hashtextextended('storage-total:' || p_uid, 0));
    SELECT COALESCE(sum(c.bytes), 0) INTO elsewhere FROM user_collection c
     WHERE c.uid = p_uid AND c.collection <> p_collection;
  END IF;`;

const stamp = `
  UPDATE user_collection c SET modified = new_modified, bytes = held.bytes + grown, deleted = false
   WHERE c.uid = p_uid AND c.collection = p_collection;`;

/** Writes what is in a source, and the collection's time and size. */
const merge = (source: string) => `
  ${measure(source)}
  IF room < 0 AND grown > 0 THEN
    -- what expired does not count; it only was not purged yet
    WITH purged AS (
      DELETE FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection AND b.expires <= p_now
      RETURNING b.bytes
    )
    SELECT held.bytes - COALESCE(sum(bytes), 0) INTO held.bytes FROM purged;
    ${measure(source)}
    IF room < 0 THEN
      RAISE EXCEPTION USING ERRCODE = 'LS507', MESSAGE = 'The collection or store is over its quota.';
    END IF;
  END IF;
  IF p_legacy AND is_quiet THEN
    new_modified := held.modified;
  END IF;
  INSERT INTO bso AS b (uid, collection, id, modified, sortindex, payload, bytes, expires,
                        parentid, predecessorid)
  SELECT p_uid, p_collection, m.id, m.modified, m.sortindex, m.payload, octet_length(m.payload),
         m.expires, m.parentid, m.predecessorid
    FROM (SELECT g.id,
                 CASE WHEN ${keepsTime} THEN o.modified ELSE new_modified END AS modified,
                 COALESCE(g.sortindex, CASE WHEN ${lives} THEN o.sortindex END) AS sortindex,
                 COALESCE(g.payload, CASE WHEN ${lives} THEN o.payload END, '') AS payload,
                 CASE WHEN g.ttl IS NOT NULL THEN p_now + g.ttl::bigint * 100
                      WHEN ${lives} AND NOT p_legacy THEN o.expires
                      ELSE p_now + p_ttl_max * 100 END AS expires,
                 COALESCE(g.parentid, CASE WHEN ${lives} THEN o.parentid END) AS parentid,
                 COALESCE(g.predecessorid, CASE WHEN ${lives} THEN o.predecessorid END) AS predecessorid
            FROM ${withOld(source)}) m
      ON CONFLICT (uid, collection, id) DO UPDATE
     SET modified = EXCLUDED.modified, sortindex = EXCLUDED.sortindex, payload = EXCLUDED.payload,
         bytes = EXCLUDED.bytes, expires = EXCLUDED.expires, parentid = EXCLUDED.parentid,
         predecessorid = EXCLUDED.predecessorid;
  ${stamp}`;

/**
 * How far a reader's snapshot can see, or null for no further than the collection's own time, which
 * whoever holds the row goes beyond. While no change is under way, the next one begins later than
 * the reader's transaction, and \`after\` gives it a later time. p_modified is what the snapshot shows:
 * a change that ended in between shows in another one.
 */
export const SEEN_SINCE = `
CREATE OR REPLACE FUNCTION storage_seen_since(p_uid bigint, p_collection text, p_modified bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF pg_try_advisory_xact_lock_shared(hashtextextended(p_collection, p_uid))
     AND p_modified IS NOT DISTINCT FROM (
       SELECT c.modified FROM user_collection c
        WHERE c.uid = p_uid AND c.collection = p_collection) THEN
    RETURN floor(extract(epoch FROM now()) * 100);
  END IF;
  RETURN NULL;
END $$`;

/**
 * The same of a collection whose row does not say that its store stays: it is frozen, or there is
 * none. A store that froze later than the snapshot was left by nobody before that.
 */
export const SEEN_UNTIL = `
CREATE OR REPLACE FUNCTION storage_seen_until(p_uid bigint, p_collection text, p_modified bigint)
RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  -- from then on the next change is another node's, by another clock
  IF EXISTS (SELECT FROM storage_hold h WHERE h.uid = p_uid AND h.state <> 'frozen') THEN
    RAISE EXCEPTION USING ERRCODE = 'LS503', MESSAGE = 'The store is being moved.';
  END IF;
  RETURN storage_seen_since(p_uid, p_collection, p_modified);
END $$`;

/**
 * Creates and updates records, all at one time later than any the collection ever had. A null field
 * keeps what a living record has; in 1.1 (p_legacy) a lifetime does not stay.
 * room: bytes left; item_modified: of the record, when there is one.
 */
export const WRITE = `
CREATE OR REPLACE FUNCTION storage_write(
  p_uid bigint, p_collection text, p_now bigint, p_quota bigint, p_store_quota bigint,
  p_ttl_max bigint, p_legacy boolean,
  -- the condition is on this record, or on the collection when null
  p_target text, p_unmodified_since bigint,
  p_ids text[], p_payloads text[], p_sortindexes integer[], p_ttls integer[],
  p_parents text[], p_predecessors text[],
  OUT outcome text, OUT new_modified bigint, OUT item_modified bigint, OUT room bigint
) LANGUAGE plpgsql ${planOnce} AS $$
DECLARE
  held user_collection;
  seen bigint;
  elsewhere bigint := 0;
  grown bigint;
  is_quiet boolean;
BEGIN
  ${lockCollection}
  IF p_unmodified_since IS NOT NULL THEN
    IF p_target IS NULL THEN
      -- in 1.1 what is empty does not exist
      seen := CASE WHEN held.deleted OR (p_legacy AND NOT EXISTS (
                     SELECT FROM bso b WHERE b.uid = p_uid AND b.collection = p_collection))
                   THEN 0 ELSE held.modified END;
    ELSE
      SELECT b.modified INTO seen FROM ${recordOf('p_target')} b
       WHERE b.expires IS NULL OR b.expires > p_now;
    END IF;
    IF seen > p_unmodified_since THEN
      outcome := 'changed';
      new_modified := seen;
      RETURN;
    END IF;
  END IF;
  ${weighStore}
  ${merge(records)}
  outcome := 'done';
END $$`;

/**
 * Writes one record, as most calls do: plain values where a source of records would take the time of a
 * join and an aggregate to set up, as long as the write itself. Whatever is not as usual is done, or
 * refused, by storage_write: a new collection, a condition that is not met, too little room.
 */
export const WRITE_ONE = `
CREATE OR REPLACE FUNCTION storage_write_one(
  p_uid bigint, p_collection text, p_now bigint, p_quota bigint, p_store_quota bigint,
  p_ttl_max bigint, p_legacy boolean, p_target text, p_unmodified_since bigint,
  p_id text, p_payload text, p_sortindex integer, p_ttl integer, p_parent text, p_predecessor text,
  OUT outcome text, OUT new_modified bigint, OUT item_modified bigint, OUT room bigint
) LANGUAGE plpgsql AS $$
DECLARE
  old record;
  lives boolean;
  is_quiet boolean;
  size bigint;
  grown bigint;
  lifetime_end bigint;
BEGIN
  outcome := pg_advisory_xact_lock(hashtextextended(p_collection, p_uid));
  SELECT b.ctid AS place, b.modified, b.bytes, b.expires INTO old FROM ${recordOf('p_id')} b;
  lives := old.place IS NOT NULL AND (old.expires IS NULL OR old.expires > p_now);
  is_quiet := lives AND p_payload IS NULL AND (p_legacy OR p_sortindex IS NULL);
  size := COALESCE(octet_length(p_payload), CASE WHEN lives THEN old.bytes END, 0);
  grown := size - COALESCE(old.bytes, 0);
  IF p_store_quota IS NULL AND (p_unmodified_since IS NULL OR p_target IS NULL OR NOT lives
                                OR old.modified <= p_unmodified_since) THEN
    UPDATE user_collection c
       SET modified = CASE WHEN p_legacy AND is_quiet THEN c.modified ELSE ${after('c.modified')} END,
           bytes = c.bytes + grown, deleted = false
     WHERE c.uid = p_uid AND c.collection = p_collection
       AND (grown <= 0 OR c.bytes + grown <= p_quota)
       AND (p_unmodified_since IS NULL OR p_target IS NOT NULL
            OR (NOT c.deleted AND NOT p_legacy AND c.modified <= p_unmodified_since))
    RETURNING c.modified, p_quota - c.bytes INTO new_modified, room;
  END IF;
  IF new_modified IS NULL THEN
    SELECT w.* INTO outcome, new_modified, item_modified, room
      FROM storage_write(p_uid, p_collection, p_now, p_quota, p_store_quota, p_ttl_max, p_legacy,
                         p_target, p_unmodified_since, ARRAY[p_id], ARRAY[p_payload],
                         ARRAY[p_sortindex], ARRAY[p_ttl], ARRAY[p_parent], ARRAY[p_predecessor]) w;
    RETURN;
  END IF;
  item_modified := CASE WHEN is_quiet THEN old.modified ELSE new_modified END;
  lifetime_end := CASE WHEN p_ttl IS NOT NULL THEN p_now + p_ttl::bigint * 100
                       WHEN lives AND NOT p_legacy THEN old.expires
                       ELSE p_now + p_ttl_max * 100 END;
  IF old.place IS NULL THEN
    INSERT INTO bso (uid, collection, id, modified, sortindex, payload, bytes, expires,
                     parentid, predecessorid)
    VALUES (p_uid, p_collection, p_id, item_modified, p_sortindex, COALESCE(p_payload, ''), size,
            lifetime_end, p_parent, p_predecessor);
  ELSE
    -- it is where it was: whoever changes this collection waits
    UPDATE bso b
       SET modified = item_modified, bytes = size, expires = lifetime_end,
           sortindex = COALESCE(p_sortindex, CASE WHEN lives THEN b.sortindex END),
           payload = COALESCE(p_payload, CASE WHEN lives THEN b.payload END, ''),
           parentid = COALESCE(p_parent, CASE WHEN lives THEN b.parentid END),
           predecessorid = COALESCE(p_predecessor, CASE WHEN lives THEN b.predecessorid END)
     WHERE b.ctid = old.place;
  END IF;
  outcome := 'done';
END $$`;

/** Puts records into a batch that is held in \`staged\`; a later field goes over an earlier one. */
const stage = `
  SELECT count(*) FILTER (WHERE s.id IS NULL),
         COALESCE(sum(COALESCE(octet_length(g.payload), s.bytes, 0) - COALESCE(s.bytes, 0)), 0)
    INTO more, grown
    FROM ${records}
    -- one by one, or the whole batch would be read for each part
    LEFT JOIN LATERAL (
      SELECT * FROM batch_bso b WHERE b.batch = p_batch AND b.id = g.id LIMIT 1
    ) s ON true;
  IF staged.records + more > p_records_max OR staged.bytes + grown > p_bytes_max THEN
    outcome := 'too-large';
    RETURN;
  END IF;
  INSERT INTO batch_bso AS s (batch, id, payload, bytes, sortindex, ttl)
  SELECT p_batch, g.id, g.payload, COALESCE(octet_length(g.payload), 0), g.sortindex, g.ttl
    FROM ${records}
      ON CONFLICT (batch, id) DO UPDATE
     SET payload = COALESCE(EXCLUDED.payload, s.payload),
         bytes = CASE WHEN EXCLUDED.payload IS NULL THEN s.bytes ELSE EXCLUDED.bytes END,
         sortindex = COALESCE(EXCLUDED.sortindex, s.sortindex),
         ttl = COALESCE(EXCLUDED.ttl, s.ttl);`;

const findBatch = `
  SELECT * INTO staged FROM batch b
   WHERE b.id = p_batch AND b.uid = p_uid AND b.collection = p_collection AND b.expires > p_now
     FOR UPDATE;
  IF NOT FOUND THEN
    outcome := 'no-batch';
    RETURN;
  END IF;`;

/** Begins a batch or adds to it. Nothing of the collection changes: new_modified is what it has. */
export const APPEND = `
CREATE OR REPLACE FUNCTION storage_append(
  p_uid bigint, p_collection text, p_now bigint, p_quota bigint, p_unmodified_since bigint,
  -- with an end it is new
  p_batch uuid, p_expires bigint, p_records_max bigint, p_bytes_max bigint,
  p_ids text[], p_payloads text[], p_sortindexes integer[], p_ttls integer[],
  p_store_quota bigint DEFAULT NULL,
  OUT outcome text, OUT new_modified bigint
) LANGUAGE plpgsql ${planOnce} AS $$
DECLARE
  p_parents text[];
  p_predecessors text[];
  staged batch;
  used bigint;
  more bigint;
  grown bigint;
BEGIN
  SELECT CASE WHEN c.deleted THEN 0 ELSE c.modified END, c.bytes INTO new_modified, used
    FROM user_collection c WHERE c.uid = p_uid AND c.collection = p_collection;
  new_modified := COALESCE(new_modified, 0);
  IF new_modified > p_unmodified_since THEN
    outcome := 'changed';
    RETURN;
  END IF;
  IF p_expires IS NOT NULL THEN
    staged := ROW(p_batch, p_uid, p_collection, p_expires, 0, 0);
  ELSE
    ${findBatch}
  END IF;
  ${stage}
  -- what waits in batches takes room, too
  SELECT COALESCE(used, 0) + grown + COALESCE(sum(b.bytes), 0) INTO used FROM batch b
   WHERE b.uid = p_uid AND b.collection = p_collection AND b.expires > p_now;
  IF used > p_quota AND grown > 0 THEN
    RAISE EXCEPTION USING ERRCODE = 'LS507', MESSAGE = 'The batches of the collection are over its quota.';
  END IF;
  IF p_store_quota IS NOT NULL AND grown > 0 THEN
    SELECT grown + COALESCE(sum(b.bytes), 0) INTO used FROM batch b
     WHERE b.uid = p_uid AND b.expires > p_now;
    SELECT used + COALESCE(sum(c.bytes), 0) INTO used FROM user_collection c WHERE c.uid = p_uid;
    IF used > p_store_quota THEN
      RAISE EXCEPTION USING ERRCODE = 'LS507', MESSAGE = 'The batches of the store are over its quota.';
    END IF;
  END IF;
  INSERT INTO batch AS b (id, uid, collection, expires, records, bytes)
  VALUES (p_batch, p_uid, p_collection, staged.expires, staged.records + more, staged.bytes + grown)
      ON CONFLICT (id) DO UPDATE SET records = EXCLUDED.records, bytes = EXCLUDED.bytes;
  outcome := 'done';
END $$`;

/** Writes a batch and the last records of it, at one time. Lifetimes begin now. */
export const COMMIT = `
CREATE OR REPLACE FUNCTION storage_commit(
  p_uid bigint, p_collection text, p_now bigint, p_quota bigint, p_store_quota bigint,
  p_ttl_max bigint, p_unmodified_since bigint,
  p_batch uuid, p_records_max bigint, p_bytes_max bigint,
  p_ids text[], p_payloads text[], p_sortindexes integer[], p_ttls integer[],
  OUT outcome text, OUT new_modified bigint, OUT item_modified bigint, OUT room bigint
) LANGUAGE plpgsql ${planOnce} AS $$
DECLARE
  p_legacy CONSTANT boolean := false;
  p_parents text[];
  p_predecessors text[];
  held user_collection;
  staged batch;
  elsewhere bigint := 0;
  more bigint;
  grown bigint;
  is_quiet boolean;
BEGIN
  ${lockCollection}
  IF p_unmodified_since < held.modified AND NOT held.deleted THEN
    outcome := 'changed';
    new_modified := held.modified;
    RETURN;
  END IF;
  ${findBatch}
  IF cardinality(p_ids) > 0 THEN
    ${stage}
  END IF;
  ${weighStore}
  ${merge(`(SELECT s.*, NULL::text AS parentid, NULL::text AS predecessorid
              FROM batch_bso s WHERE s.batch = p_batch) g`)}
  DELETE FROM batch_bso s WHERE s.batch = p_batch;
  DELETE FROM batch b WHERE b.id = p_batch;
  outcome := 'done';
END $$`;
