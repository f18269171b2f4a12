import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import pg from 'pg';
import { RunningServer } from '../../apps/demo/src/running-server.ts';
import { BenchDatabase } from './bench-database.ts';

/** Linux counts processor time in these. */
const TICKS_PER_SECOND = 100;

/** What was used since some beginning. */
export interface Usage {
  /** Processor seconds of the server's process. */
  server: number;
  /** Of all processes of PostgreSQL. */
  database: number;
  /** Statements that clients of PostgreSQL sent, but for the purge's. */
  statements: number;
}

/** The built server in a process of its own, on a PostgreSQL of its own, and a look at both. */
export class ServerUnderTest {
  private constructor(
    private readonly server: RunningServer,
    private readonly database: BenchDatabase,
    private readonly db: pg.Client,
    private readonly postmaster: number,
    /** Storage tokens are minted from it. */
    readonly secret: string,
  ) {}

  /** @param environment - variables of the server, beside address, database and secret */
  static async start(environment: Readonly<Record<string, string>>): Promise<ServerUnderTest> {
    const secret = randomBytes(32).toString('hex');
    const database = await BenchDatabase.start();
    const server = await RunningServer.start(undefined, {
      ...{ DATABASE_URL: database.url, SYNC_MASTER_SECRET: secret, NODE_ENV: 'production' },
      ...environment,
    });
    const db = new pg.Client({ connectionString: database.url });
    await db.connect();
    await db.query('CREATE EXTENSION pg_stat_statements');
    const { rows } = await db.query<{ file: string }>(
      `SELECT pg_read_file('postmaster.pid') AS file`,
    );
    const postmaster = Number(rows[0]?.file.split('\n')[0]);
    return new ServerUnderTest(server, database, db, postmaster, secret);
  }

  get origin(): string {
    return this.server.url;
  }

  /** Where its log and its mail are. */
  get dataDir(): string {
    return this.server.dataDir;
  }

  get databaseUrl(): string {
    return this.database.url;
  }

  /** For rows that the measurement begins with. */
  async query<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]> {
    return (await this.db.query<Row>(text, values)).rows;
  }

  async usage(): Promise<Usage> {
    const [row] = await this.query<{ calls: string }>(
      `SELECT COALESCE(sum(calls), 0) AS calls FROM pg_stat_statements
        WHERE toplevel AND query !~ 'pg_stat_statements|storage_purge'`,
    );
    return {
      server: await processorSeconds(this.server.pid),
      database: await familySeconds(this.postmaster),
      statements: Number(row?.calls),
    };
  }

  /** From now on {@link memoryPeak} is of what comes. */
  async forgetMemoryPeak(): Promise<void> {
    await writeFile(`/proc/${this.server.pid}/clear_refs`, '5');
  }

  /** The most memory that the server's process held, in bytes. */
  async memoryPeak(): Promise<number> {
    const status = await readFile(`/proc/${this.server.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  async stop(): Promise<void> {
    await Promise.allSettled([this.db.end(), this.server.stop()]);
    await this.database.stop();
  }
}

/** Times of a process: its own, and of those of its children that ended; undefined when it ended itself. */
async function times(pid: number) {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // the second field is a name, which may hold anything
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [, parent] = fields.map(Number);
    const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15).map(Number);
    return { parent, own: user + system, ended: childUser + childSystem };
  } catch {
    return undefined;
  }
}

/** Processor seconds of a process, since it began. */
export async function processorSeconds(pid: number): Promise<number> {
  return ((await times(pid))?.own ?? 0) / TICKS_PER_SECOND;
}

/** Of a process and its children, also of those that ended. */
async function familySeconds(pid: number): Promise<number> {
  const own = await times(pid);
  let ticks = (own?.own ?? 0) + (own?.ended ?? 0);
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const child = await times(Number(name));
    if (child?.parent === pid) ticks += child.own;
  }
  return ticks / TICKS_PER_SECOND;
}
