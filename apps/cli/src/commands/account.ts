import { type Command, Option } from 'commander';
import { Account, Server } from '#lib/client';
import { nodePlatform } from '../node-platform.ts';
import { type GlobalOptions, print } from '../output.ts';
import { readPassword } from '../password.ts';
import { Profile } from '../profile.ts';

interface SignUpOptions extends GlobalOptions {
  invitation?: string;
  passwordFile?: string;
  app: string;
}

const passwordFile = () =>
  new Option(
    '--password-file <path>',
    'read the password from a file (else LOCKSTEP_PASSWORD, else asked)',
  );
const app = () => new Option('--app <client_id>', 'the OAuth client to act as').default('demo-app');

/** `lockstep sign-up`, `verify`, `sign-in`, `whoami`, `sign-out` */
export function accountCommands(program: Command): void {
  program
    .command('sign-up <address>')
    .description('make an account; the password never leaves this machine')
    .option('--invitation <code>', 'an invitation issued for this address: it verifies it at once')
    .addOption(passwordFile())
    .addOption(app())
    .addHelpText('after', '\nExample:\n  $ lockstep sign-up alice@example.org')
    .action(async (email: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SignUpOptions>();
      const password = await readPassword(options, `Password for ${email}: `);
      const server = await Server.at(options.url, nodePlatform);
      const { invitation } = options;
      const account = await Account.signUp(server, { email, password, invitation });
      const verified = await account.isVerified();
      if (verified) await new Profile(options.profile).signIn(account, options.app);
      print(options, { uid: account.uid, email, verified }, ({ uid }) =>
        verified
          ? `${email} has an account (${uid}) and is signed in.`
          : `${email} has an account (${uid}). A code was mailed to it:\n  lockstep verify ${uid} <code>`,
      );
    });

  program
    .command('verify <uid> <code>')
    .description('give the code that was mailed to the address')
    .action(async (uid: string, code: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      await Account.verify(await Server.at(options.url, nodePlatform), uid, code);
      print(
        options,
        { uid, verified: true },
        () => 'The address is verified. Now: lockstep sign-in',
      );
    });

  program
    .command('sign-in <address>')
    .description('sign in, receive the app key, and publish or fetch the key pair')
    .addOption(passwordFile())
    .addOption(app())
    .addHelpText('after', '\nExample:\n  $ lockstep sign-in alice@example.org')
    .action(async (email: string, _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<SignUpOptions>();
      const password = await readPassword(options, `Password for ${email}: `);
      const server = await Server.at(options.url, nodePlatform);
      const account = await Account.signIn(server, { email, password });
      const signedIn = await new Profile(options.profile).signIn(account, options.app);
      print(
        options,
        { uid: signedIn.app.uid, email: account.email },
        () => `Signed in as ${email}.`,
      );
    });

  program
    .command('whoami')
    .description('who is signed in, where, and as which app')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { email, app: signedIn } = await new Profile(options.profile).open();
      const { uid, clientId, server } = signedIn;
      const found = { email, uid, app: clientId, server: server.url, realm: server.realm };
      print(options, found, () => `${email} (${uid}) as ${clientId} at ${server.url}`);
    });

  program
    .command('sign-out')
    .description('revoke the tokens and forget the key on this machine')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const profile = new Profile(options.profile);
      const { app: signedIn } = await profile.open();
      await signedIn.tokens.revoke();
      await profile.forget();
      print(options, { signedOut: true }, () => 'Signed out.');
    });
}
