import { Command } from 'commander';
import { Tier1Client } from '#lib/client';
import { tell, withExamples } from '../options.ts';
import { isCollectionName, RecordFolder } from '../record-folder.ts';
import { Refused } from '../refused.ts';
import { CODE_HELP } from '../sign-in-by-password.ts';
import { type SyncOptions, withStore } from '../sync-device.ts';

interface Options extends SyncOptions {
  yes?: boolean;
}

const subcommand = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .argument('<folder>', 'the folder that is synced')
    .option('--password-file <path>', 'read the password from a file; needed the first time')
    .option('--code <code>', `${CODE_HELP}; with the password`);

const show = withExamples(subcommand('show', 'what the store holds'), [
  'sync-store show records',
]).action((folder: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  return withStore(options, folder, async (input) => {
    const ready = await new Tier1Client(input).describe();
    if (!ready) throw new Refused('Nobody has set up this store yet: lockstep sync does.');
    const { meta, times, keys } = ready;
    const collections = [...times].map(([name, modified]) => ({
      ...{ name, modified },
      ownKey: keys.collections.has(name),
    }));
    const { syncID, storageVersion, declined } = meta;
    const engines = Object.keys(meta.engines);
    const lines = [
      `store      ${syncID}, format ${storageVersion}`,
      ...collections.map(({ name, modified, ownKey }) =>
        [name.padEnd(10), modified.toFixed(2), ownKey ? 'own key' : ''].join(' ').trimEnd(),
      ),
      ...(declined.length > 0 ? [`declined   ${declined.join(', ')}`] : []),
    ];
    tell(options, { syncID, storageVersion, engines, declined, collections }, lines);
  });
});

const rotateKeys = withExamples(
  subcommand('rotate-keys', 'change every key, and put every record under the new ones'),
  ['sync-store rotate-keys records'],
).action((folder: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  return withStore(options, folder, async (input) => {
    const { resealed, unreadable } = await new Tier1Client(input).rotateKeys();
    const lines = [
      `The keys are new; ${resealed} records are under them.`,
      ...unreadable.map((place) => `${place} was under no key that is known, and was left alone.`),
    ];
    tell(options, { resealed, unreadable }, lines);
  });
});

const reset = withExamples(
  subcommand(
    'reset',
    'delete everything in the store, Firefox’s data too, and begin it anew',
  ).option('--yes', 'really'),
  ['sync-store reset records --yes'],
).action((folder: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  if (options.yes !== true) {
    throw new Refused('This deletes everything in the store. Say --yes if that is meant.', 2);
  }
  return withStore(options, folder, async (input) => {
    await new Tier1Client(input).reset();
    tell(options, { reset: true }, 'The store is new. Every device uploads what it has.');
  });
});

const wipe = withExamples(
  subcommand('wipe', 'empty a collection on the server and on every device').argument(
    '<collection>',
  ),
  ['sync-store wipe records notes'],
).action((folder: string, collection: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  expectCollection(collection);
  return withStore(options, folder, async (input) => {
    const told = await new Tier1Client(input).wipe(new RecordFolder(folder, collection));
    const words = `${collection} is empty; ${told} other devices will empty theirs.`;
    tell(options, { collection, told }, `${words} What was here is in .lockstep/set-aside.`);
  });
});

const decline = withExamples(
  subcommand('decline', 'delete a collection from the server, and sync it no more').argument(
    '<collection>',
  ),
  ['sync-store decline records notes'],
).action((folder: string, collection: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  expectCollection(collection);
  return withStore(options, folder, async (input) => {
    await new Tier1Client(input).decline(collection);
    tell(options, { declined: collection }, `${collection} is synced no more.`);
  });
});

const accept = withExamples(
  subcommand('accept', 'sync a collection again that was declined').argument('<collection>'),
  ['sync-store accept records notes'],
).action((folder: string, collection: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  expectCollection(collection);
  return withStore(options, folder, async (input) => {
    await new Tier1Client(input).accept(collection);
    tell(options, { accepted: collection }, `${collection} is synced again.`);
  });
});

function expectCollection(name: string): void {
  if (isCollectionName(name) && !['clients', 'crypto', 'meta'].includes(name)) return;
  throw new Refused(`${name} is no collection that can be synced.`, 2);
}

/** `lockstep sync-store show|rotate-keys|reset|wipe|decline|accept` */
export const syncStore = new Command('sync-store')
  .description('your Sync store: its keys, its collections, a new beginning')
  .addCommand(show)
  .addCommand(rotateKeys)
  .addCommand(reset)
  .addCommand(wipe)
  .addCommand(decline)
  .addCommand(accept);
