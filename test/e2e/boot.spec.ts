import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Config } from '../../apps/server/src/platform/config.ts';
import { CommandLine } from '../support/built-program.ts';
import { LaunchedServer } from '../support/launched-server.ts';
import { freePort } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const testDatabase = process.env.TEST_DATABASE_URL ?? '';
const folder = mkdtempSync(join(tmpdir(), 'lockstep-boot-'));
afterAll(() => {
  LaunchedServer.killAll();
  rmSync(folder, { recursive: true, force: true });
});

const dataDir = () => mkdtempSync(join(folder, 'data-'));
const port = async () => String(await freePort());
const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);

/** Listens on loopback and closes with the test. */
async function listening(server: Server): Promise<number> {
  const at = await freePort();
  await new Promise<void>((done) => server.listen(at, '127.0.0.1', done));
  return at;
}

async function query<Row extends pg.QueryResultRow>(url: string, sql: string): Promise<Row[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Row>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** The embedded database of a running server. */
const databaseOf = (data: string) => readFileSync(join(data, 'database.url'), 'utf8').trim();

/** Also inside a user namespace or under another account, where /proc may be closed. */
async function postgresOf(data: string): Promise<number> {
  const sql = "SELECT pg_read_file('postmaster.pid') AS file";
  const [row] = await query<{ file: string }>(databaseOf(data), sql);
  return Number(row?.file.split('\n')[0]);
}

async function untilGone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
    } catch {
      return;
    }
    await new Promise((next) => setTimeout(next, 10));
  }
}

describe('A server that cannot start', () => {
  const refusal = async (environment: Record<string, string> & { PORT: string }) => {
    const server = LaunchedServer.start(environment);
    expect([await server.ended, server.stdout]).toEqual([1, '']);
    expect(server.stderr).toMatch(/^lockstep: [^\n]+\n$/); // one line, no stack
    return server.stderr;
  };

  it('names every mistake of its configuration', async () => {
    const words = await refusal({
      PORT: 'eighty',
      SIGN_UP: 'perhaps',
      PUBLIC_URL: 'ftp://example.com',
      DATABASE_URL_FILE: join(folder, 'missing'),
    });
    for (const name of ['PORT', 'SIGN_UP', 'PUBLIC_URL', 'DATABASE_URL_FILE']) {
      expect(words).toContain(`${name}: `);
    }
  });

  it('names a data folder that is not writable', async () => {
    const file = join(folder, 'a-file');
    writeFileSync(file, '');
    const words = await refusal({ PORT: await port(), DATA_DIR: join(file, 'data') });
    expect(words).toContain(`The data folder ${join(file, 'data')} is not writable`);
  });

  (existsSync('/proc/self') ? it : it.skip)('names one where no folder can be made', async () => {
    const words = await refusal({ PORT: await port(), DATA_DIR: '/proc/lockstep/data' });
    expect(words).toContain('The data folder /proc/lockstep/data is not writable');
  });

  // Root may write everywhere.
  (process.getuid?.() === 0 ? it.skip : it)('names a data folder of somebody else', async () => {
    const locked = dataDir();
    chmodSync(locked, 0o500);
    const words = await refusal({ PORT: await port(), DATA_DIR: locked });
    expect(words).toContain(`${locked} is not writable`);
  });

  it('names a port in use, and stops the database that it started', async () => {
    const occupant = createServer();
    const taken = await listening(occupant);
    const data = dataDir();
    const words = await refusal({ PORT: String(taken), DATA_DIR: data });
    expect(words).toContain(`Port ${taken} on localhost is in use`);
    occupant.close();
    const again = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await again.event('listening');
    await again.stop();
  });

  it('names a database that is away, without its password', async () => {
    const words = await refusal({
      PORT: await port(),
      DATA_DIR: dataDir(),
      DATABASE_URL: `postgres://somebody:unspoken@127.0.0.1:${await port()}/lockstep`,
    });
    expect(words).toMatch(/The database 127\.0\.0\.1:\d+\/lockstep is away: .*ECONNREFUSED/);
    expect(words).not.toContain('unspoken');
  });

  it('names a database that is older than PostgreSQL 15', async () => {
    const { hostname, port: to } = new URL(testDatabase);
    const version = await query<{ server_version_num: string }>(
      testDatabase,
      'SHOW server_version_num',
    );
    // The real PostgreSQL, whose only lie is its age.
    const older = createServer((near) => {
      const far = connect(Number(to), hostname);
      near.pipe(far);
      far.on('data', (chunk) => {
        const text = chunk.toString('latin1');
        near.write(text.replace(version[0]?.server_version_num ?? '', '140011'), 'latin1');
      });
      for (const socket of [near, far]) {
        socket.on('error', () => undefined);
        socket.on('close', () => [near, far].map((end) => end.destroy()));
      }
    });
    const url = new URL(testDatabase);
    url.host = `127.0.0.1:${await listening(older)}`;
    const words = await refusal({
      PORT: await port(),
      DATA_DIR: dataDir(),
      DATABASE_URL: url.href,
    });
    expect(words).toContain('is PostgreSQL 14; 15 or newer is needed');
    older.close();
  });
});

describe('A secret', () => {
  it('is read from the file that NAME_FILE names', () => {
    const path = join(folder, 'secret');
    writeFileSync(path, 'postgres://somebody@example.com/lockstep\n');
    const { databaseUrl } = Config.from({ DATABASE_URL_FILE: path });
    expect(databaseUrl).toBe('postgres://somebody@example.com/lockstep');
    writeFileSync(path, `${'s'.repeat(40)}\n`);
    expect(Config.from({ SYNC_MASTER_SECRET_FILE: path }).syncMasterSecret).toBe('s'.repeat(40));
  });

  it('is not taken from two places', () => {
    const environment = { SYNC_MASTER_SECRET: 's'.repeat(40), SYNC_MASTER_SECRET_FILE: folder };
    expect(() => Config.from(environment)).toThrow(/SYNC_MASTER_SECRET: .* not both/);
  });

  it('is not repeated by the refusal of a bad one', () => {
    expect(() => Config.from({ SYNC_MASTER_SECRET: 'too-short' })).toThrow(/SYNC_MASTER_SECRET: /);
    expect(() => Config.from({ SYNC_MASTER_SECRET: 'too-short' })).not.toThrow(/too-short/);
  });
});

describe('The embedded default', () => {
  it('says what it serves, keeps its secrets to its owner, and stops in order', async () => {
    const data = dataDir();
    const server = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    expect(await server.event('listening')).toMatchObject({
      address: server.url,
      data,
      database: expect.stringContaining('embedded PostgreSQL'),
      signUp: 'open to everybody',
      limits: expect.arrayContaining([expect.stringContaining('a record up to 2 MiB')]),
      next: 'npm run demo',
    });
    for (const path of ['database.url', 'server.url', 'logs/server.log', 'server.lock']) {
      expect([path, modeOf(join(data, path))]).toEqual([path, '600']);
    }
    // Its PORT was typed for it alone; whoever is invited has to find it all the same.
    const operator = new CommandLine(dataDir(), { DATA_DIR: data });
    expect(await operator.json('invite', 'bob@example.org')).toMatchObject({ url: server.url });
    const postgres = await postgresOf(data);
    expect(await server.stop()).toBe(0);
    await untilGone(postgres);
    expect(() => databaseOf(data)).toThrow('ENOENT');
    expect(() => statSync(join(data, 'server.lock'))).toThrow('ENOENT');
    const logged = readFileSync(join(data, 'logs/server.log'), 'utf8').trim().split('\n');
    expect(JSON.parse(logged.at(-1) ?? '')).toMatchObject({ level: 'log', event: 'stopping' });
  });

  it('prints its log and nothing beside it, also when it has told an app of a sign-out', async () => {
    const data = dataDir();
    const server = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await server.event('listening');
    const database = databaseOf(data);
    await query(
      database,
      `INSERT INTO oauth_client (id, metadata) VALUES ('told', '{
         "client_id": "told", "client_name": "Told", "redirect_uris": ["https://app.example/"],
         "token_endpoint_auth_method": "none", "grant_types": ["authorization_code"],
         "response_types": ["code"], "backchannel_logout_uri": "https://127.0.0.1:1/"}')`,
    );
    await query(
      database,
      `INSERT INTO logout_notice (client_id, sub, created_at, next_try_at)
       VALUES ('told', repeat('0', 32), now(), now())`,
    );
    await until(async () => {
      const [notice] = await query<{ tries: number }>(database, `SELECT tries FROM logout_notice`);
      return notice?.tries === 1;
    });
    expect(await server.stop()).toBe(0);
    expect(server.stderr).toBe('');
    expect(server.events().at(-1)).toMatchObject({ event: 'stopping' });
  });

  it('warns who lets others in and names an address of this machine alone', async () => {
    const server = LaunchedServer.start({
      PORT: await port(),
      DATA_DIR: dataDir(),
      HOST: '0.0.0.0',
      SIGN_UP: 'open',
    });
    expect(await server.event('listening')).toMatchObject({
      warning: expect.stringContaining('PUBLIC_URL is of this machine alone'),
    });
    expect(await server.stop()).toBe(0);
  });

  it('refuses a second server on its folder, and not on the next one', async () => {
    const data = dataDir();
    const first = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await first.event('listening');
    const second = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    expect(await second.ended).toBe(1);
    const words = `lockstep: Another server (process ${first.process.pid ?? 0}) already uses ${data}.\n`;
    expect(second.stderr).toBe(words);
    expect((await fetch(`${first.url}/readyz`)).status).toBe(200);
    await first.stop();
  });

  it('goes on when nobody reads its output any more', async () => {
    const server = LaunchedServer.start({ PORT: await port(), DATA_DIR: dataDir() });
    await server.event('listening');
    server.process.stdout?.destroy();
    server.process.stderr?.destroy();
    for (let i = 0; i < 3; i++) {
      expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    }
    expect(await server.stop()).toBe(0);
  });

  it('refuses a second server on its folder also beside another database', async () => {
    const data = dataDir();
    const name = `boot_${randomUUID().replaceAll('-', '')}`;
    await query(testDatabase, `CREATE DATABASE ${name}`);
    const own = new URL(testDatabase);
    own.pathname = `/${name}`;
    const start = async () =>
      LaunchedServer.start({ PORT: await port(), DATA_DIR: data, DATABASE_URL: own.href });
    const first = await start();
    await first.event('listening');
    const second = await start();
    expect(await second.ended).toBe(1);
    expect(second.stderr).toContain(`already uses ${data}`);
    await first.stop();
    await query(testDatabase, `DROP DATABASE ${name}`);
  });

  it('leaves no PostgreSQL behind when it is killed, and finds its data again', async () => {
    const data = dataDir();
    const first = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await first.event('listening');
    const kept = "INSERT INTO setting VALUES ('kept', 'through kill -9')";
    await query(databaseOf(data), kept);
    const postgres = await postgresOf(data);
    expect(await first.stop('SIGKILL')).toBe('SIGKILL');
    await untilGone(postgres);

    const second = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await second.event('listening');
    const sql = "SELECT value FROM setting WHERE name = 'kept'";
    expect(await query(databaseOf(data), sql)).toEqual([{ value: 'through kill -9' }]);
    expect(await second.stop('SIGINT')).toBe(0);
  });

  it('says so and ends when its PostgreSQL ends by itself', async () => {
    const data = dataDir();
    const server = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await server.event('listening');
    process.kill(await postgresOf(data), 'SIGKILL');
    expect(await server.ended).toBe(1);
    expect(server.stderr).toContain('PostgreSQL ended by itself');
  });

  it('sets a log of more than 10 MiB aside', async () => {
    const data = dataDir();
    const first = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await first.event('listening');
    await first.stop();
    const log = join(data, 'logs/server.log');
    writeFileSync(log, 'x'.repeat(10 * 1024 * 1024 + 1), { flag: 'a' });
    const second = LaunchedServer.start({ PORT: await port(), DATA_DIR: data });
    await second.event('listening');
    await second.stop();
    expect(statSync(`${log}.1`).size).toBeGreaterThan(10 * 1024 * 1024);
    expect(statSync(log).size).toBeLessThan(10_000);
  });
});
