import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../apps/server/src/platform/embedded-postgres.ts';
import { LaunchedServer } from '../support/launched-server.ts';
import { freePort } from '../support/test-server.ts';

/** A PostgreSQL and a server, each in a process of its own, to be killed. */
describe('A database that dies and comes back', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-away-'));
  let databasePort: number;
  let database: EmbeddedPostgres;
  let server: LaunchedServer;
  const clients: pg.Client[] = [];

  const startDatabase = () => startEmbeddedPostgres({ dataDir: folder, port: databasePort });
  const client = async () => {
    const made = new pg.Client({ connectionString: database.url });
    made.on('error', () => undefined);
    await made.connect();
    clients.push(made);
    return made;
  };
  const startServer = async () => {
    server = LaunchedServer.start({
      PORT: String(await freePort()),
      DATA_DIR: mkdtempSync(join(folder, 'data-')),
      DATABASE_URL: database.url,
    });
    await server.event('listening');
  };
  const ask = (call: string, json: object) =>
    fetch(`${server.url}/auth/v1/account/${call}`, {
      method: 'POST',
      body: JSON.stringify(json),
      headers: { 'content-type': 'application/json' },
    });
  const alice = { email: 'alice@example.com' };
  const askStatus = () => ask('status', alice);
  const signUp = () => ask('create', { ...alice, authPW: 'ab'.repeat(32) });
  /** A request that waits in the database for `locker` to end its transaction. */
  const askBlocked = async (locker: pg.Client, table = 'account', asking = askStatus) => {
    const watcher = await client();
    await locker.query(`BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`);
    const reply = asking();
    const waiting = 'SELECT FROM pg_locks WHERE NOT granted';
    while ((await watcher.query(waiting)).rowCount === 0);
    return { reply };
  };

  beforeAll(async () => {
    databasePort = await freePort();
    database = await startDatabase();
    await startServer();
  });
  afterAll(async () => {
    LaunchedServer.killAll();
    for (const each of clients) await each.end().catch(() => undefined);
    await database.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('costs a sign-up that is half done a 503 in its own format, and the server nothing', async () => {
    const locker = await client();
    const { rows } = await locker.query<{ file: string }>(
      "SELECT pg_read_file('postmaster.pid') AS file",
    );
    // The account is there, for itself alone; its session is not.
    const { reply } = await askBlocked(locker, 'session', signUp);
    process.kill(Number(rows[0]?.file.split('\n')[0]), 'SIGKILL');
    const answer = await reply;
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '10']);
    expect(await answer.json()).toMatchObject({ code: 503, errno: 201 });
    await database.died;
  });

  it('costs each request that comes while it is away the same', async () => {
    const bearer = { authorization: `Bearer ${'0'.repeat(64)}` };
    const get = (path: string) => fetch(`${server.url}${path}`, { headers: bearer });
    for (const [path, type, body] of [
      ['/readyz', 'application/problem+json', { type: '/problems/unavailable', status: 503 }],
      ['/keys/v1/me', 'application/problem+json', { type: '/problems/unavailable' }],
      ['/token/1.0/sync/1.5', 'application/json', { status: 'internal-error' }],
      ['/files/v1/mine/usage', 'application/problem+json', { type: '/problems/unavailable' }],
      [
        '/oauth2/authorize?client_id=demo-app',
        'application/json',
        { error: 'temporarily_unavailable' },
      ],
    ] as const) {
      const reply = await get(path);
      expect([path, reply.status]).toEqual([path, 503]);
      expect(reply.headers.get('content-type')).toContain(type);
      expect(await reply.json()).toMatchObject(body);
    }
    expect((await get('/healthz')).status).toBe(200);
  });

  it('is used again when it is back', async () => {
    database = await startDatabase();
    while ((await fetch(`${server.url}/readyz`)).status !== 200);
    expect(await (await askStatus()).json()).toEqual({ exists: false });
    expect((await signUp()).status).toBe(200);
    expect(await (await askStatus()).json()).toEqual({ exists: true });
    expect(server.stderr).not.toContain('unhandled');
  });

  it('gets to finish the requests in it before a server stops', async () => {
    const locker = await client();
    const { reply } = await askBlocked(locker);
    const ended = server.stop();
    await server.event('stopping');
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow('fetch failed');
    await locker.query('COMMIT');
    expect((await reply).status).toBe(200);
    expect(await ended).toBe(0);
    await startServer();
  });

  it('is left at once, and the request in it with it, by a second signal', async () => {
    const locker = await client();
    const { reply } = await askBlocked(locker);
    const lost = expect(reply).rejects.toThrow('fetch failed');
    const ended = server.stop();
    await server.event('stopping');
    const again = setInterval(() => server.process.kill('SIGTERM'), 50);
    expect(await ended).toBe(130);
    clearInterval(again);
    await lost;
    await locker.query('COMMIT');
    await startServer();
  });

  it('leaves one line per request in the log, without who or what it was about', async () => {
    await askStatus();
    await fetch(`${server.url}/nobody@example.com?secret=hush`);
    const requests = () => server.events().filter(({ event }) => event === 'request');
    while (requests().length < 2) await new Promise(setImmediate);
    expect(requests()).toMatchObject([
      { method: 'POST', route: '/auth/v1/account/status', status: 200 },
      { method: 'GET', route: 'unmatched', status: 404 },
    ]);
    expect(Object.keys(requests()[0] ?? {}).sort()).toEqual(
      'context event level message method ms pid route status timestamp'.split(' '),
    );
    expect(JSON.stringify(requests())).not.toMatch(/example\.com|hush|127\.0\.0\.1|::1/);
  });
});
