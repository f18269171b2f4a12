import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { deriveTokenKey, mintToken } from '#lib/crypto';
import {
  type EmbeddedPostgres,
  startEmbeddedPostgres,
} from '../../apps/server/src/platform/embedded-postgres.ts';
import { LaunchedServer } from '../support/launched-server.ts';
import { storageClient, type StorageClient } from '../support/storage.ts';
import { freePort } from '../support/test-server.ts';

const SECRET = 's'.repeat(43);
const GROUP = 40;

/**
 * Goal: whatever is killed, every write that was answered is there, and of every batch all or nothing.
 * Method: writers put records and commit batches without a pause. After so many answers the server or
 * PostgreSQL is killed, started again, and the store read. The records of a batch are a group.
 */
describe('kill -9', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-crash-'));
  const answered = new Set<string>();
  let databasePort: number;
  let port: string;
  let database: EmbeddedPostgres;
  let server: LaunchedServer;
  let user: StorageClient;

  const startDatabase = () => startEmbeddedPostgres({ dataDir: folder, port: databasePort });
  const startServer = async () => {
    server = LaunchedServer.start({
      PORT: port,
      DATA_DIR: join(folder, 'data'),
      DATABASE_URL: database.url,
      SYNC_MASTER_SECRET: SECRET,
    });
    await server.event('listening');
  };

  beforeAll(async () => {
    databasePort = await freePort();
    port = String(await freePort());
    database = await startDatabase();
    await startServer();
    const seconds = () => Math.floor(Date.now() / 1000);
    const claims = { uid: 9, node: server.url, expires: seconds() + 3000, salt: 'abcdef' };
    const id = mintToken(SECRET, claims);
    const key = deriveTokenKey(SECRET, id);
    user = storageClient({ url: server.url, id, key, uid: 9, seconds });
  });
  afterAll(async () => {
    LaunchedServer.killAll();
    await database.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Writes until something fails. `answer` is called after each write that succeeded. */
  async function write(kind: 'record' | 'batch', answer: () => void): Promise<void> {
    for (;;) {
      const name = `${kind}-${randomBytes(6).toString('hex')}`;
      const records = (from: number) =>
        Array.from({ length: GROUP / 2 }, (_, i) => ({
          id: `${name}-${from + i}`,
          payload: 'x'.repeat(500),
        }));
      try {
        if (kind === 'record') {
          const put = await user.put(`/storage/c/${name}`, { payload: name });
          if (put.status !== 200) return;
        } else {
          const begun = await user.post('/storage/c?batch=true', records(0));
          if (begun.status !== 202) return;
          const { batch } = begun.json();
          const query = `?batch=${batch}&commit=true`;
          const done = await user.post(`/storage/c${query}`, records(GROUP / 2));
          if (done.status !== 200) return;
        }
      } catch {
        return; // the connection broke
      }
      answered.add(name);
      answer();
    }
  }

  async function writeUntilKilled(answers: number, kill: () => void): Promise<void> {
    let left = answers;
    const answer = () => {
      left -= 1;
      if (left === 0) kill();
    };
    const kinds = ['record', 'batch', 'batch', 'record', 'batch', 'batch'] as const;
    await Promise.all(kinds.map((kind) => write(kind, answer)));
  }

  async function expectWhole(): Promise<void> {
    const ids: string[] = [];
    for (let offset = ''; ;) {
      const page = await user.get(`/storage/c?limit=5000${offset}`);
      expect(page.status).toBe(200);
      ids.push(...(page.json() as string[]));
      const next = page.headers['x-weave-next-offset'];
      if (next === undefined) break;
      offset = `&offset=${String(next)}`;
    }
    const sizes = new Map<string, number>();
    for (const id of ids) {
      const name = id.split('-').slice(0, 2).join('-');
      sizes.set(name, (sizes.get(name) ?? 0) + 1);
    }
    const lost = [...answered].filter((name) => !sizes.has(name));
    const torn = [...sizes].filter(
      ([name, size]) => size !== (name.startsWith('batch') ? GROUP : 1),
    );
    expect([lost, torn]).toEqual([[], []]);
    const counts = (await user.get('/info/collection_counts')).json() as { c: number };
    expect(counts.c).toBe(ids.length);
  }

  it.each([7, 40, 90])('of the server after %d answers loses nothing', async (answers) => {
    await writeUntilKilled(answers, () => server.process.kill('SIGKILL'));
    await server.ended;
    await startServer();
    await expectWhole();
    expect((await user.put('/storage/c/record-after', { payload: '' })).status).toBe(200);
    answered.add('record-after');
  });

  it.each([9, 50])('of PostgreSQL after %d answers loses nothing', async (answers) => {
    const pid = Number((await pidFile()).split('\n')[0]);
    await writeUntilKilled(answers, () => process.kill(pid, 'SIGKILL'));
    await database.died;
    database = await startDatabase();
    while ((await user.get('/info/collections')).status !== 200);
    await expectWhole();
    const begun = await user.post('/storage/c?batch=true', [{ id: 'record-x' }]);
    expect(begun.status).toBe(202);
  });

  it('is followed by a start below a path, which says what works there', async () => {
    const other = LaunchedServer.start({
      PORT: String(await freePort()),
      DATA_DIR: join(folder, 'other'),
      DATABASE_URL: database.url,
      PUBLIC_URL: 'https://example.org/base',
      SIGN_UP: 'closed',
    });
    const { warning } = await other.event('listening');
    expect(warning).toMatch(/PUBLIC_URL has a path/);
    expect(await server.event('listening')).not.toHaveProperty('warning');
    await other.stop('SIGKILL');
  });

  async function pidFile(): Promise<string> {
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows } = await client.query<{ file: string }>(
      "SELECT pg_read_file('postmaster.pid') AS file",
    );
    await client.end();
    return rows[0]?.file ?? '';
  }
});
