import { Command } from 'commander';
import { Account, App, ClientError, Server } from '#lib/client';
import { cliPlatform } from '../cli-platform.ts';
import { CredentialsFile } from '../credentials.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { forgetSyncKey } from '../sync-device.ts';

/** `lockstep sign-out` */
export const signOut = withExamples(
  new Command('sign-out').description('end the sign-in, here and on the server; pins stay'),
  ['sign-out'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const file = new CredentialsFile(options.profile);
  const { email, sessionToken, app } = await file.read();
  const server = Server.known(app.server, app.realm, cliPlatform);
  try {
    if (sessionToken === undefined) await App.restore(app, cliPlatform).tokens.revoke();
    else await Account.endSession(server, sessionToken);
  } catch (error) {
    // A session that the server has ended already is what was wanted.
    if (!(error instanceof ClientError) || error.status !== 401) throw error;
  }
  await forgetSyncKey(options.profile);
  await file.forget();
  tell(options, { email, signedIn: false }, `${email} is signed out.`);
});
