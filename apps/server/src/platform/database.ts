import { Logger } from '@nestjs/common';
import type { TypeOrmModuleOptions } from '@nestjs/typeorm';
import { migrations } from '../migrations/index.ts';

/**
 * A prepared statement is planned once: planning for the very values takes as long as to run it. A
 * plan that is kept has to be right for any size: made while a table is nearly empty, it would read
 * all of it forever after.
 */
export const SESSION_SETTINGS = '-c plan_cache_mode=force_generic_plan -c enable_seqscan=off';

/**
 * Migrations are the schema; each feature module brings its own entities.
 * @param connections - the pool's size
 * @param isStopping - true from when the database may go away without a word in the log
 */
export const database = (
  url: string,
  {
    schema = 'public',
    connections = 10,
    isStopping = () => false,
  }: { schema?: string; connections?: number; isStopping?: () => boolean } = {},
): TypeOrmModuleOptions => ({
  type: 'postgres',
  url,
  schema,
  poolSize: connections,
  // int8 stays text by default; our counters and times fit a double exactly.
  parseInt8: true,
  extra: {
    options: `-c search_path=${schema} ${SESSION_SETTINGS}`,
    connectionTimeoutMillis: 5000,
    keepAlive: true,
  },
  autoLoadEntities: true,
  migrations,
  // An idle connection that the database closed is replaced, never a crash.
  // A pool has ended when its goodbyes are sent: an embedded database can stop before it reads them.
  poolErrorHandler: (error: Error) => {
    if (isStopping()) return;
    new Logger('database').warn({ event: 'connection-lost', reason: error.message });
  },
  migrationsRun: true,
  migrationsTransactionMode: 'each',
  retryAttempts: 0,
});
