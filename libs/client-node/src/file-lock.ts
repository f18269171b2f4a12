import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const PATIENCE_MS = 30_000;
/** Who holds a lock says so this often, and is gone after as many. */
const SIGN_OF_LIFE_MS = 20_000;
const SILENT_MS = 6 * SIGN_OF_LIFE_MS;

/** What this process holds, or is about to. */
const held = new Set<string>();

/**
 * Runs something alone among all processes that lock the same path. A lock whose process is gone is void; of one
 * on another computer, or in another container, that is known after two minutes.
 *
 * @throws Error when another process holds the lock for half a minute
 */
export async function locked<T>(path: string, run: () => Promise<T>): Promise<T> {
  const lock = resolve(`${path}.lock`);
  const until = Date.now() + PATIENCE_MS;
  while (!(await isTaken(lock))) {
    if (await isVoid(lock)) await clearAway(lock);
    if (Date.now() > until) throw new Error(`Another lockstep is busy; else remove ${lock}*.`);
    await pause(50);
  }
  const signs = setInterval(() => {
    const now = new Date();
    utimes(lock, now, now).catch(() => undefined); // it is told by the next one, or too late
  }, SIGN_OF_LIFE_MS).unref();
  try {
    return await run();
  } finally {
    clearInterval(signs);
    await rm(lock, { force: true }).finally(() => held.delete(lock));
  }
}

/** @returns false when somebody has it, also in this process */
async function isTaken(lock: string): Promise<boolean> {
  if (held.has(lock)) return false;
  held.add(lock); // before the file is there, lest another of this process takes it for void
  try {
    if (await isMade(lock)) return true;
  } catch (error) {
    held.delete(lock);
    throw error;
  }
  held.delete(lock);
  return false;
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

/** Makes a file that says whose it is. @returns false when it is there already */
async function isMade(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${process.pid}@${hostname()}`, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function isVoid(lock: string): Promise<boolean> {
  try {
    const [id = '', host = hostname()] = (await readFile(lock, 'utf8')).split('@');
    // Not written yet, or never; elsewhere the number is another process's, or nobody's.
    if (id === '' || host !== hostname())
      return Date.now() - (await stat(lock)).mtimeMs > SILENT_MS;
    // Containers count from one: the one before this may have had its number.
    if (Number(id) === process.pid) return !held.has(lock);
    process.kill(Number(id), 0);
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'ESRCH';
  }
}
