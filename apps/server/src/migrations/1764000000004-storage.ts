import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Times are hundredths of a second since 1970. The functions are one round trip each, and every
 * statement inside one sees what was committed before it, so also before it had waited for a lock.
 */
export class Storage1764000000004 implements MigrationInterface {
  async up(db: QueryRunner): Promise<void> {
    await db.query(`
      CREATE TABLE user_collection (
        uid        bigint  NOT NULL,
        collection text    NOT NULL,
        modified   bigint  NOT NULL,
        -- of the payloads of all rows in bso, also of those that expired and were not purged yet
        bytes      bigint  NOT NULL,
        -- a deleted collection keeps its row, or the next one of its name could go back in time
        deleted    boolean NOT NULL,
        CONSTRAINT user_collection_pkey PRIMARY KEY (uid, collection)
      )`);
    await db.query(`
      CREATE TABLE bso (
        uid        bigint  NOT NULL,
        collection text    NOT NULL,
        id         text    NOT NULL,
        modified   bigint  NOT NULL,
        sortindex  integer,
        payload    text    NOT NULL,
        bytes      integer NOT NULL,
        expires    bigint,
        CONSTRAINT bso_pkey PRIMARY KEY (uid, collection, id)
      )`);
    await db.query(`CREATE INDEX bso_modified ON bso (uid, collection, modified, id)`);
    await db.query(`CREATE INDEX bso_expires ON bso (expires) WHERE expires IS NOT NULL`);
    await db.query(WRITE);
    await db.query(DELETE);
    await db.query(CLEAR);
  }

  async down(db: QueryRunner): Promise<void> {
    for (const name of ['storage_clear', 'storage_delete', 'storage_write']) {
      await db.query(`DROP FUNCTION ${name}`);
    }
    await db.query(`DROP TABLE bso`);
    await db.query(`DROP TABLE user_collection`);
  }
}

/**
 * Creates and updates records, all at one time later than any the collection ever had. Writers to
 * one collection take turns on its row. A null field keeps what a living record has.
 */
const WRITE = `
CREATE FUNCTION storage_write(
  p_uid bigint, p_collection text, p_now bigint, p_quota bigint,
  -- the condition is on this record, or on the collection when null
  p_target text, p_unmodified_since bigint,
  p_ids text[], p_payloads text[], p_sortindexes integer[], p_ttls integer[],
  OUT refused boolean, OUT new_modified bigint, OUT new_bytes bigint
) LANGUAGE plpgsql AS $$
DECLARE
  held user_collection;
  seen bigint;
  grown bigint;
BEGIN
  SELECT * INTO held FROM user_collection c
   WHERE c.uid = p_uid AND c.collection = p_collection FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO user_collection VALUES (p_uid, p_collection, 0, 0, true) ON CONFLICT DO NOTHING;
    SELECT * INTO held FROM user_collection c
     WHERE c.uid = p_uid AND c.collection = p_collection FOR UPDATE;
  END IF;

  IF p_unmodified_since IS NOT NULL THEN
    IF p_target IS NULL THEN
      seen := CASE WHEN held.deleted THEN 0 ELSE held.modified END;
    ELSE
      SELECT b.modified INTO seen FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection AND b.id = p_target
         AND (b.expires IS NULL OR b.expires > p_now);
    END IF;
    IF seen > p_unmodified_since THEN
      refused := true;
      new_modified := seen;
      RETURN;
    END IF;
  END IF;

  new_modified := GREATEST(p_now, held.modified + 1);
  WITH given AS (
    SELECT g.id, g.payload, g.sortindex, g.ttl,
           o.id IS NOT NULL AND (o.expires IS NULL OR o.expires > p_now) AS lives,
           CASE WHEN g.payload IS NULL THEN o.payload END AS old_payload,
           o.modified AS old_modified, o.sortindex AS old_sortindex, o.expires AS old_expires,
           COALESCE(o.bytes, 0) AS old_bytes
      FROM unnest(p_ids, p_payloads, p_sortindexes, p_ttls) AS g (id, payload, sortindex, ttl)
      LEFT JOIN bso o ON o.uid = p_uid AND o.collection = p_collection AND o.id = g.id
  ), merged AS (
    SELECT id, old_bytes,
           -- a new lifetime alone is no news for whoever polls
           CASE WHEN lives AND payload IS NULL AND sortindex IS NULL
                THEN old_modified ELSE new_modified END AS modified,
           CASE WHEN lives THEN COALESCE(sortindex, old_sortindex) ELSE sortindex END AS sortindex,
           CASE WHEN lives THEN COALESCE(payload, old_payload) ELSE COALESCE(payload, '') END AS payload,
           CASE WHEN ttl IS NOT NULL THEN p_now + ttl::bigint * 100
                WHEN lives THEN old_expires END AS expires
      FROM given
  ), written AS (
    INSERT INTO bso (uid, collection, id, modified, sortindex, payload, bytes, expires)
    SELECT p_uid, p_collection, id, modified, sortindex, payload, octet_length(payload), expires
      FROM merged
        ON CONFLICT (uid, collection, id) DO UPDATE
       SET modified = EXCLUDED.modified, sortindex = EXCLUDED.sortindex,
           payload = EXCLUDED.payload, bytes = EXCLUDED.bytes, expires = EXCLUDED.expires
  )
  SELECT COALESCE(sum(octet_length(payload) - old_bytes), 0) INTO grown FROM merged;

  new_bytes := held.bytes + grown;
  IF new_bytes > p_quota AND grown > 0 THEN
    -- what expired does not count; it only was not purged yet
    WITH purged AS (
      DELETE FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection AND b.expires <= p_now
      RETURNING b.bytes
    )
    SELECT new_bytes - COALESCE(sum(bytes), 0) INTO new_bytes FROM purged;
    IF new_bytes > p_quota THEN
      RAISE EXCEPTION USING ERRCODE = 'LS507', MESSAGE = 'The collection is over its quota.';
    END IF;
  END IF;
  UPDATE user_collection c SET modified = new_modified, bytes = new_bytes, deleted = false
   WHERE c.uid = p_uid AND c.collection = p_collection;
  refused := false;
END $$`;

/**
 * Deletes one record (p_item), some (p_ids) or, with neither, the collection.
 * `missing` for no such record or collection; new_modified is then the time of the store.
 */
const DELETE = `
CREATE FUNCTION storage_delete(
  p_uid bigint, p_collection text, p_now bigint, p_unmodified_since bigint,
  p_item text, p_ids text[],
  OUT refused boolean, OUT missing boolean, OUT new_modified bigint
) LANGUAGE plpgsql AS $$
DECLARE
  held user_collection;
  seen bigint;
  freed bigint;
BEGIN
  refused := false;
  missing := false;
  SELECT * INTO held FROM user_collection c
   WHERE c.uid = p_uid AND c.collection = p_collection FOR UPDATE;
  IF FOUND AND NOT held.deleted THEN
    seen := held.modified;
    IF p_item IS NOT NULL THEN
      SELECT b.modified INTO seen FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection AND b.id = p_item
         AND (b.expires IS NULL OR b.expires > p_now);
    END IF;
  END IF;
  IF seen IS NULL THEN
    missing := true;
    SELECT COALESCE(max(c.modified), 0) INTO new_modified FROM user_collection c WHERE c.uid = p_uid;
    RETURN;
  END IF;
  IF seen > p_unmodified_since THEN
    refused := true;
    new_modified := seen;
    RETURN;
  END IF;

  new_modified := GREATEST(p_now, held.modified + 1);
  IF p_item IS NULL AND p_ids IS NULL THEN
    DELETE FROM bso b WHERE b.uid = p_uid AND b.collection = p_collection;
    UPDATE user_collection c SET modified = new_modified, bytes = 0, deleted = true
     WHERE c.uid = p_uid AND c.collection = p_collection;
  ELSE
    WITH gone AS (
      DELETE FROM bso b
       WHERE b.uid = p_uid AND b.collection = p_collection
         AND b.id = ANY (COALESCE(p_ids, ARRAY[p_item]))
      RETURNING b.bytes
    )
    SELECT COALESCE(sum(bytes), 0) INTO freed FROM gone;
    UPDATE user_collection c SET modified = new_modified, bytes = c.bytes - freed
     WHERE c.uid = p_uid AND c.collection = p_collection;
  END IF;
END $$`;

/** Deletes all collections of a user. One that is being created at this moment survives whole. */
const CLEAR = `
CREATE FUNCTION storage_clear(
  p_uid bigint, p_now bigint, p_unmodified_since bigint,
  OUT refused boolean, OUT new_modified bigint
) LANGUAGE plpgsql AS $$
DECLARE
  locked text[];
  latest bigint;
BEGIN
  SELECT COALESCE(array_agg(l.collection), '{}'), COALESCE(max(l.modified), 0) INTO locked, latest
    FROM (SELECT c.collection, c.modified FROM user_collection c
           WHERE c.uid = p_uid ORDER BY c.collection FOR UPDATE) l;
  refused := COALESCE(latest > p_unmodified_since, false);
  new_modified := latest;
  IF refused OR cardinality(locked) = 0 THEN
    RETURN;
  END IF;
  new_modified := GREATEST(p_now, latest + 1);
  DELETE FROM bso b WHERE b.uid = p_uid AND b.collection = ANY (locked);
  UPDATE user_collection c SET modified = new_modified, bytes = 0, deleted = true
   WHERE c.uid = p_uid AND c.collection = ANY (locked);
END $$`;
