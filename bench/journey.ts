import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { Journey } from '../apps/demo/src/journey.ts';
import { RealFile } from '../apps/demo/src/real-file.ts';
import { RunningServer } from '../apps/demo/src/running-server.ts';
import { Stopwatch } from './stopwatch.ts';

/** An idle connection hands in what it has counted 10 s after its last statement. */
const COUNTERS_MS = 11_000;

/**
 * `npm run bench -- journey [FILE]`: the demo's journey, and where the time of each step went.
 *
 * | column | what it is |
 * | --- | --- |
 * | client | everything outside requests, and the encryption of files inside them: crypto above all |
 * | HTTP | while a request was under way: network, server and database |
 * | database | of that, the time that PostgreSQL spent on statements (pg_stat_database.active_time) |
 */
export async function journey([path]: readonly string[]): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'lockstep-bench-'));
  const server = await RunningServer.start(undefined, { SIGN_UP: 'open' });
  try {
    const file = await (path === undefined
      ? RealFile.make(join(scratch, 'random.bin'))
      : RealFile.at(path));
    const databaseUrl = process.env['DATABASE_URL'] ?? (await embeddedUrl(server.dataDir));
    await measure({ server, file, databaseUrl });
  } finally {
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  }
}

async function measure(parts: {
  server: RunningServer;
  file: RealFile;
  databaseUrl: string;
}): Promise<void> {
  const { server, file, databaseUrl } = parts;
  const watch = new Stopwatch();
  const database = new pg.Client({ connectionString: databaseUrl });
  await database.connect();
  try {
    const { steps } = new Journey({
      ...{ url: server.url, file, platform: watch.platform },
      place: { dataDir: server.dataDir, databaseUrl: process.env['DATABASE_URL'] },
      progress: () => ({ advance: () => undefined, done: () => undefined }),
    });
    print('step', 'ms', 'client', 'HTTP', 'of it database');
    for (const [i, { name, run }] of steps.entries()) {
      const before = await activeMs(database);
      watch.lap();
      const started = performance.now();
      await run();
      const ms = performance.now() - started;
      const { http } = watch.lap();
      await pause(COUNTERS_MS);
      const inDatabase = (await activeMs(database)) - before;
      const share = (part: number) => `${((100 * part) / ms).toFixed(0)} %`;
      // The last step reads the database itself, beside the API.
      const isDirect = i === steps.length - 1;
      const rest = isDirect ? ms - inDatabase : ms - http;
      print(
        ...([`${i + 1} ${name}`, ms.toFixed(0), share(rest), share(http)] as const),
        isDirect ? `${share(inDatabase)} direct` : share(Math.min(inDatabase, http)),
      );
    }
  } finally {
    await database.end();
  }
}

async function embeddedUrl(dataDir: string): Promise<string> {
  return (await readFile(join(dataDir, 'database.url'), 'utf8')).trim();
}

async function activeMs(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ active_time: number }>(
    'SELECT active_time FROM pg_stat_database WHERE datname = current_database()',
  );
  return rows[0]?.active_time ?? 0;
}

function print(step: string, ...columns: readonly string[]): void {
  const cells = columns.map((text) => text.padStart(16));
  process.stdout.write(`${step.padEnd(48)}${cells.join('')}\n`);
}
