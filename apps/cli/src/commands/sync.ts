import { Command } from 'commander';
import {
  type CollectionProgress,
  type CollectionReport,
  type SyncReport,
  Tier1Client,
  Tier2Client,
} from '#lib/client';
import { type Common, tell, withExamples } from '../options.ts';
import { collectionsIn, isCollectionName, RecordFolder } from '../record-folder.ts';
import { Refused } from '../refused.ts';
import { CODE_HELP } from '../sign-in-by-password.ts';
import { type SyncOptions, withStore } from '../sync-device.ts';

interface Options extends SyncOptions {
  collection?: string[];
  tier: string;
  dryRun?: boolean;
}

/** Firefox's own collections: synced with a folder only when they are asked for. */
const FIREFOX = new Set([
  ...['addons', 'addresses', 'bookmarks', 'clients', 'creditcards', 'forms'],
  ...['history', 'passwords', 'prefs', 'tabs'],
]);

/** `lockstep sync FOLDER` */
export const sync = withExamples(
  new Command('sync')
    .description('bring a folder of JSON records and your Sync store into step, both ways')
    .argument('<folder>', 'one folder in it for each collection, one file for each record')
    .option('--collection <names...>', 'these alone; all in the folder and the store when left out')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--tier <1|2>', 'as 2: use the keys of the store, never make or change any', '1')
    .option('--device-name <name>', 'what your other devices call this one')
    .option('--password-file <path>', 'read the password from a file; needed the first time')
    .option('--code <code>', `${CODE_HELP}; with the password`),
  ['sync records', 'sync records --dry-run --json', 'sync records --collection notes tasks'],
).action(async (folder: string, _: unknown, command: Command) => {
  const options = command.optsWithGlobals<Options>();
  if (!['1', '2'].includes(options.tier)) throw new Refused('The tier is 1 or 2.', 2);
  const { dryRun = false, collection } = options;
  const report = await withStore(options, folder, async (input) => {
    const client = options.tier === '1' ? new Tier1Client(input) : new Tier2Client(input);
    const known = (await input.keeper.load())?.engines ?? {};
    const locals = (await chosen(folder, collection, client)).map(
      (name) => new RecordFolder(folder, name),
    );
    for (const local of locals) {
      const had = Object.hasOwn(known, local.name) ? known[local.name]?.records : undefined;
      const isLost = Object.values(had ?? {}).some(({ digest }) => digest !== null);
      if (isLost && !(await local.exists())) {
        throw new Refused(
          `The folder ${local.name} is gone. Make it again to sync, empty to delete its records everywhere.`,
        );
      }
    }
    const bar = liveLine(options);
    try {
      return await client.sync(locals, { dryRun, onProgress: bar.draw });
    } finally {
      bar.done();
    }
  });
  tell(options, asJson(report, dryRun), inWords(report, dryRun));
  const isWhole = report.collections.every(
    ({ refused, wentBack }) => refused.length === 0 && !wentBack,
  );
  if (!isWhole) process.exitCode = 4;
});

/** The collections asked for; else those that have a folder, and those of the store that are not Firefox's. */
async function chosen(
  folder: string,
  asked: readonly string[] | undefined,
  client: Tier1Client | Tier2Client,
): Promise<string[]> {
  const wrong = asked?.find((name) => !isCollectionName(name) || name === 'clients');
  if (wrong !== undefined) throw new Refused(`${wrong} is no collection that can be synced.`, 2);
  if (asked) return [...new Set(asked)];
  const store = await client.collections();
  const own = store.filter((name) => !FIREFOX.has(name) && isCollectionName(name));
  const names = [...own, ...(await collectionsIn(folder))].filter((name) => name !== 'clients');
  return [...new Set(names)].sort();
}

/** A line on a terminal's stderr that says how far a sync is; nothing elsewhere. */
function liveLine({ json }: Common) {
  const { stderr } = process;
  const isSilent = !stderr.isTTY || json === true;
  return {
    draw: ({ collection, received, sent }: CollectionProgress) => {
      if (!isSilent) stderr.write(`\r\u001b[K${collection}: ${received} received, ${sent} sent`);
    },
    done: () => {
      if (!isSilent) stderr.write('\r\u001b[K');
    },
  };
}

function asJson({ collections, commands }: SyncReport, dryRun: boolean) {
  return {
    dryRun,
    commands: commands.map(({ command, args }) => ({ command, args })),
    collections: collections.map(({ refused, ...report }) => ({
      ...report,
      refused: refused.map(({ id, error }) => ({ id, error: error.code })),
    })),
  };
}

function inWords({ collections, commands }: SyncReport, dryRun: boolean): string[] {
  const lines = commands.map(
    ({ command, args }) => `Another device asked: ${[command, ...args.map(String)].join(' ')}`,
  );
  lines.push(...collections.flatMap(linesOf));
  if (lines.length === 0) lines.push('No collections yet: make a folder for one.');
  if (dryRun) lines.push('Nothing was changed.');
  return lines;
}

function linesOf(report: CollectionReport): string[] {
  const { collection, status, received, removed, sent, deleted } = report;
  if (status !== 'synced') return [`${collection}: left alone, ${REASONS[status]}`];
  const counts = { received, removed, sent, deleted, conflicts: report.conflicts };
  const words = Object.entries(counts).flatMap(([what, ids]) =>
    ids.length > 0 ? [`${ids.length} ${what}`] : [],
  );
  return [
    `${collection}: ${words.join(', ') || 'in step'}`,
    ...(report.wentBack ? ['  the server had lost changes; this device has sent them again'] : []),
    ...report.conflicts.map(
      (id) => `  ${id}: changed on both sides; yours is in .lockstep/set-aside`,
    ),
    ...report.skipped.map(({ id, why }) => `  ${id}: skipped. ${why}`),
    ...report.refused.map(({ id, error }) => `  ${id}: refused. ${error.message}`),
  ];
}

const REASONS = {
  declined: 'it is declined in this store',
  'newer-version': 'it needs a newer client',
  'older-version': 'it is of an older version',
} as const;
