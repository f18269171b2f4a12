import { Command } from 'commander';
import { RandomId } from '#lib/protocol';
import { Device } from '../device.ts';
import { type Common, withExamples, peopleAt, tell } from '../options.ts';
import { upload } from '../transfer.ts';

interface Options extends Common {
  to: string[];
}

/** `lockstep share FILE… --to ADDRESS…` */
export const share = withExamples(
  new Command('share')
    .description('share files: by id, or from the disk, which stores them first')
    .argument('<files...>', 'ids of stored files, or paths')
    .requiredOption('--to <addresses...>', 'whom to share with'),
  [
    'share holiday.jpg --to bob@example.org carol@example.org',
    'share yBzXkNqS0jVnYg3bJ8Xr0Q --to bob@example.org',
  ],
).action(async (names: string[], _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const device = await Device.open(options);
  const people = await peopleAt(device, options.to);
  const shares = [];
  for (const name of names) {
    const stored = RandomId.safeParse(name).success ? await device.files.find(name) : undefined;
    const file = stored ?? (await upload(device, name));
    shares.push({
      file: file.id,
      name: file.name,
      share: await device.sharing.shareFile(file, people),
    });
  }
  const lines = shares.map(({ name, share: id }) => `${id}  ${name} → ${options.to.join(', ')}`);
  tell(options, shares, lines);
});
