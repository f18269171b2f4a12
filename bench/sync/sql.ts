import pg from 'pg';
import { DataSource } from 'typeorm';
import { migrations } from '../../apps/server/src/migrations/index.ts';
import { BenchDatabase } from './bench-database.ts';
import type { Options } from './options.ts';
import { ourShape } from './our-shape.ts';
import { findPgbench, runPgbench, type Script } from './pgbench.ts';
import { median, print, ratio, say } from './report.ts';
import { RS_CONSTRAINTS, RS_SCHEMA, RS_SEED, rsShape } from './rs-shape.ts';
import {
  BATCH,
  COLLECTION,
  LAST_TIME,
  type Operation,
  operations,
  PER_STORE,
  STEP,
} from './sql-workload.ts';

/** Our statements beside the "rs SQL shape", on one PostgreSQL, in turns. */
export async function benchSql(options: Options): Promise<void> {
  const pgbench = findPgbench();
  const { rounds, clients, seconds = 2 } = options;
  const stores = Math.max(1, Math.round(options.rows / PER_STORE));
  const database = await BenchDatabase.start();
  try {
    say(`SQL: ${stores * PER_STORE} records in ${stores} stores, ${clients} connections,`);
    say(`each script ${rounds} times for ${seconds} s, in turns; transactions per second`, '');
    await seed(database.url, stores);
    const shapes = { ours: await ourShape(), rs: rsShape };
    const run = (script: Script) =>
      runPgbench(
        { pgbench, url: database.url, clients, seconds },
        { ...script, variables: { ...script.variables, stores: String(stores) } },
      );

    const rows = [['operation', 'rs shape', 'ours', 'ratio', 'target', '']];
    for (const { name, label, target } of operations) {
      const rates = { ours: [] as number[], rs: [] as number[] };
      for (let round = 0; round < rounds; round++) {
        // A B, then B A: neither is always the one that comes after a checkpoint
        for (const side of round % 2 === 0
          ? (['rs', 'ours'] as const)
          : (['ours', 'rs'] as const)) {
          rates[side].push(await run(shapes[side][name]));
        }
      }
      const [rs, ours] = [median(rates.rs), median(rates.ours)];
      rows.push([label, rs.toFixed(0), ours.toFixed(0), ...ratio(ours / rs, target)]);
    }
    await expectWrites(database.url);
    print(rows);
  } finally {
    await database.stop();
  }
}

async function seed(url: string, stores: number): Promise<void> {
  const ours = await new DataSource({
    type: 'postgres',
    url,
    migrations,
    migrationsRun: true,
  }).initialize();
  await ours.destroy();
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(RS_SCHEMA);
    for (const statement of RS_SEED) await client.query(statement, [stores, PER_STORE]);
    await client.query(RS_CONSTRAINTS);
    for (const statement of OUR_SEED) await client.query(statement, [stores, PER_STORE]);
    await client.query('VACUUM ANALYZE');
    await client.query('CHECKPOINT');
  } finally {
    await client.end();
  }
}

/** $1 stores, each with $2 records, eight collections and an open batch. */
const OUR_SEED = [
  `INSERT INTO user_collection (uid, collection, modified, bytes, deleted)
   SELECT u, c, ${LAST_TIME}, CASE c WHEN '${COLLECTION}' THEN $2::int * 448 ELSE 0 END, false
     FROM generate_series(1, $1::int) u,
          unnest('{clients,crypto,forms,${COLLECTION},bookmarks,meta,passwords,tabs}'::text[]) c`,
  `INSERT INTO bso (uid, collection, id, modified, payload, bytes)
   SELECT u, '${COLLECTION}', 'r' || i, ${LAST_TIME} - (i - 1) * ${STEP},
          repeat(md5((u * 1000 + i)::text), 14), 448
     FROM generate_series(1, $1::int) u, generate_series(1, $2::int) i`,
  `INSERT INTO batch (id, uid, collection, expires, records, bytes)
   SELECT ${BATCH.replace(':uid', 'u')}, u, '${COLLECTION}', ${LAST_TIME} * 2, 0, 0
     FROM generate_series(1, $1::int) u WHERE $2::int > 0`,
];

/** A script that was fast because it wrote nothing would be worth nothing. */
async function expectWrites(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const checks: readonly [Operation, ours: string, rs: string][] = [
      ['put', `bso WHERE id LIKE 'q%'`, `rs.bsos WHERE bso_id LIKE 'q%'`],
      ['post', `bso WHERE id LIKE 'p%'`, `rs.bsos WHERE bso_id LIKE 'p%'`],
      ['append', 'batch_bso', 'rs.batch_bsos'],
    ];
    for (const [name, ...tables] of checks) {
      for (const table of tables) {
        const { rows } = await client.query(`SELECT 1 FROM ${table} LIMIT 1`);
        if (rows.length === 0) throw new Error(`The script for "${name}" wrote nothing: ${table}`);
      }
    }
  } finally {
    await client.end();
  }
}
