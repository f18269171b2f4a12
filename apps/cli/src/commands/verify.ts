import { Command } from 'commander';
import { Account } from '#lib/client';
import { meet } from '../device.ts';
import { signInBy } from '../next-step.ts';
import { type Common, tell, withExamples } from '../options.ts';

/** `lockstep verify UID CODE` */
export const verify = withExamples(
  new Command('verify')
    .description('give the code that was mailed at sign-up')
    .argument('<uid>', 'as sign-up told it')
    .argument('<code>', '32 hex digits'),
  ['verify 6aa248931704886f54ac64b81b111bc0 0123456789abcdef0123456789abcdef'],
).action(async (uid: string, code: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  await Account.verify(await meet(options), uid, code);
  tell(
    options,
    { uid, verified: true },
    `The address is verified. Next: ${signInBy(options.profile)}`,
  );
});
