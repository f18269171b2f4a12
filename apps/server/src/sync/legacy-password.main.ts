import { z } from 'zod';
import { runOperatorProgram } from '../platform/operator-program.ts';
import { LegacyPasswordsService } from './legacy-passwords.service.ts';
import { Statements } from './statements.ts';

/*
 * The operator's `lockstep legacy-password make|revoke <name or address>`, on the storage node's
 * database. With `json`: `{username, password, url}` or `{account, revoked}`.
 */
const Task = z.object({
  json: z.boolean().default(false),
  action: z.enum(['make', 'revoke']),
  account: z.string(),
});

await runOperatorProgram(
  process.env,
  Task,
  {},
  async ({ task: { action, account }, db, config, say }) => {
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
  },
);
