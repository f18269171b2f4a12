import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, linesOf, reasonsOf, tell, withExamples } from '../options.ts';

/** `lockstep ls` */
export const ls = withExamples(new Command('ls').description('list your files'), [
  'ls',
  'ls --json',
]).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const { files } = await Device.open(options);
  const { files: own, refused } = await files.list();
  const rows = own.map(({ id, name, size }) => ({ id, name, size }));
  const lines = rows.map(({ id, name, size }) => `${id}  ${name}  ${size} bytes`);
  lines.push(...linesOf(refused));
  const value = [...rows, ...reasonsOf(refused)];
  tell(options, value, lines.length > 0 ? lines : 'No files yet.');
});
