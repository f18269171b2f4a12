import { readFile, rm, writeFile } from 'node:fs/promises';
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
    if (await isMade(lock)) break;
    if (await isVoid(lock)) await clearAway(lock);
    if (Date.now() > until) throw new Error(`Another lockstep is busy; else remove ${lock}*.`);
    await pause(50);
  }
  try {
    return await run();
  } finally {
    await rm(lock, { force: true });
  }
}

/**
 * Removes a void lock. Another process may have done so and made its own in the meantime, so only one at a time
 * looks again and removes.
 */
async function clearAway(lock: string): Promise<void> {
  const turn = `${lock}.clearing`;
  if (!(await isMade(turn))) return;
  try {
    if (await isVoid(lock)) await rm(lock, { force: true });
  } finally {
    await rm(turn, { force: true });
  }
}

/** Makes a file of this process's id. @returns false when it is there already */
async function isMade(path: string): Promise<boolean> {
  try {
    await writeFile(path, String(process.pid), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
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
