import { Command } from 'commander';
import type { DevicePrompt } from '#lib/client';
import { Device, meet } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { printable, printableJson } from '../printable.ts';
import { qrLines } from '../qr-lines.ts';
import { Refused } from '../refused.ts';
import { CODE_HELP, signInByPassword, type SignInSource } from '../sign-in-by-password.ts';

interface Options extends Common, SignInSource {
  app: string;
}

/** `lockstep sign-in EMAIL` */
export const signIn = withExamples(
  new Command('sign-in')
    .description('sign in on this computer, and publish keys if there are none')
    .argument(
      '[email]',
      'with the password here; left out, a browser anywhere lets this computer in',
    )
    .option('--password-file <path>', 'read the password from a file')
    .option('--code <code>', CODE_HELP)
    .option('--app <client-id>', 'the app to sign in to', 'demo-app'),
  [
    'sign-in',
    'sign-in alice@example.org',
    'sign-in alice@example.org --code 123456',
    'sign-in alice@example.org --url https://lockstep.example',
  ],
).action(async (email: string | undefined, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  const server = await meet(options);
  if (email === undefined) {
    const device = await Device.connectByBrowser(server, options, (prompt) => {
      show(options, prompt);
    });
    await finish(options, device);
    return;
  }
  const account = await signInByPassword(server, email, options, `Password for ${email}: `);
  if (!(await account.isVerified())) {
    await account.signOut();
    throw new Refused(`The address is not verified yet: lockstep verify ${account.uid} CODE`);
  }
  await finish(options, await Device.connect(account, options));
});

/** Says so before keys are looked at: who is signed in stays so when those do not pass a check. */
async function finish(options: Options, { app, email, keys }: Device): Promise<void> {
  tell(options, { uid: app.uid, email }, `Signed in as ${email}.`);
  await keys.publish();
}

/** Tells the code and the address on standard error, lest it mix with the outcome. */
function show({ json }: Common, prompt: DevicePrompt): void {
  const { userCode, verificationUri, verificationUriComplete: url, expiresAt } = prompt;
  const lines = [
    ...(process.stderr.isTTY ? qrLines(url) : []),
    `Open ${printable(url)}`,
    `or ${printable(verificationUri)} and type the code. It is ${printable(userCode)} there, too.`,
  ];
  const text = json === true ? printableJson({ userCode, url, expiresAt }) : lines.join('\n');
  process.stderr.write(`${text}\n`);
}
