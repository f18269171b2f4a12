import { Command } from 'commander';
import type { OwnPair } from '#lib/client';
import { Device } from '../device.ts';
import { type Common, withExamples, tell } from '../options.ts';
import { Refused } from '../refused.ts';

function show(options: Common, { list, identity, publicJwk }: OwnPair): void {
  const facts = {
    version: list.ver,
    key: publicJwk.kid,
    identity: identity.kid,
    expires: new Date(list.exp * 1000).toISOString(),
  };
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(9)} ${value}`);
  tell(options, facts, lines);
}

const publish = withExamples(
  new Command('publish').description('publish keys, unless there are some'),
  ['keys publish'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  show(options, await device.keys.publish());
});

const showOwn = withExamples(new Command('show').description('fetch and check your own keys'), [
  'keys show --json',
]).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  show(options, await device.keys.own());
});

const find = withExamples(
  new Command('find')
    .description('look people up by verified address, and remember their identities')
    .argument('<addresses...>'),
  ['keys find bob@example.org carol@example.org'],
).action(async (addresses: string[], _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const found = await device.keys.discover(addresses);
  const people = [...found].map(([email, { uid, publicJwk, isNew }]) => ({
    ...{ email, uid, key: publicJwk.kid, isNew },
  }));
  const lines = people.map(({ email, uid, key }) => `${email}  ${uid}  ${key}`);
  if (lines.length > 0 || options.json === true) tell(options, people, lines);
  const missing = addresses.filter((email) => !found.has(email));
  if (missing.length > 0) throw new Refused(`Nobody uses this app at ${missing.join(', ')}.`);
});

/** `lockstep keys publish|show|find` */
export const keys = new Command('keys')
  .description('your published keys in this app')
  .addCommand(publish)
  .addCommand(showOwn)
  .addCommand(find);
