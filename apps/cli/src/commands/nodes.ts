import { Command, InvalidArgumentError } from 'commander';
import { addDataOption, runNodesTask } from '../operator.ts';
import { withExamples } from '../options.ts';

const list = addDataOption(new Command('list').description('the nodes, with their stores')).action(
  (_options, command: Command) => runNodesTask(command, { action: 'list' }),
);

const add = addDataOption(
  new Command('add')
    .description('take in a node that runs; one that knows FRONT_URL comes by itself')
    .argument('<url>', 'its PUBLIC_URL'),
).action((url: string, _options, command: Command) =>
  runNodesTask(command, { action: 'add', url }),
);

const set = addDataOption(
  new Command('set')
    .description('say how a node is to be used')
    .argument('<node>', 'name or address')
    .option('--down', 'give it nobody new')
    .option('--up', 'give it new users again, also after it was drained')
    .option(
      '--backoff <seconds>',
      'ask its clients to come later, and give it nobody new',
      seconds,
    ),
).action(
  (
    node: string,
    { down, up, backoff }: { down?: true; up?: true; backoff?: number },
    command: Command,
  ) => {
    if (down && up) throw new InvalidArgumentError('A node is up or down.');
    const downed = down ? true : up ? false : undefined;
    return runNodesTask(command, { action: 'set', node, downed, backoffSeconds: backoff });
  },
);

const drain = addDataOption(
  new Command('drain')
    .description('move every store of a node to the others, while they are in use')
    .argument('<node>', 'name or address'),
).action((node: string, _options, command: Command) =>
  runNodesTask(command, { action: 'drain', node }),
);

const remove = addDataOption(
  new Command('remove')
    .description('forget a node that is empty')
    .argument('<node>', 'name or address')
    .option('--force', 'also with stores on it: they are lost, and their users begin anew'),
).action((node: string, { force }: { force?: true }, command: Command) =>
  runNodesTask(command, { action: 'remove', node, force: force === true }),
);

/** `lockstep nodes list|add|set|drain|remove`, for the operator */
export const nodes = withExamples(
  new Command('nodes').description('storage nodes; for the operator, on the machine of the front'),
  ['nodes list', 'nodes drain node-1f0c2d3e', 'nodes remove node-1f0c2d3e'],
);
for (const command of [list, add, set, drain, remove]) nodes.addCommand(command);

function seconds(text: string): number {
  if (!/^\d{1,8}$/.test(text)) throw new InvalidArgumentError('It is a number of seconds.');
  return Number(text);
}
