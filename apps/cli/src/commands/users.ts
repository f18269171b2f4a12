import { Command } from 'commander';
import { addDataOption, runAdminTask, runNodesTask } from '../operator.ts';
import { withExamples } from '../options.ts';

const move = withExamples(
  addDataOption(
    new Command('move')
      .description('move the stores of a user to another node, while they are in use')
      .argument('<uid>', 'of an account, 32 hex digits; or of one store, a number')
      .option('--to <node>', 'name or address (default: where a new user would go)'),
  ),
  ['users move 4711 --to https://storage-2.example.org'],
).action((user: string, { to }: { to?: string }, command: Command) =>
  runNodesTask(command, { action: 'move', user, to }),
);

const deletion = withExamples(
  addDataOption(
    new Command('deletion')
      .description('how far the erasing of a deleted account is, and what it waits for')
      .argument('<uid>', 'of the account, 32 hex digits'),
  ),
  ['users deletion 0123456789abcdef0123456789abcdef'],
).action((uid: string, _options, command: Command) =>
  runAdminTask(command, { action: 'deletion', uid }),
);

/** `lockstep users move|deletion UID`, for the operator */
export const users = new Command('users')
  .description('users and their storage nodes; for the operator, on the machine of the front')
  .addCommand(move)
  .addCommand(deletion);
