import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from './config.ts';

/**
 * The database of a server, for the operator's programs beside it: DATABASE_URL, or what the server
 * that runs on this data folder has left there.
 *
 * @returns a postgres:// address; undefined when no server runs there
 */
export function runningDatabase({ databaseUrl, dataDir }: Config): string | undefined {
  return databaseUrl ?? leftBehind(dataDir, 'database.url');
}

/** The origin of the server that runs on this data folder, else the one of the configuration. */
export function runningOrigin({ dataDir, publicUrl }: Config): string {
  return leftBehind(dataDir, 'server.url') ?? publicUrl.origin;
}

function leftBehind(dataDir: string, name: string): string | undefined {
  try {
    return readFileSync(join(dataDir, name), 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** What to say then. */
export const noServer = ({ dataDir }: Config): string =>
  `No server runs on ${dataDir}, and DATABASE_URL is not set. Start the server first.`;
