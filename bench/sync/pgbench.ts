import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What one client of pgbench does again and again. */
export interface Script {
  /** In pgbench's language: `\set` lines, and statements that end with a semicolon. */
  text: string;
  /** Values of `:name`, beside those that the script sets. */
  variables: Readonly<Record<string, string>>;
  /** Of each connection, as libpq takes them: `-c name=value`. */
  settings?: string;
}

/**
 * The pgbench of this machine.
 *
 * @throws Error that says what to install
 */
export function findPgbench(): string {
  const versions = [18, 17, 16, 15].map((version) => `/usr/lib/postgresql/${version}/bin/pgbench`);
  const found = ['pgbench', ...versions].find(
    (path) => spawnSync(path, ['--version']).status === 0,
  );
  if (found === undefined) {
    throw new Error('There is no pgbench. On Debian and Ubuntu it comes with "postgresql".');
  }
  return found;
}

/**
 * Runs a script with prepared statements.
 *
 * @returns transactions per second, without the time it took to connect
 * @throws Error with pgbench's own words when a statement failed
 */
export async function runPgbench(
  { pgbench, url, clients, seconds }: RunOptions,
  { text, variables, settings = '' }: Script,
): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'lockstep-pgbench-'));
  try {
    const file = join(folder, 'script.sql');
    await writeFile(file, text);
    const { hostname, port, username, password, pathname } = new URL(url);
    const defines = Object.entries(variables).flatMap(([name, value]) => [
      '-D',
      `${name}=${value}`,
    ]);
    const args = [
      ...['-n', '-M', 'prepared', '-c', String(clients), '-j', '2', '-T', String(seconds)],
      ...['-h', hostname, '-p', port, '-U', username, '-f', file, ...defines],
      pathname.slice(1),
    ];
    const output = await run(pgbench, args, {
      PGPASSWORD: decodeURIComponent(password),
      PGOPTIONS: settings,
    });
    const tps = /^tps = ([\d.]+)/m.exec(output)?.[1];
    if (tps === undefined) throw new Error(`pgbench printed no rate: ${output}`);
    return Number(tps);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** What pgbench runs against, and for how long. */
export interface RunOptions {
  pgbench: string;
  url: string;
  clients: number;
  seconds: number;
}

function run(
  command: string,
  args: string[],
  environment: Readonly<Record<string, string>>,
): Promise<string> {
  return new Promise((done, failed) => {
    const child = spawn(command, args, { env: { ...process.env, ...environment } });
    let output = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()));
    child.once('error', failed);
    child.once('close', (code) => {
      if (code === 0 && !complaint.includes('ERROR:')) done(output);
      else failed(new Error(`pgbench failed (${String(code)}): ${complaint.slice(0, 2000)}`));
    });
  });
}
