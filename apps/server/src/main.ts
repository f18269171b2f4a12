import { Clock } from './platform/clock.ts';
import { Config } from './platform/config.ts';
import { database } from './platform/database.ts';
import { startEmbeddedPostgres } from './platform/embedded-postgres.ts';
import { createServer } from './server.ts';

const config = Config.from(process.env);
const embedded = config.databaseUrl
  ? undefined
  : await startEmbeddedPostgres({ dataDir: config.dataDir });
const server = await createServer({
  config,
  clock: new Clock(),
  database: database(config.databaseUrl ?? embedded?.url ?? '', {
    connections: config.databaseConnections,
  }),
});
await server.listen(config.port, config.host);
