import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { Clock } from '../../apps/server/src/platform/clock.ts';
import { CommandLine } from '../support/built-program.ts';
import { caller, randomId } from '../support/caller.ts';
import { LaunchedServer } from '../support/launched-server.ts';
import { freePort } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'lockstep-deletion-'));
const name = `test_${randomUUID().replaceAll('-', '')}`;
let admin: DataSource;
let db: DataSource;
beforeAll(async () => {
  const url = new URL(process.env.TEST_DATABASE_URL ?? '');
  admin = await new DataSource({ type: 'postgres', url: url.href }).initialize();
  await admin.query(`CREATE DATABASE ${name}`);
  url.pathname = name;
  db = await new DataSource({ type: 'postgres', url: url.href }).initialize();
});
afterAll(async () => {
  LaunchedServer.killAll();
  await db.destroy();
  await admin.query(`DROP DATABASE ${name} WITH (FORCE)`);
  await admin.destroy();
  rmSync(folder, { recursive: true });
});

const blobs = () => {
  const root = join(folder, 'blobs');
  if (!existsSync(root)) return [];
  const paths = readdirSync(root, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => statSync(join(root, path)).isFile());
};

it('A deletion goes on where kill -9 broke it off, and every blob goes', async () => {
  const port = String(await freePort());
  const { url = '' } = db.options as { url?: string };
  const environment = { DATABASE_URL: url, DATA_DIR: folder };
  const launch = async () => {
    const server = LaunchedServer.start({ PORT: port, ...environment });
    await server.event('listening');
    return server;
  };
  const operator = new CommandLine(folder, environment);
  const first = await launch();
  const who = await caller({ db, clock: new Clock() });
  const authorization = await who.authorization('files');
  for (let i = 0; i < 10; i++) {
    const { status } = await fetch(`${first.url}/files/v1/${who.uid}/files/${randomId()}`, {
      method: 'PUT',
      headers: {
        ...{ authorization, 'content-type': 'application/octet-stream', 'if-none-match': '*' },
        'x-version-id': randomId(),
      },
      body: `file ${i}`,
    });
    expect(status).toBe(201);
  }
  expect(blobs()).toHaveLength(10);

  // One row that cannot be deleted holds the erasing up in the middle.
  const lock = db.createQueryRunner();
  await lock.startTransaction();
  await lock.query(`SELECT FROM file WHERE root = $1 ORDER BY ctid DESC LIMIT 1 FOR UPDATE`, [
    who.uid,
  ]);
  await operator.json('admin', 'users', 'delete', who.uid, '--yes');
  await until(async () => {
    const waiting = await db.query<unknown[]>(
      `SELECT FROM pg_stat_activity
        WHERE datname = current_database() AND cardinality(pg_blocking_pids(pid)) > 0`,
    );
    return waiting.length > 0;
  });
  expect(blobs().length).toBeLessThan(10);
  expect(await first.stop('SIGKILL')).toBe('SIGKILL');
  await lock.rollbackTransaction();
  await lock.release();
  expect(await operator.json('users', 'deletion', who.uid)).toMatchObject({ state: 'erasing' });

  const second = await launch();
  await until(async () => {
    const { state } = await operator.json<{ state: string }>('users', 'deletion', who.uid);
    return state === 'erased';
  });
  expect(blobs()).toEqual([]);
  expect(await db.query(`SELECT FROM file WHERE root = $1`, [who.uid])).toEqual([]);
  expect(await second.stop()).toBe(0);
});
