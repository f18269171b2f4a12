import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../apps/server/src/platform/embedded-postgres.ts';

/** An embedded PostgreSQL in a temporary folder, with the server's settings: every commit is durable. */
export class BenchDatabase {
  private constructor(
    private readonly postgres: EmbeddedPostgres,
    private readonly folder: string,
  ) {}

  /** Postgres URL of an empty database. */
  get url(): string {
    return this.postgres.url;
  }

  static async start(): Promise<BenchDatabase> {
    const folder = await mkdtemp(join(tmpdir(), 'lockstep-bench-'));
    const postgres = await startEmbeddedPostgres({
      dataDir: folder,
      settings: { shared_preload_libraries: 'pg_stat_statements' },
    });
    return new BenchDatabase(postgres, folder);
  }

  async stop(): Promise<void> {
    await this.postgres.stop();
    await rm(this.folder, { recursive: true, force: true });
  }
}
