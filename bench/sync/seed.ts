import type { ServerUnderTest } from './server-under-test.ts';

/** Records that are in a collection before anybody comes. */
export interface Filling {
  /** Of the stores: the first and the last. */
  uids: readonly [number, number];
  collection: string;
  records: number;
  /** They end one after the other in these seconds; without it they stay. */
  expiresIn?: number;
}

/** Of the times that are found before the measurement, in hundredths: as far back as polls look. */
const PAST = 36_000_000;

/** Fills collections beside the API, with payloads as long as those of the load. */
export async function fill(server: ServerUnderTest, filling: Filling): Promise<void> {
  const { uids, collection, records, expiresIn } = filling;
  const now = Math.floor(Date.now() / 10);
  const lifetime = expiresIn === undefined ? [null, 's', 0] : [now, 'x', expiresIn * 100];
  // Those that go away must be no news, or a poll that met them would be right and look wrong.
  const before = expiresIn === undefined ? now : now - PAST - 1000;
  await server.query(
    `INSERT INTO bso (uid, collection, id, modified, payload, bytes, expires)
     SELECT uid, $3, id, modified, payload, octet_length(payload), $7::bigint + (random() * $9)::bigint
       FROM (SELECT u AS uid, $8 || lpad(i::text, 8, '0') AS id,
                    $5::bigint - (random() * $6)::bigint AS modified,
                    left(repeat(md5((u + i)::text), 40),
                         (300 / power(1 - random(), 1 / 3.0))::int) AS payload
               FROM generate_series($1::bigint, $2::bigint) u, generate_series(1, $4::int) i) made`,
    [...uids, collection, records, before, PAST, ...lifetime],
  );
  await server.query(
    `INSERT INTO user_collection AS c (uid, collection, modified, bytes, deleted)
     SELECT uid, collection, max(modified), sum(bytes), false
       FROM bso WHERE uid BETWEEN $1 AND $2 AND collection = $3 GROUP BY uid, collection
         ON CONFLICT (uid, collection) DO UPDATE SET bytes = EXCLUDED.bytes, deleted = false`,
    [...uids, collection],
  );
}

/** What a user has before the measurement, a tenth of what a busy one of Mozilla's would. */
const USUAL = {
  ...{ history: 500, bookmarks: 50, forms: 50, passwords: 10, prefs: 10 },
  ...{ tabs: 3, clients: 2, crypto: 1 },
};

/** Fills usual stores. */
export async function fillUsual(server: ServerUnderTest, users: number): Promise<void> {
  for (const [collection, records] of Object.entries(USUAL)) {
    await fill(server, { uids: [1, users], collection, records });
  }
  await server.query('VACUUM ANALYZE');
}
