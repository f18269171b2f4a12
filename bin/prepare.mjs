/** What every command of the clone needs first: the dependencies, and a build that is not stale. */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
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

/** Every file below these folders whose path fits. */
function sourcesIn(tops, pattern) {
  return tops.flatMap((top) =>
    readdirSync(join(root, top), { recursive: true })
      .filter((path) => pattern.test(path))
      .map((path) => join(root, top, path)),
  );
}

/** Runs a builder of node_modules, when any source is newer than what it made last. */
function buildWhenStale({ stamp, sources, program, args, why }) {
  const built = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  if (sources.every((path) => statSync(path).mtimeMs <= built)) return;
  const started = new Date();
  run(process.execPath, [join('node_modules', program), ...args], why);
  writeFileSync(stamp, started.toISOString());
  // What is saved while it runs was perhaps not read.
  utimesSync(stamp, started, started);
}

/** `tsc` for the programs, `vite` for the pages and for what other apps take of us, when a source of it changed. */
export function build() {
  const settings = ['package.json', 'tsconfig.json', 'tsconfig.build.json'].map((f) =>
    join(root, f),
  );
  buildWhenStale({
    stamp: join(root, 'dist', '.built'),
    sources: [...settings, ...sourcesIn(['apps', 'libs', 'bench'], /^(?!web[\\/]).*\.ts$/)],
    program: 'typescript/bin/tsc',
    args: ['-p', 'tsconfig.build.json'],
    why: 'building',
  });
  buildWhenStale({
    stamp: join(root, 'dist', '.built-web'),
    sources: [...settings, ...sourcesIn(['apps/web', 'libs'], /\.(tsx?|css|html|svg)$/)],
    program: 'vite/bin/vite.js',
    args: ['build', '--logLevel', 'warn', 'apps/web'],
    why: 'building the pages',
  });
  for (const library of ['client', 'client-node']) {
    buildWhenStale({
      stamp: join(root, 'dist', `.built-${library}`),
      sources: [...settings, ...sourcesIn(['libs'], /\.ts$/)],
      program: 'vite/bin/vite.js',
      args: ['build', '--logLevel', 'warn', `libs/${library}`],
      why: `building dist/sdk for ${library === 'client' ? 'browsers' : 'Node'}`,
    });
  }
}
