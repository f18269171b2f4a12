import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import type { Common } from './options.ts';

const programAt = (path: string) =>
  fileURLToPath(new URL(`../../server/src/${path}`, import.meta.url));
const INVITE = programAt('accounts/invite.main.js');
const LEGACY_PASSWORD = programAt('sync/legacy-password.main.js');
const NODES = programAt('token/nodes.main.js');
const APPS = programAt('apps/apps.main.js');
const ADMIN = programAt('admin/admin.main.js');
/** Where `npm start` runs, and `./data` is. */
const CLONE = fileURLToPath(new URL('../../../../', import.meta.url));

/** For commands that are the operator's, on the machine of the server. */
export const addDataOption = (command: Command): Command =>
  command.option(
    '--data <dir>',
    'the data folder of the server (default: DATA_DIR, or ./data of the clone)',
  );

/** Has the server's own program make an invitation; its exit code becomes ours. */
export const runInviteTask = (command: Command, task: object): Promise<void> =>
  runTask(INVITE, command, task);

/** Has a storage node's own program make or end a password; its exit code becomes ours. */
export const runLegacyPasswordTask = (command: Command, task: object): Promise<void> =>
  runTask(LEGACY_PASSWORD, command, task);

/** Has the server's own program do something about nodes; its exit code becomes ours. */
export const runNodesTask = (command: Command, task: object): Promise<void> =>
  runTask(NODES, command, task);

/** Has the server's own program do something about accounts; its exit code becomes ours. */
export const runAdminTask = (command: Command, task: object): Promise<void> =>
  runTask(ADMIN, command, task);

/** Has the server's own program do something about apps; its exit code becomes ours. */
export const runAppsTask = (command: Command, task: object): Promise<void> =>
  runTask(APPS, command, task);

async function runTask(program: string, command: Command, task: object): Promise<void> {
  const { json, data } = command.optsWithGlobals<Common & { data?: string }>();
  const child = spawn(
    process.execPath,
    [program, JSON.stringify({ ...task, json: json === true })],
    {
      cwd: CLONE,
      env: { ...process.env, ...(data !== undefined && { DATA_DIR: resolve(data) }) },
      stdio: 'inherit',
    },
  );
  process.exitCode = await new Promise<number>((done, failed) => {
    child.once('error', failed);
    child.once('exit', (code) => {
      done(code ?? 1);
    });
  });
}
