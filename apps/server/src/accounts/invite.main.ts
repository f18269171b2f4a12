import { DataSource } from 'typeorm';
import { Failure } from '#lib/protocol';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { noServer, runningDatabase, runningOrigin } from '../platform/running-database.ts';
import { InvitationsService } from './invitations.service.ts';

/*
 * The operator's `lockstep invite <address>`: talks to the database, so that it needs no right on
 * the server but to read its configuration. Prints the invitation, and how to use it; with `--json`
 * after the address as one line, `{email, invitation, url, command}`.
 */
const [email = '', format] = process.argv.slice(2);
const asJson = format === '--json';
const config = Config.from(process.env);
const databaseUrl = runningDatabase(config) ?? away();
const db = await new DataSource({
  type: 'postgres',
  url: databaseUrl,
  parseInt8: true,
}).initialize();
try {
  const invitation = await new InvitationsService(db, new Clock(), config).invite(email);
  const url = runningOrigin(config);
  const command = `npx lockstep sign-up ${email} --invitation ${invitation} --url ${url}`;
  const lines = asJson
    ? [JSON.stringify({ email, invitation, url, command })]
    : [
        invitation,
        `It is good once, for 7 days, for ${email}, who types it at ${url}/signup, or:`,
        `  ${command}`,
      ];
  process.stdout.write(`${lines.join('\n')}\n`);
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  say(error.code, error.message);
  process.exitCode = 2;
} finally {
  await db.destroy();
}

function away(): never {
  say('no-server', noServer(config));
  return process.exit(1);
}

function say(error: string, message: string): void {
  process.stderr.write(`${asJson ? JSON.stringify({ error, message }) : message}\n`);
}
