import type { TokenRevocation } from '#lib/protocol';
import { LIVE_TOKEN } from '../oauth/bearer.guard.ts';

/** What a look-up sees of one target; nothing of who is absent, hidden or not verified. */
export interface Seen {
  /** Whether who asks has published keys in the app. */
  isMember: boolean;
  target: string;
  /** The window in which the target was counted, if who was found is remembered as found. */
  countedIn: number | null;
  uid: string | null;
  skl: string;
  etag: string;
  revocations: TokenRevocation[] | null;
}

// Each row is found by a whole key of its table, whatever the statistics of the tables say: in a join, a
// plan that was made while a table was small goes through all of it when it has grown.
const columns = (asker: string, app: string, target: string, isRemembered = 'c.is_found') => `
  EXISTS (SELECT FROM key_member me WHERE me.uid = ${asker} AND me.client_id = ${app}) AS "isMember",
  m.uid, m.etag, m.revocations,
  (SELECT l.skl FROM key_list l
    WHERE l.uid = m.uid AND l.client_id = ${app} AND l.ver = m.ver) AS skl,
  (SELECT CASE WHEN m.uid IS NULL OR ${isRemembered} THEN c.counted_in END FROM key_contact c
    WHERE c.uid = ${asker} AND c.client_id = ${app} AND c.target = ${target}) AS "countedIn"`;
const seen = (asker: string, app: string, uid: string) => `
  LEFT JOIN LATERAL (
    SELECT * FROM key_member WHERE uid = ${uid} AND client_id = ${app} OFFSET 0) m
         ON m.uid = ${asker} OR m.discoverable = 'app' AND a.verified_at IS NOT NULL`;

/** $1 who asks, $2 in which app, $3 for whom */
export const LOOK_UP = `
  SELECT t.uid AS target, ${columns('$1', '$2', 't.uid')}
    FROM unnest($3::text[]) WITH ORDINALITY AS t (uid, n)
    LEFT JOIN LATERAL (SELECT verified_at FROM account WHERE uid = t.uid OFFSET 0) a ON true
    ${seen('$1', '$2', 't.uid')}
   ORDER BY t.n`;

/** $1 and $2 as of {@link LIVE_TOKEN}, $3 for whom */
export const LOOK_UP_BY_TOKEN = `
  WITH t AS MATERIALIZED (
    SELECT payload, payload->>'accountId' AS uid, payload->>'clientId' AS app ${LIVE_TOKEN})
  SELECT t.payload, $3 AS target, ${columns('t.uid', 't.app', '$3')}
    FROM t LEFT JOIN account a ON a.uid = $3 ${seen('t.uid', 't.app', '$3')}`;

// No EXISTS: that may read all whom somebody ever looked for.
const REMEMBERED = `(
    SELECT k.is_found FROM key_contact k
     WHERE k.uid = $1 AND k.client_id = $2 AND k.target = m.uid)`;

/** $1 who asks, $2 in which app, $3 for what addresses, in lower case, $4 their hashes */
export const DISCOVER = `
  SELECT t.hash AS target, ${columns('$1', '$2', 't.hash', REMEMBERED)}
    FROM unnest($3::text[], $4::text[]) WITH ORDINALITY AS t (email, hash, n)
    LEFT JOIN LATERAL (
      SELECT uid, verified_at FROM account
       WHERE normal_email = t.email AND verified_at IS NOT NULL OFFSET 0) a ON true
    ${seen('$1', '$2', 'a.uid')}
   ORDER BY t.n`;
