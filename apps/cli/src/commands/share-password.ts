import { Command } from 'commander';
import { Device } from '../device.ts';
import { type Common, withExamples, peopleAt, tell } from '../options.ts';
import { readSecret } from '../password.ts';

interface Options extends Common {
  to: string[];
  username?: string;
  secretFile?: string;
}

/** `lockstep share-password TITLE --to ADDRESS…` */
export const sharePassword = withExamples(
  new Command('share-password')
    .description('share a password; it is asked for, or read from a file')
    .argument('<title>', 'what it is for')
    .requiredOption('--to <addresses...>', 'whom to share with')
    .option('--username <name>')
    .option('--secret-file <path>', 'read the password to share from a file; - for standard input'),
  ['share-password Netflix --username alice --to bob@example.org'],
).action(async (title: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const { username, to } = options;
  const device = await Device.open(options);
  const people = await peopleAt(device, to);
  const password = await readSecret(options.secretFile, `Password to share (${title}): `);
  const secret = { ...(username !== undefined && { username }), password };
  const id = await device.sharing.share({ typ: 'item', title, secret }, people);
  tell(options, { share: id, title }, `${id}  ${title} → ${to.join(', ')}`);
});
