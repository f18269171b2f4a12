import { Command } from 'commander';
import { addDataOption, runLegacyPasswordTask } from '../operator.ts';
import { withExamples } from '../options.ts';

const action = (name: 'make' | 'revoke', description: string) =>
  withExamples(
    addDataOption(
      new Command(name)
        .description(description)
        .argument('<account>', 'a user name, or a mail address'),
    ),
    [`legacy-password ${name} alice@example.org`],
  ).action((account: string, _options, command: Command) =>
    runLegacyPasswordTask(command, { action: name, account }),
  );

/** `lockstep legacy-password make|revoke ACCOUNT`, for the operator of a storage node */
export const legacyPassword = new Command('legacy-password')
  .description(
    'passwords for clients of Storage 1.1; for the operator, on the machine of the storage node',
  )
  .addCommand(action('make', 'make a password and print it once; it replaces the one before'))
  .addCommand(action('revoke', 'end the password; the records stay'));
