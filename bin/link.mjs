/**
 * `npm ci` runs this: it puts `lockstep` where `npx lockstep` looks. A "bin" in package.json
 * would not: npx then installs the whole clone a second time, into its cache.
 */
import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = join(dirname(dirname(fileURLToPath(import.meta.url))), 'node_modules', '.bin');
const path = join(folder, 'lockstep');
if (process.platform === 'win32') {
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${path}.cmd`, '@node "%~dp0\\..\\..\\bin\\lockstep.mjs" %*\r\n');
} else if (!existsSync(path)) {
  mkdirSync(folder, { recursive: true });
  rmSync(path, { force: true }); // a link whose end is gone
  symlinkSync('../../bin/lockstep.mjs', path);
}
