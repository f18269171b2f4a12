import type { TypeOrmModuleOptions } from '@nestjs/typeorm';
import { migrations } from '../migrations/index.ts';

/**
 * Migrations are the schema; each feature module brings its own entities.
 * @param connections - the pool's size
 */
export const database = (
  url: string,
  { schema = 'public', connections = 10 }: { schema?: string; connections?: number } = {},
): TypeOrmModuleOptions => ({
  type: 'postgres',
  url,
  schema,
  poolSize: connections,
  // int8 stays text by default; our counters and times fit a double exactly.
  parseInt8: true,
  extra: {
    options: `-c search_path=${schema}`,
    connectionTimeoutMillis: 5000,
    // A pooled connection that the database closed is replaced, never a crash.
    keepAlive: true,
  },
  autoLoadEntities: true,
  migrations,
  migrationsRun: true,
  migrationsTransactionMode: 'each',
  retryAttempts: 0,
});
