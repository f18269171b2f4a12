import { Command, CommanderError } from 'commander';
import { accountCommands } from './commands/account.ts';
import { filesCommands } from './commands/files.ts';
import { inviteCommand } from './commands/invite.ts';
import { keysCommands } from './commands/keys.ts';
import { sharingCommands } from './commands/sharing.ts';
import { describeError, exitCodeOf } from './exit-codes.ts';

const program = new Command('lockstep')
  .description(
    'An end-to-end encrypted backend: accounts, keys, files and sharing from a terminal.',
  )
  .option('--url <url>', 'the server', process.env['LOCKSTEP_URL'] ?? 'http://localhost:8000')
  .option('--profile <name>', 'whose sign-in on this machine', 'default')
  .option('--json', 'print results and errors as JSON, one line each')
  .showHelpAfterError('(lockstep --help shows every command)')
  .exitOverride()
  .addHelpText(
    'after',
    `
Examples:
  $ lockstep sign-up alice@example.org
  $ lockstep share holiday.jpg --to bob@example.org
  $ lockstep inbox

Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no answer from the server,
4 something from the server did not pass a check.`,
  );

accountCommands(program);
keysCommands(program);
filesCommands(program);
sharingCommands(program);
inviteCommand(program);

try {
  await program.parseAsync();
} catch (error) {
  // Commander has said it already.
  if (!(error instanceof CommanderError)) {
    process.stderr.write(`${describeError(error, process.argv.includes('--json'))}\n`);
  }
  process.exitCode = exitCodeOf(error);
}
