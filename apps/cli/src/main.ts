import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { ClientError, IntegrityError, SyncStop } from '#lib/client';
import { accept } from './commands/accept.ts';
import { admin } from './commands/admin.ts';
import { apps } from './commands/apps.ts';
import { get } from './commands/get.ts';
import { inbox } from './commands/inbox.ts';
import { invite } from './commands/invite.ts';
import { keys } from './commands/keys.ts';
import { legacyPassword } from './commands/legacy-password.ts';
import { ls } from './commands/ls.ts';
import { nodes } from './commands/nodes.ts';
import { put } from './commands/put.ts';
import { rm } from './commands/rm.ts';
import { share } from './commands/share.ts';
import { sharePassword } from './commands/share-password.ts';
import { shares } from './commands/shares.ts';
import { signIn } from './commands/sign-in.ts';
import { signOut } from './commands/sign-out.ts';
import { signUp } from './commands/sign-up.ts';
import { sync } from './commands/sync.ts';
import { syncStore } from './commands/sync-store.ts';
import { users } from './commands/users.ts';
import { verify } from './commands/verify.ts';
import { whoami } from './commands/whoami.ts';
import { Device } from './device.ts';
import { withNames } from './names.ts';
import { NEXT, signInBy } from './next-step.ts';
import { addCommonOptions, type Common } from './options.ts';
import { printable, printableJson } from './printable.ts';
import { Refused } from './refused.ts';

const PACKAGE = new URL('../../../../package.json', import.meta.url);
const { version } = JSON.parse(readFileSync(PACKAGE, 'utf8')) as { version: string };
const program = addCommonOptions(new Command('lockstep'))
  .version(version)
  .description('Files and secrets that the server cannot read.')
  .addHelpText(
    'after',
    [
      '',
      'Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no answer from the server,',
      '4 something from the server did not pass a check.',
      '',
      'Examples:',
      '  $ lockstep sign-up alice@example.org',
      '  $ lockstep share holiday.jpg --to bob@example.org',
      '  $ lockstep inbox',
    ].join('\n'),
  );
for (const command of [
  ...[signUp, verify, signIn, signOut, whoami, keys],
  ...[put, ls, get, rm],
  ...[share, sharePassword, inbox, accept, shares, invite],
  ...[sync, syncStore, legacyPassword, nodes, users, admin, apps],
]) {
  program.addCommand(command);
}
// `lockstep … | head` has read enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit(1);
});
// Before anything is parsed, since what cannot be parsed is an error to tell, too.
const isJson = process.argv.includes('--json');
for (const command of withSubcommands(program)) {
  command.exitOverride().configureHelp({ showGlobalOptions: true });
  command.configureOutput({
    outputError: (text, write) => {
      if (!isJson) write(`lockstep: ${usageOf(text)}; see ${nameOf(command)} --help\n`);
    },
  });
}

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = exitCodeOf(error);
  const isUsage = error instanceof CommanderError;
  // Commander has said it already, or showed the help that was asked for.
  const isSaid = isUsage && (!isJson || error.exitCode === 0);
  if (!isSaid) {
    const message = await named(error, wordsOf(error));
    const words = isJson ? asJson(error, message) : `lockstep: ${printable(message)}`;
    process.stderr.write(`${words}\n`);
  }
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)];
}

/** What Commander says, as a line of ours. */
function usageOf(text: string): string {
  return text
    .replace(/^error: /, '')
    .replaceAll(/\s*\n/g, ' ')
    .replace(/[.\s]+$/, '');
}

function nameOf(command: Command): string {
  const { parent } = command;
  return parent ? `${nameOf(parent)} ${command.name()}` : command.name();
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof Refused) return error.exitCode;
  if (error instanceof IntegrityError) return 4;
  // A server can name its refusal as it likes; it has a status then.
  const isSilence = error instanceof ClientError && error.status === 0;
  return isSilence && ['network', 'timeout'].includes(error.code) ? 3 : 1;
}

function asJson(error: unknown, message: string): string {
  const isNamed =
    error instanceof ClientError || error instanceof IntegrityError || error instanceof SyncStop;
  const code = isNamed ? error.code : error instanceof CommanderError ? 'usage' : 'error';
  return printableJson({ error: code, message });
}

/** With people by address, as far as this computer knows them. */
async function named(error: unknown, words: string): Promise<string> {
  if (!(error instanceof IntegrityError) && !(error instanceof ClientError)) return words;
  const device = await Device.open(program.opts<Common>()).catch(() => undefined);
  return withNames((await device?.names().catch(() => undefined)) ?? new Map(), words);
}

function wordsOf(error: unknown): string {
  if (error instanceof ClientError && error.code === 'invalid_grant') {
    return `The sign-in has ended: ${signInBy(program.opts<Common>().profile)}`;
  }
  const next = error instanceof IntegrityError ? NEXT[error.code] : undefined;
  if (error instanceof IntegrityError && next !== undefined) return `${error.message} ${next}`;
  if (error instanceof CommanderError) return usageOf(error.message);
  return error instanceof Error ? error.message : String(error);
}
