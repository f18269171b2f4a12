import { Command, Option } from 'commander';
import {
  type HistoryEntry,
  IntegrityError,
  Keys,
  type OwnPair,
  type RevocationReason,
} from '#lib/client';
import { Device, meet } from '../device.ts';
import { type Common, tell, withExamples } from '../options.ts';
import { qrLines } from '../qr-lines.ts';
import { Refused } from '../refused.ts';
import { deviceLost } from './keys-device-lost.ts';
import { audit, find, verify, watch } from './keys-people.ts';

/** What one's own keys are, without the secret ones. */
function factsOf({ list, identity, keys, revoked }: OwnPair) {
  return {
    version: list.ver,
    identity: identity.kid,
    expires: new Date(list.exp * 1000).toISOString(),
    keys: list.keys.map(({ kid, alg, st }) => ({
      ...{ kid, alg, state: revoked.includes(kid) ? 'revoked by token' : st },
      opens: keys.has(kid),
    })),
  };
}

function show(options: Common, pair: OwnPair): void {
  const { keys, ...facts } = factsOf(pair);
  const lines = Object.entries(facts).map(([name, value]) => `${name.padEnd(9)} ${value}`);
  const list = keys.map(({ kid, alg, state, opens }) => {
    return `key       ${kid}  ${alg}  ${state}${opens ? '' : ', does not open'}`;
  });
  tell(options, { ...facts, keys }, [...lines, ...list]);
}

const hybrid = () => new Option('--hybrid', 'with a key that withstands quantum computers, too');

interface WithHybrid extends Common {
  hybrid?: boolean;
}

const publish = withExamples(
  new Command('publish').description('publish keys, unless there are some').addOption(hybrid()),
  ['keys publish', 'keys publish --hybrid'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<WithHybrid>();
  const device = await Device.open(options);
  show(options, await device.keysWith({ hybrid: options.hybrid === true }).publish());
});

const showOwn = withExamples(new Command('show').description('fetch and check your own keys'), [
  'keys show --json',
]).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  show(options, await device.keys.own());
});

const STEPS: Record<HistoryEntry['step'], string> = {
  first: 'the first',
  same: 'by the same identity',
  link: 'the identity before handed over',
  reset: 'BEGUN ANEW by another identity',
};

const history = withExamples(
  new Command('history').description('every list you ever published, checked'),
  ['keys history'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const entries = (await device.keys.history()).map(({ list, step, at }) => ({
    ...{ version: list.ver, at: new Date(at * 1000).toISOString(), step },
    keys: list.keys.map(({ kid, st }) => ({ kid, state: st })),
  }));
  const lines = entries.map(({ version, at, step, keys }) => {
    const active = keys.filter(({ state }) => state === 'active').map(({ kid }) => kid);
    return `${version}  ${at}  ${STEPS[step]}  ${active.join(' ')}`;
  });
  tell(options, entries, lines);
});

const rotate = withExamples(
  new Command('rotate')
    .description('publish new keys; what was sent to the old ones still opens')
    .addOption(hybrid()),
  ['keys rotate', 'keys rotate --hybrid'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<WithHybrid>();
  const device = await Device.open(options);
  show(options, await device.keysWith({ hybrid: options.hybrid === true }).rotate());
});

const revoke = withExamples(
  new Command('revoke')
    .description('say that keys are not to be used any more, and publish new ones in their place')
    .argument('[kids...]', 'all active keys unless told otherwise')
    .addOption(
      new Option('--why <reason>', 'what others are told')
        .choices(['compromise', 'lost', 'superseded'])
        .default('compromise'),
    )
    .option('--token <text>', 'hand in what print-revocation printed; needs no sign-in'),
  ['keys revoke', 'keys revoke --why superseded', 'keys revoke --token 0J4DP-JRJ5Y-…'],
).action(async (kids: string[], _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common & { why: RevocationReason; token?: string }>();
  if (options.token !== undefined) {
    const { uid, kid } = await Keys.handIn(await meet(options), options.token);
    tell(options, { uid, kid, revoked: true }, `The key ${kid} of ${uid} is revoked.`);
    return;
  }
  const device = await Device.open(options);
  try {
    show(options, await device.keys.revoke(options.why, kids.length > 0 ? kids : undefined));
  } catch (error) {
    if (error instanceof RangeError) throw new Refused(error.message);
    throw error;
  }
});

const printRevocation = withExamples(
  new Command('print-revocation').description(
    'make what revokes your keys without any device, to keep on paper',
  ),
  ['keys print-revocation > revocation.txt'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common>();
  const device = await Device.open(options);
  const tokens = [...(await device.keys.revocations())].map(([kid, token]) => ({ kid, token }));
  const lines = tokens.flatMap(({ kid, token }) => [
    `Revocation of the key ${kid}`,
    `of ${device.email} in the app ${device.app.clientId}.`,
    'Whoever has this paper can end the use of that key, and do nothing else with it.',
    'When the key was stolen, on any computer, with the text in one word or in quotes:',
    `lockstep keys revoke --url ${device.app.server.url} --token "TEXT"`,
    '',
    ...(token.match(/.{1,48}/g) ?? []),
    '',
    ...qrLines(token),
    '',
  ]);
  tell(options, tokens, lines);
});

const reset = withExamples(
  new Command('reset')
    .description('begin anew after a password reset without a recovery key; contacts are told')
    .option('--yes', 'without asking'),
  ['keys reset --yes'],
).action(async (_: unknown, command: Command) => {
  const options = command.optsWithGlobals<Common & { yes?: boolean }>();
  if (options.yes !== true) {
    const what = 'Everybody will have to compare safety numbers with you again';
    throw new Refused(`${what}, and what was sent to the old keys is lost. If so: --yes`);
  }
  const device = await Device.open(options);
  const before = await device.keys.own().catch(ifRefused);
  if (before) throw new Refused('There is nothing to begin anew: your published keys open here.');
  show(options, await device.keys.reset());
});

function ifRefused(error: unknown): undefined {
  if (error instanceof IntegrityError) return undefined;
  throw error;
}

/** `lockstep keys …` */
export const keys = new Command('keys')
  .description('your published keys in this app, and the people you met')
  .addCommand(publish)
  .addCommand(showOwn)
  .addCommand(history)
  .addCommand(rotate)
  .addCommand(revoke)
  .addCommand(printRevocation)
  .addCommand(reset)
  .addCommand(deviceLost)
  .addCommand(find)
  .addCommand(verify)
  .addCommand(watch)
  .addCommand(audit);
