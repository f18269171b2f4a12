import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { upload } from '../transfer.ts';

/** `lockstep put FILE` */
export const put = withExamples(
  new Command('put').description('encrypt a file and store it').argument('<file>'),
  ['put holiday.jpg', 'put holiday.jpg --json'],
).action(async (path: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const reference = await upload(await Device.open(options), path);
  const { id, name, size, sha256 } = reference;
  tell(options, { id, name, size, sha256 }, `${id}  ${name}`);
});
