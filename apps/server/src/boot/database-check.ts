import pg from 'pg';
import { BootFailure, reasonOf } from './boot-failure.ts';

/** 15 brought row filters in publications, by which a user can be moved while writing. */
const oldestMajor = 15;

/**
 * Whether the database answers and is new enough, before anything is built on it.
 * @throws BootFailure that names the database without its password
 */
export async function checkDatabase(url: string): Promise<void> {
  const { host, pathname } = new URL(url);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  client.on('error', () => undefined); // reported by whichever call it broke
  let major: number;
  try {
    await client.connect();
    const { rows } = await client.query<{ version: string }>(
      "SELECT current_setting('server_version_num') AS version",
    );
    major = Math.floor(Number(rows[0]?.version) / 10_000);
  } catch (error) {
    throw new BootFailure(`The database ${host}${pathname} is away: ${reasonOf(error)}`, {
      cause: error,
    });
  } finally {
    await client.end().catch(() => undefined);
  }
  if (major < oldestMajor) {
    throw new BootFailure(
      `The database ${host}${pathname} is PostgreSQL ${major}; ${oldestMajor} or newer is needed.`,
    );
  }
}
