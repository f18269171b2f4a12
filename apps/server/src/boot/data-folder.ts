import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { BootFailure, reasonOf } from './boot-failure.ts';

/**
 * Makes the data folder, for its owner alone, and tries to write to it.
 * @throws BootFailure when that is not possible
 */
export function openFolder(dataDir: string): void {
  const probe = join(dataDir, `.probe-${randomBytes(6).toString('hex')}`);
  try {
    makeFolder(dataDir);
    fs.writeFileSync(probe, '');
    fs.rmSync(probe);
  } catch (error) {
    throw new BootFailure(`The data folder ${dataDir} is not writable: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** Not by `recursive`, which never ends below a folder that takes none, such as /proc. */
function makeFolder(path: string): void {
  if (fs.existsSync(path)) return;
  makeFolder(dirname(path));
  fs.mkdirSync(path, { mode: 0o700 });
}

/**
 * Keeps a second server off this folder: two PostgreSQL on one cluster would destroy it, and a
 * server that starts clears away what it takes for unfinished uploads of its predecessor.
 * The lock is a file that names a process; it is void when that process is gone.
 *
 * @returns what gives the folder free
 * @throws BootFailure when another server has it
 */
export function lockFolder(dataDir: string): () => void {
  const path = join(dataDir, 'server.lock');
  const ours = `${process.pid} ${birthOf(process.pid)}\n`;
  for (let tries = 0; tries < 2; tries++) {
    try {
      fs.writeFileSync(path, ours, { flag: 'wx', mode: 0o600 });
      return () => {
        fs.rmSync(path, { force: true });
      };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const [pid = '', birth = ''] = fs.readFileSync(path, 'utf8').trim().split(' ');
    if (birth === birthOf(Number(pid)) && birth !== '' && Number(pid) !== process.pid) {
      throw new BootFailure(`Another server (process ${pid}) already uses ${dataDir}.`);
    }
    fs.rmSync(path, { force: true });
  }
  throw new BootFailure(`Another server is starting on ${dataDir}.`);
}

/**
 * What tells a process from an earlier or later one of the same number: its start, in clock ticks
 * since the machine's, and the machine's own. Empty when there is no such process.
 */
function birthOf(pid: number): string {
  if (!Number.isInteger(pid) || pid < 1) return '';
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    const machine = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    // The second field is the program's name and may hold spaces; the start is the 22nd.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
    return `${machine}:${start}`;
  } catch {
    return isAlive(pid) ? 'alive' : '';
  }
}

/** For systems without /proc. A process of somebody else answers EPERM, and is alive. */
function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * Leaves where this server answers, or its embedded database (password included), for the operator's
 * own tools (`lockstep invite`, the demo's search), readable by this user alone.
 *
 * @returns what removes it
 */
export function publishUrl(
  dataDir: string,
  name: 'server.url' | 'database.url',
  url: string,
): () => void {
  const path = join(dataDir, name);
  fs.rmSync(path, { force: true }); // a mode is only given to a new file
  fs.writeFileSync(path, `${url}\n`, { mode: 0o600 });
  return () => {
    fs.rmSync(path, { force: true });
  };
}
