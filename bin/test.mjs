/** `npm test [-- jest options]`: installs, starts a PostgreSQL of its own, runs every test. */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, install, root } from './prepare.mjs';

install();
build();

let database;
let dataDir;
const env = { ...process.env };
if (!env.TEST_DATABASE_URL) {
  const launcher = pathToFileURL(join(root, 'dist/apps/server/src/platform/embedded-postgres.js'));
  const { startEmbeddedPostgres } = await import(launcher.href);
  dataDir = mkdtempSync(join(tmpdir(), 'lockstep-test-db-'));
  database = await startEmbeddedPostgres({
    dataDir,
    durable: false,
    settings: { max_connections: '300' },
  });
  env.TEST_DATABASE_URL = database.url;
}
env.NODE_OPTIONS = `${env.NODE_OPTIONS ?? ''} --experimental-vm-modules --disable-warning=ExperimentalWarning`;
// Last, because Jest takes every bare word after them for another reporter.
const reporters = ['--reporters=default', `--reporters=${join(root, 'bin/closing-line.mjs')}`];
process.stderr.write(`lockstep: testing under Node ${process.version}\n`);
const jest = spawn(
  process.execPath,
  ['node_modules/jest/bin/jest.js', ...process.argv.slice(2), ...reporters],
  {
    cwd: root,
    env,
    stdio: 'inherit',
  },
);
const finish = async (code) => {
  await database?.stop();
  if (dataDir) rmSync(dataDir, { recursive: true, force: true });
  process.exit(code);
};
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => jest.kill(signal));
jest.on('exit', (code) => finish(code ?? 1));
