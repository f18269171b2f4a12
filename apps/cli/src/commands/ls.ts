import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, tell, withExamples } from '../options.ts';

/** `lockstep ls` */
export const ls = withExamples(new Command('ls').description('list your files'), [
  'ls',
  'ls --json',
]).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { files } = await Device.open(options);
  const own = (await files.list()).map(({ id, name, size }) => ({ id, name, size }));
  const lines = own.map(({ id, name, size }) => `${id}  ${name}  ${size} bytes`);
  tell(options, own, lines.length > 0 ? lines.join('\n') : 'No files yet.');
});
