import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Common } from '../options.ts';

const PROGRAM = fileURLToPath(
  new URL('../../../server/src/accounts/invite.main.js', import.meta.url),
);
/** Where `npm start` runs, and `./data` is. */
const CLONE = fileURLToPath(new URL('../../../../../', import.meta.url));

/** `lockstep invite ADDRESS`, for the operator */
export const invite = new Command('invite')
  .description('invite an address to sign up; for the operator, on the machine of the server')
  .argument('<address>')
  .option(
    '--data <dir>',
    'the data folder of the server (default: DATA_DIR, or ./data of the clone)',
  )
  .addHelpText('after', '\nExamples:\n  $ lockstep invite bob@example.org')
  .action(async (address: string, { data }: { data?: string }, command: Command) => {
    const dataDir = data === undefined ? {} : { DATA_DIR: resolve(data) };
    const { json } = command.optsWithGlobals<Common>();
    const child = spawn(process.execPath, [PROGRAM, address, ...(json ? ['--json'] : [])], {
      cwd: CLONE,
      env: { ...process.env, ...dataDir },
      stdio: 'inherit',
    });
    process.exitCode = await new Promise<number>((done, failed) => {
      child.once('error', failed);
      child.once('exit', (code) => {
        done(code ?? 1);
      });
    });
  });
