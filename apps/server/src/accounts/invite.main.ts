import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { InvitationsService } from './invitations.service.ts';

/*
 * The operator's `lockstep invite <address>`: talks to the database, so that it needs no right on
 * the server but to read its configuration. Prints the invitation, and how to use it.
 */
const config = Config.from(process.env);
const url = config.databaseUrl ?? runningServer(config.dataDir);
const db = await new DataSource({ type: 'postgres', url, parseInt8: true }).initialize();
try {
  const email = process.argv[2] ?? '';
  const invitation = await new InvitationsService(db, new Clock(), config).invite(email);
  process.stdout.write(
    [
      invitation,
      `It is good once, for 7 days, for ${email}:`,
      `  npx lockstep sign-up ${email} --invitation ${invitation} --url ${config.publicUrl.origin}`,
      '',
    ].join('\n'),
  );
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 2;
} finally {
  await db.destroy();
}

/** The server that runs on this data folder says there where its database is. */
function runningServer(dataDir: string): string {
  try {
    return readFileSync(join(dataDir, 'database.url'), 'utf8').trim();
  } catch {
    process.stderr.write(
      `No server runs on ${dataDir}, and DATABASE_URL is not set. Start the server first.\n`,
    );
    return process.exit(1);
  }
}
