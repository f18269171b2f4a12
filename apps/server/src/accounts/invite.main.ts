import { z } from 'zod';
import { runOperatorProgram } from '../platform/operator-program.ts';
import { runningOrigin } from '../platform/running-database.ts';
import { InvitationsService } from './invitations.service.ts';

/*
 * The operator's `lockstep invite <address>`: prints the invitation, and how to use it; with `json`
 * `{email, invitation, url, command}`.
 */
const Task = z.object({ json: z.boolean().default(false), email: z.string() });

await runOperatorProgram(
  process.env,
  Task,
  { refusedWith: 2 },
  async ({ task, db, clock, config, say }) => {
    const { email } = task;
    const invitation = await new InvitationsService(db, clock, config).invite(email);
    const url = runningOrigin(config);
    const command = `npx lockstep sign-up ${email} --invitation ${invitation} --url ${url}`;
    say({ email, invitation, url, command }, [
      invitation,
      `It is good once, for 7 days, for ${email}, who types it at ${url}/signup, or:`,
      `  ${command}`,
    ]);
  },
);
