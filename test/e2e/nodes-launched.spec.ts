import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn, setTimeout as pause } from 'node:timers/promises';
import { randomUUID } from 'node:crypto';
import { DataSource } from 'typeorm';
import { StorageToken } from '#lib/protocol';
import { Clock } from '../../apps/server/src/platform/clock.ts';
import { CommandLine } from '../support/built-program.ts';
import { caller, randomId, type TestCaller } from '../support/caller.ts';
import { LaunchedServer } from '../support/launched-server.ts';
import { storageClient } from '../support/storage.ts';
import { freePort } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const SYNC_MASTER_SECRET = 'a secret that the front and its nodes share';
const folder = mkdtempSync(join(tmpdir(), 'lockstep-nodes-'));
const databases: string[] = [];
const clock = new Clock();

let admin: DataSource;
let db: DataSource;
let front: LaunchedServer;
let nodes: { port: string; database: string; server: LaunchedServer }[];
let operator: CommandLine;

const query = (text: string) => admin.query(text);

async function createDatabase(): Promise<string> {
  const name = `test_${randomUUID().replaceAll('-', '')}`;
  await query(`CREATE DATABASE ${name}`);
  databases.push(name);
  const url = new URL(process.env.TEST_DATABASE_URL ?? '');
  url.pathname = name;
  return url.href;
}

async function launch(port: string, database: string, environment: Record<string, string>) {
  const server = LaunchedServer.start({
    ...{ PORT: port, DATABASE_URL: database, DATA_DIR: join(folder, port), SYNC_MASTER_SECRET },
    ...environment,
  });
  await server.event('listening');
  return server;
}

const launchNode = (port: string, database: string) =>
  launch(port, database, { LOCKSTEP_ROLE: 'storage', FRONT_URL: front.url });

interface Listed {
  node: string;
  url: string;
  stores: number;
  state: string;
}
const list = () => operator.json<Listed[]>('nodes', 'list');

beforeAll(async () => {
  admin = await new DataSource({
    type: 'postgres',
    url: process.env.TEST_DATABASE_URL ?? '',
  }).initialize();
  const database = await createDatabase();
  const port = await freePort();
  front = await launch(String(port), database, { LOCKSTEP_ROLE: 'front' });
  nodes = [];
  for (let i = 0; i < 2; i++) {
    const place = { port: String(await freePort()), database: await createDatabase() };
    nodes.push({ ...place, server: await launchNode(place.port, place.database) });
  }
  db = await new DataSource({ type: 'postgres', url: database, parseInt8: true }).initialize();
  operator = new CommandLine(folder, {
    ...{ DATABASE_URL: database, PORT: String(port), SYNC_MASTER_SECRET, LOCKSTEP_ROLE: 'front' },
  });
  await until(async () => {
    const rows = await db.query(`SELECT FROM storage_node WHERE seen_at IS NOT NULL`);
    return rows.length === 2;
  });
});

afterAll(async () => {
  LaunchedServer.killAll();
  await db.destroy();
  for (const name of databases) await query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.destroy();
  rmSync(folder, { recursive: true, force: true });
});

/** Of a call that was not answered: whether it is sure that nobody got it. */
const whyNone = ({ code }: { code?: string }) =>
  code === 'ECONNREFUSED' ? ('nobody listens' as const) : undefined;

/** Writes in a loop, as a client that does what it is answered, and remembers what was acknowledged. */
class Writer {
  readonly records = new Map<string, { modified: number; payload: string }>();
  uid = 0;
  home = '';
  private isOver = false;
  private running: Promise<void> = Promise.resolve();
  private readonly keyId = `10-${randomId()}`;

  private constructor(private readonly who: TestCaller) {}

  static async make(): Promise<Writer> {
    const writer = new Writer(await caller({ db, clock }));
    await writer.connect();
    return writer;
  }

  async connect() {
    const response = await fetch(`${front.url}/token/1.0/sync/1.5`, {
      headers: {
        authorization: await this.who.authorization('storage', ['storage']),
        'x-keyid': this.keyId,
      },
    });
    const { id, key, uid, api_endpoint } = StorageToken.parse(await response.json());
    this.uid = uid;
    this.home = new URL(api_endpoint).origin;
    return storageClient({ url: this.home, id, key, uid, seconds: () => clock.seconds() });
  }

  begin(): void {
    this.running = this.run();
  }

  async end(): Promise<void> {
    this.isOver = true;
    await this.running;
  }

  private async run(): Promise<void> {
    let client = await this.connect();
    for (let i = 0; !this.isOver; i++) {
      const id = `r${i % 50}`;
      const payload = `${i} ${'x'.repeat(100)}`;
      const answer = await client.put(`/storage/c/${id}`, { payload }).catch(whyNone);
      if (answer === undefined) {
        this.records.delete(id); // whether it was written nobody knows
      } else if (answer !== 'nobody listens') {
        const { status, text } = answer;
        if (status === 200) this.records.set(id, { modified: Number(text), payload });
        else if (status === 401) client = await this.connect();
        else if (status !== 503) throw new Error(`${status} ${text}`);
      }
      await pause(5);
    }
  }

  async expectAll(): Promise<void> {
    const client = await this.connect();
    const found = new Map<string, unknown>();
    for (const { id, modified, payload } of (await client.get('/storage/c?full=1')).json()) {
      found.set(id, { modified, payload });
    }
    expect(this.records.size).toBeGreaterThan(0);
    for (const [id, record] of this.records) expect([id, found.get(id)]).toEqual([id, record]);
  }
}

/** Waits for what happens in this process. */
const soon = (isSo: () => boolean) =>
  until(async () => {
    await turn();
    return isSo();
  });

const countByHome = (writers: readonly Writer[]) => {
  const homes = new Map<string, number>();
  for (const { home } of writers) homes.set(home, (homes.get(home) ?? 0) + 1);
  return homes;
};

it('An operator empties a node while everybody writes; nothing is lost, and it can be removed', async () => {
  const listed = await list();
  expect(listed.map(({ state }) => state)).toEqual(['up', 'up']);
  const writers = await Promise.all(Array.from({ length: 10 }, () => Writer.make()));
  expect([...countByHome(writers).values()]).toEqual([5, 5]);
  for (const writer of writers) writer.begin();
  const [drained] = listed as [Listed];
  expect(await operator.json('nodes', 'drain', drained.node)).toEqual({
    ...{ node: drained.node, moved: 5, left: 0 },
  });
  for (const writer of writers) await writer.end();
  for (const writer of writers) await writer.expectAll();
  expect(countByHome(writers).has(drained.url)).toBe(false);
  expect((await list())[0]).toMatchObject({ state: 'draining', stores: 0 });

  // One more goes where there is still somebody.
  expect((await Writer.make()).home).not.toBe(drained.url);
  const wrong = await operator.run('nodes', 'remove', (await list())[1]?.node ?? '');
  expect([wrong.code, wrong.stderr]).toEqual([
    1,
    expect.stringMatching(/11 stores: drain it first/),
  ]);
  await operator.json('nodes', 'remove', drained.url);
  expect((await list()).length).toBe(1);
  expect(await operator.json('nodes', 'add', drained.url)).toEqual({ node: drained.node });
  expect((await list()).map(({ state }) => state)).toEqual(['up', 'up']);
});

it('A node that is killed while a user is moved to it keeps no user from his records', async () => {
  const writer = await Writer.make();
  writer.begin();
  await soon(() => writer.records.size >= 20);
  const target = nodes.find(({ server }) => server.url !== writer.home) as (typeof nodes)[number];
  const move = operator.run('users', 'move', String(writer.uid), '--to', target.server.url);
  await target.server.event('store-changed'); // it is expecting the store
  await target.server.stop('SIGKILL');
  expect([(await move).code, (await move).stderr]).toEqual([1, expect.stringMatching(/away/)]);
  target.server = await launchNode(target.port, target.database);
  const moved = await operator.run('users', 'move', String(writer.uid), '--to', target.server.url);
  // The server may have been first: it finishes by itself what was broken off.
  expect(`${moved.code} ${moved.stdout}${moved.stderr}`).toMatch(/^0 .*records from|^1 .*already/);
  await writer.end();
  await writer.expectAll();
  expect(writer.home).toBe(target.server.url);
});

it('A node that is killed comes back with what it acknowledged, and the others go on', async () => {
  const writers = await Promise.all(Array.from({ length: 4 }, () => Writer.make()));
  const [first] = writers as [Writer];
  const other = nodes.find(({ server }) => server.url !== first.home)?.server.url ?? '';
  await operator.json('users', 'move', String(first.uid), '--to', other);
  await first.connect();
  expect(countByHome(writers).size).toBe(2);
  for (const writer of writers) writer.begin();
  const [killed] = nodes as [(typeof nodes)[number]];
  const others = writers.filter(({ home }) => home !== killed.server.url);
  await soon(() => writers.every(({ records }) => records.size > 10));
  await killed.server.stop('SIGKILL');
  const before = others.map(({ records }) =>
    Math.max(...[...records.values()].map((r) => r.modified)),
  );
  await soon(() =>
    others.every(({ records }, i) =>
      [...records.values()].some(({ modified }) => modified > (before[i] ?? 0)),
    ),
  );
  killed.server = await launchNode(killed.port, killed.database);
  for (const writer of writers) await writer.end();
  for (const writer of writers) await writer.expectAll();
});

it('What an operator asks for and cannot have is one line, and an exit code', async () => {
  const refused = async (...parameters: string[]) => {
    const { code, stdout, stderr } = await operator.run('--json', ...parameters);
    expect([code, stdout]).toEqual([1, '']);
    return JSON.parse(stderr) as unknown;
  };
  expect(await refused('nodes', 'drain', 'nobody')).toMatchObject({ error: 'not-found' });
  expect(await refused('users', 'move', '4711000')).toMatchObject({ error: 'not-found' });
  expect(await refused('users', 'move', 'f'.repeat(32))).toMatchObject({ error: 'not-found' });
  const nowhere = `http://localhost:${await freePort()}`;
  expect(await refused('nodes', 'add', nowhere)).toMatchObject({ error: 'unavailable' });
  const [node] = await list();
  const set = await operator.json<Listed[]>('nodes', 'set', node?.node ?? '', '--down');
  expect(set[0]?.state).toBe('downed');
  const up = await operator.json<Listed[]>(
    'nodes',
    'set',
    node?.node ?? '',
    '--up',
    '--backoff',
    '60',
  );
  expect(up[0]?.state).toBe('backoff');
  await operator.json('nodes', 'set', node?.node ?? '', '--backoff', '0');
  expect((await operator.run('nodes', 'set', node?.node ?? '', '--backoff', 'x')).code).toBe(2);
  expect((await operator.run('nodes', 'set', node?.node ?? '', '--up', '--down')).code).toBe(2);
});
