import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Common } from '../options.ts';
import { withExamples } from '../options.ts';

const PROGRAM = fileURLToPath(
  new URL('../../../server/src/sync/legacy-password.main.js', import.meta.url),
);
/** Where `npm start` runs, and `./data` is. */
const CLONE = fileURLToPath(new URL('../../../../../', import.meta.url));

const action = (name: 'make' | 'revoke', description: string) =>
  withExamples(
    new Command(name)
      .description(description)
      .argument('<account>', 'a user name, or a mail address')
      .option(
        '--data <dir>',
        'the data folder of the server (default: DATA_DIR, or ./data of the clone)',
      ),
    [`legacy-password ${name} alice@example.org`],
  ).action(async (account: string, { data }: { data?: string }, command: Command) => {
    const { json } = command.optsWithGlobals<Common>();
    const child = spawn(process.execPath, [PROGRAM, name, account, ...(json ? ['--json'] : [])], {
      cwd: CLONE,
      env: { ...process.env, ...(data !== undefined && { DATA_DIR: resolve(data) }) },
      stdio: 'inherit',
    });
    process.exitCode = await new Promise<number>((done, failed) => {
      child.once('error', failed);
      child.once('exit', (code) => {
        done(code ?? 1);
      });
    });
  });

/** `lockstep legacy-password make|revoke ACCOUNT`, for the operator of a storage node */
export const legacyPassword = new Command('legacy-password')
  .description(
    'passwords for clients of Storage 1.1; for the operator, on the machine of the storage node',
  )
  .addCommand(action('make', 'make a password and print it once; it replaces the one before'))
  .addCommand(action('revoke', 'end the password; the records stay'));
