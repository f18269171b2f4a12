import { Command } from 'commander';
import { addDataOption, runInviteTask } from '../operator.ts';
import { withExamples } from '../options.ts';

/** `lockstep invite ADDRESS`, for the operator */
export const invite = withExamples(
  addDataOption(
    new Command('invite')
      .description('invite an address to sign up; for the operator, on the machine of the server')
      .argument('<address>'),
  ),
  ['invite bob@example.org'],
).action((email: string, _options, command: Command) => runInviteTask(command, { email }));
