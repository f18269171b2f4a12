import { Command, InvalidArgumentError } from 'commander';
import { addDataOption, runAdminTask } from '../operator.ts';
import { withExamples } from '../options.ts';
import { Refused } from '../refused.ts';

const WHO = 'address or uid';
const DEFAULT_LIMIT = 100;

const addLimit = (command: Command): Command =>
  command.option('--limit <count>', 'no more than so many', count, DEFAULT_LIMIT);

const users = new Command('users')
  .description('accounts: what they are and have, never what is in it')
  .addCommand(
    addLimit(
      addDataOption(
        new Command('list')
          .description('accounts, the newest first')
          .option('--search <text>', 'whose address has this in it', ''),
      ),
    ).action(({ search, limit }: { search: string; limit: number }, command: Command) =>
      runAdminTask(command, { action: 'users', search, limit }),
    ),
  )
  .addCommand(
    addDataOption(
      new Command('show')
        .description('one account, with its sessions, devices, files and stores in number')
        .argument('<who>', WHO),
    ).action((who: string, _options, command: Command) =>
      runAdminTask(command, { action: 'user', who }),
    ),
  )
  .addCommand(
    addDataOption(
      new Command('delete')
        .description('delete an account and all that it has, for good')
        .argument('<who>', WHO)
        .option('--yes', 'it is meant'),
    ).action((who: string, { yes }: { yes?: true }, command: Command) => {
      if (yes !== true) throw new Refused('Say --yes to delete the account and its data.', 2);
      return runAdminTask(command, { action: 'delete', who });
    }),
  )
  .addCommand(
    addDataOption(
      new Command('factors')
        .description('second factors of an account; --remove lets in who has lost them')
        .argument('<who>', WHO)
        .option('--remove', 'take them all away, with the backup codes')
        .option('--yes', 'it is meant'),
    ).action((who: string, { remove, yes }: { remove?: true; yes?: true }, command: Command) => {
      if (remove === true && yes !== true) {
        throw new Refused('Say --yes if you are sure whose account it is.', 2);
      }
      return runAdminTask(command, { action: 'factors', who, remove: remove === true });
    }),
  )
  .addCommand(
    addDataOption(
      new Command('operator')
        .description('accounts that look after every app on the pages; without <who>: which')
        .argument('[who]', WHO)
        .option('--remove', 'no longer'),
    ).action((who: string | undefined, { remove }: { remove?: true }, command: Command) =>
      runAdminTask(
        command,
        who === undefined
          ? { action: 'operators' }
          : { action: 'operator', who, remove: remove === true },
      ),
    ),
  );

const invites = new Command('invites')
  .description('invitations that wait; `lockstep invite` makes one')
  .addCommand(
    addDataOption(new Command('list').description('for whom, and until when')).action(
      (_options, command: Command) => runAdminTask(command, { action: 'invites' }),
    ),
  )
  .addCommand(
    addDataOption(
      new Command('revoke')
        .description('take invitations back')
        .argument('<which>', 'the address, or the id that the list shows'),
    ).action((which: string, _options, command: Command) =>
      runAdminTask(command, { action: 'revoke-invites', which }),
    ),
  );

const sessions = new Command('sessions')
  .description('signed-in devices')
  .addCommand(
    addLimit(
      addDataOption(
        new Command('list').description('the one used last first').argument('[who]', WHO),
      ),
    ).action((who: string | undefined, { limit }: { limit: number }, command: Command) =>
      runAdminTask(command, { action: 'sessions', who, limit }),
    ),
  )
  .addCommand(
    addDataOption(
      new Command('revoke')
        .description('end a session, or all of an account, with the tokens given in it')
        .argument('<which>', 'the id that the list shows; or an address or uid'),
    ).action((which: string, _options, command: Command) =>
      runAdminTask(command, { action: 'revoke-sessions', which }),
    ),
  );

const signingKeys = new Command('signing-keys')
  .description('keys that sign ID tokens and JWTs')
  .addCommand(
    addDataOption(new Command('list').description('the newest first')).action(
      (_options, command: Command) => runAdminTask(command, { action: 'signing-keys' }),
    ),
  )
  .addCommand(
    addDataOption(
      new Command('rotate')
        .description('let a new key sign; the old ones go when what they signed has expired')
        .option('--at-once', 'the old one was stolen: what it signed is refused from now on'),
    ).action(({ atOnce }: { atOnce?: true }, command: Command) =>
      runAdminTask(command, { action: 'rotate-signing-key', atOnce: atOnce === true }),
    ),
  );

/** `lockstep admin users|invites|sessions|signing-keys`, for the operator */
export const admin = withExamples(
  new Command('admin').description(
    'accounts, invitations, sessions and keys; for the operator, on the machine of the front',
  ),
  [
    'admin users list --search example.org',
    'admin users show alice@example.org',
    'admin users factors alice@example.org --remove --yes',
    'admin invites revoke bob@example.org',
    'admin sessions revoke alice@example.org',
    'admin signing-keys rotate',
  ],
);
for (const command of [users, invites, sessions, signingKeys]) admin.addCommand(command);

function count(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('It is a number up to 99999.');
  return Number(text);
}
