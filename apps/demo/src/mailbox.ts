import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Reads the newest verification code for an account from the mail that a local server writes to its folder.
 *
 * @throws Error when there is none
 */
export async function mailedCode(dataDir: string | undefined, uid: string): Promise<string> {
  if (dataDir === undefined) {
    throw new Error('The code was mailed. Give --data, the folder where the server writes mail.');
  }
  const folder = join(dataDir, 'mail');
  const names = (await readdir(folder)).filter((name) => name.endsWith('.eml')).sort();
  for (const name of names.reverse()) {
    const mail = await readFile(join(folder, name), 'utf8');
    if (!mail.includes(`X-Uid: ${uid}`)) continue;
    const code = /^X-Verify-Code: ([0-9a-f]{32})\r?$/m.exec(mail)?.[1];
    if (code !== undefined) return code;
  }
  throw new Error(`No code was mailed to the account ${uid}.`);
}
