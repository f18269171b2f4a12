import { Command } from 'commander';
import { Account } from '#lib/client';
import { Device, meet } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { readNewPassword } from '../password.ts';

interface Options extends Common {
  invitation?: string;
  passwordFile?: string;
  app: string;
}

/** `lockstep sign-up EMAIL` */
export const signUp = withExamples(
  new Command('sign-up')
    .description('make an account')
    .argument('<email>')
    .option('--invitation <code>', 'an invitation for this address, which also verifies it')
    .option('--password-file <path>', 'read the password from a file')
    .option('--app <client-id>', 'the app to sign in to', 'demo-app'),
  ['sign-up alice@example.org', 'sign-up bob@example.org --invitation CODE'],
).action(async (email: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const server = await meet(options);
  const password = await readNewPassword(options, email);
  const account = await Account.signUp(server, { email, password, invitation: options.invitation });
  const { uid } = account;
  if (await account.isVerified()) {
    const device = await Device.connect(account, options);
    await device.keys.publish();
    tell(options, { uid, email, verified: true }, `Signed in as ${email}.`);
    return;
  }
  await account.signOut(); // nobody keeps this session
  const next = `A code was mailed to ${email}. Next: lockstep verify ${uid} CODE`;
  tell(options, { uid, email, verified: false }, next);
});
