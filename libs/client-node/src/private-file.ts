import { randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';

/** `$XDG_CONFIG_HOME/lockstep`, or `~/.config/lockstep` (XDG Base Directory Specification). */
export function configFolder(): string {
  const home = process.env['XDG_CONFIG_HOME'] ?? '';
  // A relative path is void, lest secrets lie in whatever folder a command is run in.
  return join(isAbsolute(home) ? home : join(homedir(), '.config'), 'lockstep');
}

/** What the file holds; undefined when there is none. @throws Error when it is not JSON */
export async function readPrivateFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new Error(`${path} cannot be read.`, { cause: error });
  }
}

/** Replaces the file in one step, readable by its owner alone: a crash leaves the old or the new one. */
export async function writePrivateFile(path: string, value: unknown): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(JSON.stringify(value, undefined, 2));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Makes a folder that is its owner's alone. */
export async function makePrivateFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/** Removes the file if it is there. */
export async function removePrivateFile(path: string): Promise<void> {
  await rm(path, { force: true });
}
