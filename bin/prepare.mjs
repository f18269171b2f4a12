/** What every command of the clone needs first: the dependencies, and a build that is not stale. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Runs a command in the clone and ends this process when it fails. */
function run(command, args, why) {
  process.stderr.write(`lockstep: ${why}\n`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    process.stderr.write(`lockstep: "${command} ${args.join(' ')}" failed\n`);
    process.exit(1);
  }
}

/** The clone's `.env`, if there is one; what is set already goes before it. */
export function loadSettings() {
  const path = join(root, '.env');
  if (existsSync(path)) process.loadEnvFile(path);
}

/** `npm ci`, when node_modules is missing or was not installed from this lock file. */
export function install() {
  const stamp = join(root, 'node_modules', '.lockstep-installed');
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const installed = existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;
  const isComplete = existsSync(join(root, 'node_modules', '.package-lock.json'));
  if (isComplete && (installed === undefined || installed === lock)) {
    if (installed === undefined) writeFileSync(stamp, lock); // somebody ran npm ci by hand
    return;
  }
  run('npm', ['ci', '--no-audit', '--no-fund'], 'installing what is missing (npm ci)');
  writeFileSync(stamp, lock);
}

/** `tsc`, when any source is newer than the last build. */
export function build() {
  const stamp = join(root, 'dist', '.built');
  const built = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  const sources = ['package.json', 'tsconfig.json', 'tsconfig.build.json'].map((f) =>
    join(root, f),
  );
  for (const top of ['apps', 'libs', 'bench']) {
    for (const path of readdirSync(join(root, top), { recursive: true })) {
      if (path.endsWith('.ts')) sources.push(join(root, top, path));
    }
  }
  if (sources.every((path) => statSync(path).mtimeMs <= built)) return;
  const started = new Date();
  run(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'],
    'building',
  );
  writeFileSync(stamp, started.toISOString());
}
