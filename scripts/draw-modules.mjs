/**
 * `npm run arch:graph` draws who imports whom, by features and libraries, into docs/modules.mmd;
 * with `--check` it only says whether the drawing there is still true.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const drawing = 'docs/modules.mmd';
const { status, stdout } = spawnSync(
  process.execPath,
  [
    'node_modules/dependency-cruiser/bin/dependency-cruise.mjs',
    ...['apps', 'libs'],
    ...['--include-only', '^(apps|libs)'],
    ...['--exclude', String.raw`\.spec\.ts$`],
    ...['--collapse', '^(apps/[^/]+/src/[^/]+|libs/[^/]+)'],
    ...['--output-type', 'mermaid'],
  ],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
);
if (status !== 0) process.exit(status ?? 1);
if (!process.argv.includes('--check')) {
  writeFileSync(drawing, stdout);
} else if (!existsSync(drawing) || readFileSync(drawing, 'utf8') !== stdout) {
  console.error(`${drawing} is out of date: run "npm run arch:graph".`);
  process.exit(1);
}
