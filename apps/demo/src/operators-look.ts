import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import pg from 'pg';
import { type Hit, Needles } from './needles.ts';

/** Where the operator has everything: the data folder, the database, or both. */
export interface OperatorsPlace {
  dataDir?: string | undefined;
  databaseUrl?: string | undefined;
}

/** What the search covered, and what it found. */
export interface OperatorsLook {
  tables: number;
  rows: number;
  files: number;
  bytes: number;
  secrets: number;
  hits: Hit[];
}

const ROWS_AT_ONCE = 500;
/** The embedded database's own folder: its rows are looked through as tables. */
const DATABASE_FOLDER = 'postgres';

/**
 * Looks for secrets where the server keeps things, with the operator's own access: every row of every table
 * as text and as bytes, every stored file, the log and the mail.
 *
 * @throws Error when there is no database to look into, or the search does not find what it planted itself
 */
export async function lookForSecrets(
  place: OperatorsPlace,
  secrets: ReadonlyMap<string, Uint8Array>,
): Promise<OperatorsLook> {
  const databaseUrl = place.databaseUrl ?? (await embeddedUrl(place.dataDir));
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await proveSearch(client, place.dataDir);
    const needles = new Needles();
    for (const [name, value] of secrets) needles.add(name, value);
    const inTables = await searchTables(client, needles);
    const inFiles = await searchFiles(place.dataDir, needles);
    return {
      tables: inTables.tables,
      rows: inTables.rows,
      files: inFiles.files,
      bytes: inTables.bytes + inFiles.bytes,
      secrets: needles.size,
      hits: [...inTables.hits, ...inFiles.hits],
    };
  } finally {
    await client.end();
  }
}

async function embeddedUrl(dataDir: string | undefined): Promise<string> {
  if (dataDir === undefined) throw new Error('There is neither a data folder nor a DATABASE_URL.');
  return (await readFile(join(dataDir, 'database.url'), 'utf8')).trim();
}

async function searchTables(client: pg.Client, needles: Needles) {
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1`,
  );
  const found = { tables: tables.length, rows: 0, bytes: 0, hits: [] as Hit[] };
  for (const { name } of tables) {
    const rows = await needles.search(rowsOf(client, name, found), `table ${name}`);
    found.bytes += rows.bytes;
    found.hits.push(...rows.hits);
  }
  return found;
}

/** Every row of a table as text, and its bytea columns as the bytes they are, a few hundred at a time. */
async function* rowsOf(client: pg.Client, table: string, count: { rows: number }) {
  const { rows: columns } = await client.query<{ name: string }>(
    `SELECT format('%I', attname) AS name FROM pg_attribute
      WHERE attrelid = $1::regclass AND atttypid = 'bytea'::regtype AND attnum > 0 AND NOT attisdropped`,
    [table],
  );
  const bytes = `ARRAY[${columns.map(({ name }) => `t.${name}`).join()}]::bytea[]`;
  await client.query('BEGIN READ ONLY');
  try {
    await client.query(
      `DECLARE look NO SCROLL CURSOR FOR SELECT t::text AS row, ${bytes} AS bytes FROM ${table} t`,
    );
    for (;;) {
      const { rows } = await client.query<{ row: string; bytes: (Buffer | null)[] }>(
        `FETCH ${ROWS_AT_ONCE} FROM look`,
      );
      if (rows.length === 0) return;
      count.rows += rows.length;
      yield Buffer.from(rows.map(({ row }) => row).join('\n') + '\n');
      for (const value of rows.flatMap((row) => row.bytes)) if (value) yield value;
    }
  } finally {
    await client.query('ROLLBACK');
  }
}

async function searchFiles(dataDir: string | undefined, needles: Needles) {
  const found = { files: 0, bytes: 0, hits: [] as Hit[] };
  if (dataDir === undefined) return found;
  for (const path of await filesOf(dataDir)) {
    found.files++;
    const place = `file ${relative(dataDir, path)}`;
    const { hits, bytes } = await needles.search(
      createReadStream(path, { highWaterMark: 1_048_576 }) as AsyncIterable<Buffer>,
      place,
    );
    found.bytes += bytes;
    found.hits.push(...hits);
  }
  return found;
}

async function filesOf(dataDir: string): Promise<string[]> {
  const paths: string[] = [];
  for (const entry of await readdir(dataDir, { withFileTypes: true })) {
    const path = join(dataDir, entry.name);
    if (entry.isFile()) paths.push(path);
    if (!entry.isDirectory() || entry.name === DATABASE_FOLDER) continue;
    for (const below of await readdir(path, { recursive: true, withFileTypes: true })) {
      if (below.isFile()) paths.push(join(below.parentPath, below.name));
    }
  }
  return paths;
}

/** A search that finds nothing proves something only if it finds what is there. */
async function proveSearch(client: pg.Client, dataDir: string | undefined): Promise<void> {
  const planted = randomBytes(32);
  const needles = new Needles();
  needles.add('planted', planted);
  const name = `planted-${randomBytes(6).toString('hex')}`;
  // Off by one byte, so that its base64 looks like that of no 32 bytes alone.
  const hidden = Buffer.concat([Buffer.from('x'), planted, Buffer.from('y')]);
  await client.query('INSERT INTO setting VALUES ($1, $2)', [name, hidden.toString('base64url')]);
  try {
    const { hits } = await searchTables(client, needles);
    if (hits.length === 0) throw new Error('The search did not find what was planted in a table.');
  } finally {
    await client.query('DELETE FROM setting WHERE name = $1', [name]);
  }
  if (dataDir === undefined) return;
  const path = join(dataDir, name);
  await writeFile(path, Buffer.concat([randomBytes(1_048_570), hidden]), { mode: 0o600 });
  try {
    const { hits } = await searchFiles(dataDir, needles);
    if (hits.length === 0) throw new Error('The search did not find what was planted in a file.');
  } finally {
    await rm(path);
  }
}
