/**
 * `npm run shots` writes a picture of every page and state into `shots/`: light and dark, as wide as a telephone
 * and as a desk. The tests of the pages take them on their way.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../bin/prepare.mjs';

const folder = join(root, 'shots');
rmSync(folder, { recursive: true, force: true });
process.env.SHOTS = folder;
process.argv.splice(2, 0, 'test/e2e/web', '--runInBand', '--forceExit');
await import('../bin/test.mjs');
