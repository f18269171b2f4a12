import { Logger } from '@nestjs/common';
import { InvitationsService } from '../accounts/invitations.service.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { database } from '../platform/database.ts';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../platform/embedded-postgres.ts';
import { createServer } from '../server.ts';
import { announce } from './banner.ts';
import { BootFailure, reasonOf } from './boot-failure.ts';
import { lockFolder, openFolder, publishUrl } from './data-folder.ts';
import { checkDatabase } from './database-check.ts';
import { Logs } from './logs.ts';
import type { Shutdown } from './shutdown.ts';

/**
 * From an environment to a server that answers. Each thing that it opens is closed by `shutdown`.
 * @throws BootFailure for everything that the operator can mend
 */
export async function boot(
  environment: Readonly<Record<string, string | undefined>>,
  shutdown: Shutdown,
): Promise<void> {
  const config = readConfig(environment);
  const isEmbedded = config.databaseUrl === undefined;
  openFolder(config.dataDir);
  shutdown.first(lockFolder(config.dataDir));

  const logs = new Logs({
    format: config.logFormat ?? (process.stdout.isTTY ? 'text' : 'json'),
    folder: isEmbedded ? config.dataDir : undefined,
  });
  shutdown.first(() => logs.close());
  Logger.overrideLogger(logs);
  const logger = new Logger('boot');
  process.on('unhandledRejection', (reason) => {
    // One request's mistake must not end the others.
    logger.error({ event: 'unhandled', error: stackOf(reason) });
  });
  process.on('uncaughtException', (error) => {
    logger.fatal({ event: 'uncaught', error: stackOf(error) });
    void shutdown.run(1);
  });

  const embedded = isEmbedded ? await startEmbedded(config, shutdown, logger) : undefined;
  const url = config.databaseUrl ?? embedded?.url ?? '';
  await checkDatabase(url);

  const server = await createServer({
    config,
    clock: new Clock(),
    database: database(url, {
      connections: config.databaseConnections,
      isStopping: () => shutdown.hasBegun,
    }),
  });
  shutdown.first(async () => {
    if (!logs.isBooting) logger.log({ event: 'stopping' });
    await server.close();
  });
  try {
    await server.listen(config.port, config.host);
  } catch (error) {
    throw listenFailure(error, config);
  }
  shutdown.first(publishUrl(config.dataDir, 'server.url', config.publicUrl.origin));
  if (embedded) shutdown.first(publishUrl(config.dataDir, 'database.url', embedded.url));
  logs.isBooting = false;
  const isNode = config.role === 'storage';
  const invitation = isNode ? undefined : await server.get(InvitationsService).firstBoot();
  announce({ config, postgresHow: embedded?.how, logs, invitation });
}

function readConfig(environment: Readonly<Record<string, string | undefined>>): Config {
  try {
    return Config.from(environment);
  } catch (error) {
    throw new BootFailure(reasonOf(error), { cause: error });
  }
}

async function startEmbedded(
  config: Config,
  shutdown: Shutdown,
  logger: Logger,
): Promise<EmbeddedPostgres> {
  try {
    const postgres = await startEmbeddedPostgres({ dataDir: config.dataDir });
    shutdown.first(() => postgres.stop());
    void postgres.died.then((error) => {
      if (shutdown.hasBegun) return;
      logger.fatal({ event: 'database-died', reason: error.message });
      void shutdown.run(1);
    });
    return postgres;
  } catch (error) {
    throw new BootFailure(`The embedded database cannot start: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function listenFailure(error: unknown, { host, port }: Config): Error {
  const { code } = error as { code?: unknown };
  switch (code) {
    case 'EADDRINUSE':
      return new BootFailure(`Port ${port} on ${host} is in use. Set PORT to another one.`);
    case 'EACCES':
      return new BootFailure(`Port ${port} on ${host} may not be opened by this user.`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new BootFailure(`HOST=${host} is not an address of this machine.`);
    default:
      return error instanceof Error ? error : new Error(String(error));
  }
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
