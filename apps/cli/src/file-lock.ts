import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';

const PATIENCE_MS = 30_000;

/**
 * Runs something alone among all processes that lock the same path. A lock whose process is gone is void.
 *
 * @throws Error when another process holds the lock for half a minute
 */
export async function locked<T>(path: string, run: () => Promise<T>): Promise<T> {
  const lock = `${path}.lock`;
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx', mode: 0o600 });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    if (await isVoid(lock)) await clearAway(lock);
    else if (Date.now() > until) throw new Error(`Another lockstep is busy; else remove ${lock}.`);
    else await pause(50);
  }
  try {
    return await run();
  } finally {
    await rm(lock, { force: true });
  }
}

/**
 * Removes a void lock. Another process may have removed it and made its own in the meantime, so what is taken
 * away is looked at again, and put back when it is no longer void.
 */
async function clearAway(lock: string): Promise<void> {
  const taken = `${lock}.${randomBytes(6).toString('hex')}`;
  try {
    await rename(lock, taken);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (!(await isVoid(taken))) await link(taken, lock).catch(() => undefined);
  await rm(taken, { force: true });
}

async function isVoid(lock: string): Promise<boolean> {
  try {
    const pid = Number(await readFile(lock, 'utf8'));
    if (pid === 0) return false; // about to be written
    process.kill(pid, 0);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ESRCH';
  }
}
