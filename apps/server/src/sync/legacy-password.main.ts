import { DataSource } from 'typeorm';
import { Config } from '../platform/config.ts';
import { noServer, runningDatabase } from '../platform/running-database.ts';
import { LegacyPasswordsService } from './legacy-passwords.service.ts';
import { Statements } from './statements.ts';

/*
 * The operator's `lockstep legacy-password make|revoke <name or address>`: talks to the storage
 * node's database, as `lockstep invite` does to that of the accounts. With `--json` after them, one
 * line: `{username, password, url}` or `{account, revoked}`.
 */
const [action, account = '', format] = process.argv.slice(2);
const isJson = format === '--json';
const config = Config.from(process.env);
const url = runningDatabase(config) ?? away();
const db = await new DataSource({ type: 'postgres', url, parseInt8: true }).initialize();
try {
  const passwords = new LegacyPasswordsService(new Statements(db));
  if (action === 'make') {
    const made = { ...(await passwords.make(account)), url: `${config.at('')}/storage/` };
    say(made, [
      `user      ${made.username}`,
      `password  ${made.password}`,
      `server    ${made.url}`,
      'A password that was made before no longer works.',
    ]);
  } else {
    const revoked = await passwords.revoke(account);
    say({ account, revoked }, [revoked ? 'It is revoked. The records stay.' : 'There was none.']);
    process.exitCode = revoked ? 0 : 1;
  }
} finally {
  await db.destroy();
}

function say(value: unknown, lines: readonly string[]): void {
  process.stdout.write(`${isJson ? JSON.stringify(value) : lines.join('\n')}\n`);
}

function away(): never {
  const why = noServer(config);
  process.stderr.write(
    `${isJson ? JSON.stringify({ error: 'unavailable', message: why }) : why}\n`,
  );
  return process.exit(1);
}
