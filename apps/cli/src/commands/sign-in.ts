import { Command } from 'commander';
import { Account } from '#lib/client';
import { Device, meet } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { readPassword } from '../password.ts';
import { Refused } from '../refused.ts';

interface Options extends Common {
  passwordFile?: string;
  app: string;
}

/** `lockstep sign-in EMAIL` */
export const signIn = withExamples(
  new Command('sign-in')
    .description('sign in on this computer, and publish keys if there are none')
    .argument('<email>')
    .option('--password-file <path>', 'read the password from a file')
    .option('--app <client-id>', 'the app to sign in to', 'demo-app'),
  ['sign-in alice@example.org', 'sign-in alice@example.org --url https://lockstep.example'],
).action(async (email: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const server = await meet(options);
  const password = await readPassword(options, `Password for ${email}: `);
  const account = await Account.signIn(server, { email, password });
  if (!(await account.isVerified())) {
    await account.signOut();
    throw new Refused(`The address is not verified yet: lockstep verify ${account.uid} CODE`);
  }
  const { app } = await Device.connect(account, options);
  tell(options, { uid: app.uid, email: account.email }, `Signed in as ${account.email}.`);
});
