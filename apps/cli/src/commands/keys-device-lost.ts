import { Command } from 'commander';
import { replaceAppKey } from '#lib/client';
import { Device, meet } from '../device.ts';
import { FilePinStore } from '../file-pin-store.ts';
import { type Common, linesOf, reasonsOf, tell, withExamples } from '../options.ts';
import { Refused } from '../refused.ts';
import { CODE_HELP, signInByPassword, type SignInSource } from '../sign-in-by-password.ts';

interface Options extends Common, SignInSource {
  app: string;
  yes?: boolean;
}

const CONSEQUENCES =
  'Every device that uses this app is signed out, and your contacts are told of new keys; whoever has the lost one ' +
  'opens what it had fetched before, and nothing else. If so: --yes';

/** `lockstep keys device-lost` */
export const deviceLost = withExamples(
  new Command('device-lost')
    .description('lock out a device that was lost or stolen: new keys, and your records under them')
    .argument('<email>', 'your address; the password is asked for')
    .option('--password-file <path>', 'read the password from a file')
    .option('--code <code>', CODE_HELP)
    .option('--app <client-id>', 'the app that was on it', 'demo-app')
    .option('--yes', 'without asking'),
  ['keys device-lost alice@example.org --yes'],
).action(async (email: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  if (options.yes !== true) throw new Refused(CONSEQUENCES);
  const server = await meet(options);
  const account = await signInByPassword(server, email, options, `Password for ${email}: `);
  const { app, own, ...done } = await replaceAppKey(account, {
    clientId: options.app,
    signIn: (by) => Device.letIn(by, options.app),
    pins: new FilePinStore(options.profile),
    onProgress: ({ moved }) => {
      if (process.stderr.isTTY) process.stderr.write(`\r${moved} records are under the new key`);
    },
  });
  if (process.stderr.isTTY && done.moved > 0) process.stderr.write('\n');
  await Device.keep(app, account, options.profile);
  const since = new Date(done.rotatedAt).toISOString();
  const { refused, wasBegun, moved } = done;
  const version = own?.list.ver;
  const facts = { since, wasBegun, version, moved, refused: reasonsOf(refused) };
  tell(options, facts, [
    wasBegun
      ? `The key was replaced at ${since} by a run that was cut off; this one did the rest.`
      : 'The key is replaced, and every device but this one is signed out.',
    ...(wasBegun ? ['If a device was lost after that, run the command once more.'] : []),
    `${moved === 1 ? '1 record was' : `${moved} records were`} put under the new key.`,
    ...linesOf(refused),
    `This computer is signed in as ${account.email}; sign in anew on your other devices.`,
  ]);
  if (refused.length > 0) process.exitCode = 4;
});
