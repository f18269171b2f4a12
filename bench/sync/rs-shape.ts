import type { Script } from './pgbench.ts';
import {
  BATCH,
  LAST_TIME,
  type Operation,
  PER_POST,
  POST_IDS,
  SETTINGS,
  SINGLE_ID,
  STEP,
  VARIABLES,
} from './sql-workload.ts';

/**
 * The "rs SQL shape": the order and number of statements that a study of syncstorage-rs describes
 * for its PostgreSQL backend, written from that description. It is no measurement of that server.
 *
 * Tables: collections have numbers; records hang on their collection, and the records of a batch on
 * the batch, by foreign keys; times are timestamptz; one index by time and one by lifetime, both
 * beginning with store and collection. Quotas are off, as they are by default there.
 */
export const RS_SCHEMA = `
  CREATE SCHEMA rs;
  CREATE TABLE rs.user_collections (
    user_id bigint, collection_id int, modified timestamptz NOT NULL,
    count bigint NOT NULL DEFAULT 0, total_bytes bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, collection_id));
  CREATE TABLE rs.bsos (
    user_id bigint, collection_id int, bso_id text, sortindex int, payload text NOT NULL,
    modified timestamptz NOT NULL, expiry timestamptz NOT NULL,
    PRIMARY KEY (user_id, collection_id, bso_id));
  CREATE TABLE rs.batches (
    user_id bigint, collection_id int, batch_id uuid, expiry timestamptz NOT NULL,
    PRIMARY KEY (user_id, collection_id, batch_id));
  CREATE TABLE rs.batch_bsos (
    user_id bigint, collection_id int, batch_id uuid, batch_bso_id text, sortindex int,
    payload text, ttl bigint,
    PRIMARY KEY (user_id, collection_id, batch_id, batch_bso_id))`;

/** Made when the rows are there, which is faster. */
export const RS_CONSTRAINTS = `
  CREATE INDEX ON rs.bsos (user_id, collection_id, modified DESC);
  CREATE INDEX ON rs.bsos (user_id, collection_id, expiry);
  CREATE INDEX ON rs.batches (user_id, collection_id, expiry);
  ALTER TABLE rs.bsos ADD FOREIGN KEY (user_id, collection_id)
    REFERENCES rs.user_collections ON DELETE CASCADE;
  ALTER TABLE rs.batches ADD FOREIGN KEY (user_id, collection_id)
    REFERENCES rs.user_collections ON DELETE CASCADE;
  ALTER TABLE rs.batch_bsos ADD FOREIGN KEY (user_id, collection_id, batch_id)
    REFERENCES rs.batches ON DELETE CASCADE`;

/** The same stores that ours have: $1 stores, each with $2 records and eight collections. */
export const RS_SEED = [
  `INSERT INTO rs.user_collections (user_id, collection_id, modified)
   SELECT u, c, to_timestamp(${LAST_TIME / 100}) FROM generate_series(1, $1::int) u, generate_series(1, 8) c
    WHERE $2::int > 0`,
  `INSERT INTO rs.bsos
   SELECT u, 4, 'r' || i, NULL, repeat(md5((u * 1000 + i)::text), 14),
          to_timestamp((${LAST_TIME} - (i - 1) * ${STEP}) / 100.0), timestamptz '2090-01-01'
     FROM generate_series(1, $1::int) u, generate_series(1, $2::int) i`,
  `INSERT INTO rs.batches
   SELECT u, 4, ${BATCH.replace(':uid', 'u')}, timestamptz '2090-01-01'
     FROM generate_series(1, $1::int) u WHERE $2::int > 0`,
];

/** History is the fourth of the standard collections. */
const PLACE = 'user_id = :uid AND collection_id = 4';
const TOUCH = `INSERT INTO rs.user_collections VALUES (:uid, 4, timestamptz '0001-01-01', 0, 0) ON CONFLICT DO NOTHING`;
const LOCK = `SELECT modified, now() FROM rs.user_collections WHERE ${PLACE} FOR UPDATE`;
const STAMP = `UPDATE rs.user_collections SET modified = date_trunc('milliseconds', now()) WHERE ${PLACE}`;
const FIND_BATCH = `SELECT 1 FROM rs.batches WHERE ${PLACE} AND batch_id = ${BATCH} AND expiry > now()`;
const LIFETIME = `now() + interval '2100000000 seconds'`;
const TAKE_OVER = 'sortindex = EXCLUDED.sortindex, payload = EXCLUDED.payload';

/** The pool asks each connection whether it lives, then comes a transaction of these. */
const script = (...statements: readonly string[]): Script => ({
  text: SETTINGS + ['SELECT 1', 'BEGIN', ...statements, 'COMMIT', ''].join(';\n'),
  variables: VARIABLES,
});

/** By operation: round trips as described, besides the question whether the connection lives. */
export const rsShape: Readonly<Record<Operation, Script>> = {
  // 4
  read: script(
    `SELECT modified FROM rs.user_collections WHERE ${PLACE} FOR SHARE`,
    `SELECT bso_id, sortindex, payload, modified, expiry FROM rs.bsos
      WHERE ${PLACE} AND expiry > now() AND modified > to_timestamp(:newer::float8 / 100)
      ORDER BY modified DESC`.replaceAll(/\s*\n\s*/g, ' '),
  ),
  // 4
  info: script(
    `SELECT max(modified) FROM rs.user_collections WHERE user_id = :uid`,
    `SELECT collection_id, modified FROM rs.user_collections WHERE user_id = :uid AND modified > timestamptz '0001-01-02'`,
  ),
  // 7
  put: script(
    LOCK,
    `SELECT modified FROM rs.bsos WHERE ${PLACE} AND bso_id = ${SINGLE_ID}`,
    TOUCH,
    `INSERT INTO rs.bsos VALUES (:uid, 4, ${SINGLE_ID}, NULL, :payload, now(), ${LIFETIME}) ON CONFLICT (user_id, collection_id, bso_id) DO UPDATE SET ${TAKE_OVER}, modified = EXCLUDED.modified, expiry = EXCLUDED.expiry`,
    STAMP,
  ),
  // 6
  post: script(
    LOCK,
    TOUCH,
    `MERGE INTO rs.bsos t USING unnest(${POST_IDS}, :payloads::text[]) s (id, payload)
      ON t.user_id = :uid AND t.collection_id = 4 AND t.bso_id = s.id
      WHEN MATCHED THEN UPDATE SET payload = s.payload, modified = now()
      WHEN NOT MATCHED THEN INSERT VALUES (:uid, 4, s.id, NULL, s.payload, now(), ${LIFETIME})`.replaceAll(
      /\s*\n\s*/g,
      ' ',
    ),
    STAMP,
  ),
  // 6, and one for each record
  append: script(
    LOCK,
    FIND_BATCH,
    FIND_BATCH,
    `SELECT total_bytes, count FROM rs.user_collections WHERE ${PLACE}`,
    ...Array.from(
      { length: PER_POST },
      (_, i) =>
        `INSERT INTO rs.batch_bsos VALUES (:uid, 4, ${BATCH}, 'b' || :part::text || '-${i}', NULL, :payload, NULL) ON CONFLICT (user_id, collection_id, batch_id, batch_bso_id) DO UPDATE SET ${TAKE_OVER}`,
    ),
  ),
};
