/**
 * Stores that are being moved. The fence is in the database, so that it holds for every process of a
 * node and for what was under way when it went up. Nobody pays for it who is not being moved: an
 * update of a collection that is not frozen calls no function.
 *
 * @module
 */

const lockHold = `hashtextextended('storage-hold:' || p_uid, 0)`;
const now = `floor(extract(epoch FROM clock_timestamp()) * 100)::bigint`;

/** Refuses a change to a store that is held; LS503 is answered 503. Of a copy it is not told. */
export const FENCE = `
CREATE FUNCTION storage_fence() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  p_uid CONSTANT bigint := NEW.uid;
  hold storage_hold;
BEGIN
  IF current_setting('lockstep.copying', true) = p_uid::text THEN
    RETURN NEW;
  END IF;
  IF TG_OP = 'INSERT' THEN
    -- a collection that is new has no row that the freeze could have waited for
    PERFORM pg_advisory_xact_lock_shared(${lockHold});
  END IF;
  SELECT * INTO hold FROM storage_hold h WHERE h.uid = p_uid;
  IF NOT FOUND OR (hold.state = 'frozen' AND hold.expires <= ${now}) THEN
    NEW.frozen := false;
    RETURN NEW;
  END IF;
  RAISE EXCEPTION USING ERRCODE = 'LS503', MESSAGE = 'The store is being moved.';
END $$`;

export const FENCE_TRIGGERS = [
  `CREATE TRIGGER storage_fence_insert BEFORE INSERT ON user_collection
     FOR EACH ROW EXECUTE FUNCTION storage_fence()`,
  // A purge changes the size alone, and may.
  `CREATE TRIGGER storage_fence_update BEFORE UPDATE ON user_collection
     FOR EACH ROW WHEN (OLD.frozen AND NEW.frozen AND NEW.modified <> OLD.modified)
     EXECUTE FUNCTION storage_fence()`,
];

/**
 * Changes the state of a store, when every change to it that was under way has ended. Null when the
 * state it is in allows no such change.
 */
export const HOLD = `
CREATE FUNCTION storage_hold_change(p_uid bigint, p_state text, p_seconds integer, OUT state text)
LANGUAGE plpgsql AS $$
DECLARE
  hold storage_hold;
  may boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(${lockHold});
  -- before the collections, as those do who copy or delete a store
  SELECT * INTO hold FROM storage_hold h WHERE h.uid = p_uid FOR UPDATE;
  PERFORM 1 FROM user_collection c WHERE c.uid = p_uid ORDER BY c.collection FOR UPDATE;
  hold.state := COALESCE(hold.state, 'open');
  may := CASE p_state
    -- a store that lives here is not copied over
    WHEN 'incoming' THEN hold.state IN ('incoming', 'gone') OR (hold.state = 'open' AND NOT EXISTS (
      SELECT FROM user_collection c WHERE c.uid = p_uid))
    WHEN 'frozen' THEN hold.state IN ('open', 'frozen')
    -- once the freeze has ended, there may have been writes that were not copied
    WHEN 'released' THEN hold.state = 'released' OR (hold.state = 'frozen' AND hold.expires > ${now})
    WHEN 'open' THEN hold.state IN ('open', 'incoming', 'frozen')
    ELSE true END;
  IF NOT may THEN
    RETURN;
  END IF;
  state := p_state;
  IF p_state = 'open' THEN
    DELETE FROM storage_hold h WHERE h.uid = p_uid;
  ELSE
    INSERT INTO storage_hold (uid, state, expires, changed_at, purged)
    VALUES (p_uid, p_state, CASE WHEN p_state = 'frozen' THEN ${now} + p_seconds * 100 END, now(), false)
        ON CONFLICT (uid) DO UPDATE
       SET state = EXCLUDED.state, expires = EXCLUDED.expires, changed_at = EXCLUDED.changed_at,
           purged = storage_hold.purged AND EXCLUDED.state = 'gone';
  END IF;
  UPDATE user_collection c SET frozen = (p_state <> 'open')
   WHERE c.uid = p_uid AND c.frozen <> (p_state <> 'open');
END $$`;

/**
 * Deletes a chunk of a store that is gone, and the rest of it when no record is left.
 * Says whether there is more to do.
 */
export const PURGE_GONE = `
CREATE FUNCTION storage_purge_gone(p_uid bigint, p_records integer) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  gone bigint;
BEGIN
  PERFORM FROM storage_hold h WHERE h.uid = p_uid AND h.state = 'gone' FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  DELETE FROM bso b WHERE b.ctid = ANY (ARRAY(
    SELECT o.ctid FROM bso o WHERE o.uid = p_uid LIMIT p_records));
  GET DIAGNOSTICS gone = ROW_COUNT;
  IF gone = p_records THEN
    RETURN true;
  END IF;
  DELETE FROM batch_bso s USING batch b WHERE s.batch = b.id AND b.uid = p_uid;
  DELETE FROM batch b WHERE b.uid = p_uid;
  DELETE FROM user_collection c WHERE c.uid = p_uid;
  UPDATE storage_hold h SET purged = true WHERE h.uid = p_uid;
  RETURN false;
END $$`;
