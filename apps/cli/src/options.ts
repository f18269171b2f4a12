import type { Command } from 'commander';
import type { Contact, Keys, RefusedRecord } from '#lib/client';
import { type Names, withNames } from './names.ts';
import { DEFAULT_PROFILE } from './next-step.ts';
import { printable, printableJson } from './printable.ts';
import { Refused } from './refused.ts';

/** The options of every command; they stand before or after it. */
export interface Common {
  /** The server's address. */
  url: string;
  /** Whose sign-in on this computer. */
  profile: string;
  json?: boolean;
}

const PROFILE = /^[A-Za-z0-9._-]{1,64}$/;

/** Adds the options of every command to the program. */
export function addCommonOptions(program: Command): Command {
  return program
    .option('--url <url>', 'the server', process.env['LOCKSTEP_URL'] ?? 'http://localhost:8000')
    .option('--profile <name>', 'whose sign-in on this computer', DEFAULT_PROFILE)
    .option('--json', 'results and errors as JSON, one line each')
    .hook('preAction', (_, command) => {
      const { url, profile } = command.optsWithGlobals<Common>();
      if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
        throw new Refused(
          `${url} is no address of a server: it begins with http:// or https://.`,
          2,
        );
      }
      if (!PROFILE.test(profile) || profile.startsWith('.')) {
        throw new Refused(`${profile} is no name for a profile.`, 2);
      }
    });
}

/** Adds examples to the help of a command. */
export function withExamples(command: Command, examples: readonly string[]): Command {
  const lines = examples.map((line) => `  $ lockstep ${line}`);
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

/**
 * Tells the outcome: for programs as JSON, for people in words.
 *
 * @param words - a line, or several; each may hold what somebody else wrote, which is shown and not obeyed
 */
export function tell(
  { json }: Pick<Common, 'json'>,
  value: unknown,
  words: string | readonly string[],
): void {
  const lines = typeof words === 'string' ? [words] : words;
  const text = json === true ? printableJson(value) : lines.map(printable).join('\n');
  process.stdout.write(`${text}\n`);
}

/** A line for each record that failed a check. */
export function linesOf(refused: readonly RefusedRecord[], names: Names = new Map()): string[] {
  return refused.map(({ id, error }) => `${id}  REFUSED  ${withNames(names, error.message)}`);
}

/** The same for programs. */
export function reasonsOf(refused: readonly RefusedRecord[]) {
  return refused.map(({ id, error }) => ({ id, code: error.code, reason: error.message }));
}

/** What is said of addresses at which nobody is found. */
export const nobodyAt = (emails: readonly string[]): Refused =>
  new Refused(`Nobody uses this app at ${emails.join(', ')}.`);

/** The people at these addresses. @throws Refused when one cannot be found */
export async function peopleAt(
  device: { keys: Keys },
  emails: readonly string[],
): Promise<Contact[]> {
  const found = await device.keys.discover(emails);
  const missing = emails.filter((email) => !found.has(email));
  if (missing.length > 0) throw nobodyAt(missing);
  for (const [email, contact] of found) {
    if (contact.isNew) {
      process.stderr.write(`${printable(email)}: first contact, identity remembered\n`);
    }
  }
  return [...found.values()];
}
