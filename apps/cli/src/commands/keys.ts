import type { Command } from 'commander';
import { type GlobalOptions, print } from '../output.ts';
import { Profile } from '../profile.ts';

/** `lockstep keys publish|show|find` */
export function keysCommands(program: Command): void {
  const keys = program.command('keys').description('your keys of this app, and those of others');

  keys
    .command('publish')
    .description('publish your key pair, or fetch the one another device published')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { keys: own } = await new Profile(options.profile).open();
      const { list, publicJwk } = await own.publish();
      print(
        options,
        { version: list.ver, kid: publicJwk.kid },
        ({ version, kid }) =>
          `Version ${String(version)} of your key list stands; your key is ${kid}.`,
      );
    });

  keys
    .command('show')
    .description('check your own key list and show it')
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { keys: own } = await new Profile(options.profile).open();
      const { list, identity } = await own.own();
      print(options, { identity: identity.kid, list }, () =>
        [
          `identity ${identity.kid}`,
          `version  ${String(list.ver)}, good until ${new Date(list.exp * 1000).toISOString()}`,
          ...list.keys.map(({ kid, alg, st }) => `key      ${kid} ${alg} ${st}`),
        ].join('\n'),
      );
    });

  keys
    .command('find <address...>')
    .description('look people of this app up by verified address, and pin their identities')
    .action(async (addresses: string[], _options: unknown, command: Command) => {
      const options = command.optsWithGlobals<GlobalOptions>();
      const { keys: others } = await new Profile(options.profile).open();
      const found = await others.discover(addresses);
      const people = addresses.map((address) => {
        const contact = found.get(address);
        return { address, uid: contact?.uid, kid: contact?.publicJwk.kid, isNew: contact?.isNew };
      });
      print(options, { people }, () =>
        people
          .map(({ address, uid, isNew }) =>
            uid === undefined
              ? `${address}: not found in this app`
              : `${address}: ${uid}${isNew === true ? ' (first contact: identity pinned)' : ''}`,
          )
          .join('\n'),
      );
    });
}
