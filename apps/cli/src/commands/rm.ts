import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, tell, withExamples } from '../options.ts';
import { Refused } from '../refused.ts';

/** `lockstep rm ID` */
export const rm = withExamples(
  new Command('rm')
    .description('delete a file of yours, for everybody')
    .argument('<id>', 'of a file'),
  ['rm yBzXkNqS0jVnYg3bJ8Xr0Q'],
).action(async (id: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { files } = await Device.open(options);
  const file = await files.find(id);
  if (!file) throw new Refused(`You have no file ${id}.`);
  await files.delete(file);
  tell(options, { id, deleted: true }, `${file.name} is deleted.`);
});
