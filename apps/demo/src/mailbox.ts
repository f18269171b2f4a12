import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** A mail is written a moment after the sign-up is answered. */
const TRIES = 50;
const PAUSE_MS = 100;

/**
 * Reads the newest verification code for an account from the mail that a local server writes to its folder.
 *
 * @throws Error when there is none
 */
export async function mailedCode(dataDir: string | undefined, uid: string): Promise<string> {
  if (dataDir === undefined) {
    throw new Error('The code was mailed. Give --data, the folder where the server writes mail.');
  }
  for (let tries = 0; tries < TRIES; tries++) {
    const code = await newestCode(join(dataDir, 'mail'), uid);
    if (code !== undefined) return code;
    await pause(PAUSE_MS);
  }
  throw new Error(`No code was mailed to the account ${uid}.`);
}

async function newestCode(folder: string, uid: string): Promise<string | undefined> {
  // The first mail makes the folder.
  const names = await readdir(folder).catch(() => []);
  for (const name of names.sort().reverse()) {
    if (!name.endsWith('.eml')) continue;
    const mail = await readFile(join(folder, name), 'utf8');
    if (!mail.includes(`X-Uid: ${uid}`)) continue;
    const code = /^X-Verify-Code: ([0-9a-f]{32})\r?$/m.exec(mail)?.[1];
    if (code !== undefined) return code;
  }
  return undefined;
}
