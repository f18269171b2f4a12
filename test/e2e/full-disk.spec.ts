import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deriveTokenKey, mintToken } from '#lib/crypto';
import { LaunchedServer } from '../support/launched-server.ts';
import { storageClient, type StorageClient } from '../support/storage.ts';
import { freePort } from '../support/test-server.ts';

const SECRET = 's'.repeat(43);
const GROUP = 20;
/** A disk of one's own, without being root; a container may forbid it. */
const canMount = spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0;

/**
 * Goal: on a full disk every write is answered as refused or kept whole, reading goes on where the
 * database does, and nothing that was answered is missing once there is room again.
 * Method: the data folder is a small tmpfs in a mount namespace of the test's own; it is filled
 * through the API, then made larger.
 */
(canMount ? describe : describe.skip)('a full disk (needs user namespaces)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-disk-'));
  let keeper: ChildProcess;
  let inside: string[];
  let environment: Record<string, string> & { PORT: string };
  let server: LaunchedServer;

  beforeAll(async () => {
    const mount = 'mount -t tmpfs -o size=130m none "$0" && echo mounted && exec sleep 600';
    keeper = spawn('unshare', ['-rm', 'sh', '-c', mount, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    if (keeper.stdout) await once(keeper.stdout, 'data');
    inside = [
      'nsenter',
      '-t',
      String(keeper.pid),
      '-U',
      '-m',
      '--preserve-credentials',
      `--wd=${process.cwd()}`,
    ];
    environment = {
      PORT: String(await freePort()),
      DATA_DIR: join(folder, 'data'),
      SYNC_MASTER_SECRET: SECRET,
    };
  });
  afterAll(async () => {
    await server.stop();
    LaunchedServer.killAll();
    keeper.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(): Promise<StorageClient> {
    server = LaunchedServer.start(environment, inside);
    await server.event('listening');
    const seconds = () => Math.floor(Date.now() / 1000);
    const claims = { uid: 9, node: server.url, expires: seconds() + 3000, salt: 'abcdef' };
    const id = mintToken(SECRET, claims);
    const key = deriveTokenKey(SECRET, id);
    return storageClient({ url: server.url, id, key, uid: 9, seconds });
  }

  it('refuses writes, keeps what was answered, and goes on when there is room', async () => {
    let user = await start();
    const answered = new Map<string, string>();
    const groups = new Set<string>();
    const refusals: string[] = [];
    // A single write, then a batch of which all or nothing may be there.
    for (let i = 0; refusals.length < 10 && i < 2000; i++) {
      const payload = randomBytes(75_000).toString('base64');
      try {
        const put = await user.put(`/storage/c/r${i}`, { payload });
        if (put.status === 200) answered.set(`r${i}`, payload);
        else refusals.push(`${put.status} ${put.text} ${put.headers['retry-after'] ?? ''}`);
        const records = Array.from({ length: GROUP }, (_, k) => ({
          id: `g${i}-${k}`,
          payload: 'x',
        }));
        const batch = await user.post('/storage/g?batch=true&commit=true', records);
        if (batch.status === 200) groups.add(`g${i}`);
      } catch {
        break; // the database could not go on, and took the server with it
      }
    }
    expect(answered.size).toBeGreaterThan(10);
    for (const refusal of refusals) expect(refusal).toBe('503 0 10');
    // Without room for its log, PostgreSQL may have ended, and the server with it.
    const isDown = await user.get('/info/collections').then(
      ({ status }) => status !== 200,
      () => true,
    );

    const [nsenter = '', ...rest] = inside;
    const more = ['mount', '-o', 'remount,size=600m', 'none', folder];
    expect(spawnSync(nsenter, [...rest, ...more]).status).toBe(0);
    if (isDown) {
      await server.stop();
      user = await start();
    }
    for (const [id, payload] of answered) {
      const kept = await user.get(`/storage/c/${id}`);
      expect([id, kept.status, kept.status === 200 && kept.json().payload === payload]).toEqual([
        ...[id, 200, true],
      ]);
    }
    const counts = new Map<string, number>();
    for (const id of (await user.get('/storage/g')).json() as string[]) {
      const [group = ''] = id.split('-');
      counts.set(group, (counts.get(group) ?? 0) + 1);
    }
    expect([...groups].filter((group) => !counts.has(group))).toEqual([]);
    expect([...counts.values()].filter((count) => count !== GROUP)).toEqual([]);
    expect((await user.put('/storage/c/after', { payload: 'x' })).status).toBe(200);
  });
});
