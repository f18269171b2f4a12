import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import pg from 'pg';
import { z } from 'zod';
import { signHawk } from '#lib/crypto';
import { audiences, Bso, StorageToken } from '#lib/protocol';
import { RunningServer } from '../apps/demo/src/running-server.ts';

const SECRET = randomBytes(32).toString('hex');
const CLI = fileURLToPath(new URL('../apps/cli/src/main.js', import.meta.url));
const USERS = 200;
/** Requests under way at any time. */
const CALLERS = 12;
const RECORDS_PER_POST = 10;
const BEFORE_MS = 5000;
const AFTER_MS = 3000;
const WAIT_FOR_NODES_MS = 30_000;

/**
 * `npm run bench -- scale-out`: a front and two storage nodes, each a process with a PostgreSQL of
 * its own, and 200 users who write and read all the time while one node is drained. Every record
 * that was acknowledged is looked for afterwards. Ends with 1 when one is lost or has another time.
 */
export async function scaleOut(): Promise<void> {
  const started: RunningServer[] = [];
  const start = async (environment: Record<string, string>) => {
    const server = await RunningServer.start(undefined, {
      SYNC_MASTER_SECRET: SECRET,
      ...environment,
    });
    started.push(server);
    return server;
  };
  try {
    const front = await start({ LOCKSTEP_ROLE: 'front' });
    const storage = { LOCKSTEP_ROLE: 'storage', FRONT_URL: front.url };
    await start(storage);
    await start(storage);
    const nodes = await bothNodes(front);
    const drained = nodes[0];
    if (!drained) throw new Error('There is no node to drain.');
    const users = await makeUsers(front);
    const load = new Load(users);
    print('users per node at first', homesOf(users));

    const begun = performance.now();
    await pause(BEFORE_MS);
    const before = load.lap();
    print('before, requests/s', before.rate);
    print('  ms p50 / p99', before.ms);
    const drainBegun = performance.now();
    const outcome = await lockstep(front, 'nodes', 'drain', drained.node);
    const drainMs = performance.now() - drainBegun;
    const during = load.lap();
    await pause(AFTER_MS);
    await load.end();
    const seconds = (performance.now() - begun) / 1000;

    print('drain', `${outcome.trim()} in ${(drainMs / 1000).toFixed(1)} s`);
    print('  requests/s meanwhile', during.rate);
    print('  ms p50 / p99', during.ms);
    print('  a user could not write, ms p50 / p99 / max', load.pauses());
    print('answers 503 / 401', `${load.count503} / ${load.count401}`);
    print('users per node at last', homesOf(users));
    print('left on the drained node', `${(await listNodes(front))[0]?.stores ?? 0} stores`);
    const { records, lost, altered } = await verify(users);
    print(
      'acknowledged records',
      `${records} in ${load.acknowledged} writes, ${seconds.toFixed(0)} s`,
    );
    print('lost', String(lost));
    print('with another time or content', String(altered));
    print('other failures', load.failures.size === 0 ? '0' : [...load.failures].join(', '));
    process.exitCode = lost + altered + load.failures.size === 0 ? 0 : 1;
  } finally {
    for (const server of started.reverse()) await server.stop();
  }
}

const Nodes = z.array(z.object({ node: z.string(), stores: z.number(), state: z.string() }));

async function listNodes(front: RunningServer) {
  return Nodes.parse(JSON.parse(await lockstep(front, '--json', 'nodes', 'list')));
}

async function bothNodes(front: RunningServer) {
  const until = performance.now() + WAIT_FOR_NODES_MS;
  for (;;) {
    const nodes = await listNodes(front);
    if (nodes.filter(({ state }) => state === 'up').length === 2) return nodes;
    if (performance.now() > until) throw new Error('The nodes did not register.');
    await pause(200);
  }
}

async function lockstep(front: RunningServer, ...parameters: string[]): Promise<string> {
  const run = promisify(execFile);
  const { port } = new URL(front.url);
  const env = {
    ...{ PATH: process.env['PATH'], DATA_DIR: front.dataDir, PORT: port },
    ...{ LOCKSTEP_ROLE: 'front', SYNC_MASTER_SECRET: SECRET },
  };
  return (await run(process.execPath, [CLI, ...parameters], { env })).stdout;
}

/** Accounts that are verified and have let an app in, written straight into the front's tables. */
async function makeUsers(front: RunningServer): Promise<User[]> {
  const url = (await readFile(join(front.dataDir, 'database.url'), 'utf8')).trim();
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  try {
    const users: User[] = [];
    for (let i = 0; i < USERS; i++) {
      const [account, token] = [
        randomBytes(16).toString('hex'),
        randomBytes(32).toString('base64url'),
      ];
      const expires = new Date(Date.now() + 3_600_000);
      await db.query(
        `INSERT INTO account (uid, email, normal_email, auth_salt, verify_hash, wrap_wrap_kb, ka,
           keys_changed_at, verifier_set_at, verified_at, created_at)
         VALUES ($1, $2, $2, $3, $3, $3, $3, 1, 1, now(), now())`,
        [account, `${account}@example.org`, Buffer.alloc(32)],
      );
      await db.query(
        `INSERT INTO oidc (model, id, grant_key, expires_at, payload) VALUES ('Grant', $1, $1, $2, '{}')`,
        [account, expires],
      );
      const id = createHash('sha256').update(token).digest('base64url');
      const claims = { accountId: account, clientId: 'demo-app', scope: 'storage' };
      await db.query(
        `INSERT INTO oidc (model, id, grant_id, expires_at, payload) VALUES ('AccessToken', $1, $2, $3, $4)`,
        [id, account, expires, { ...claims, aud: audiences.storage }],
      );
      users.push(new User(front.url, token));
    }
    for (const user of users) await user.visit();
    return users;
  } finally {
    await db.end();
  }
}

function homesOf(users: readonly User[]): string {
  const homes = new Map<string, number>();
  for (const { home } of users) homes.set(home, (homes.get(home) ?? 0) + 1);
  return [...homes].map(([home, count]) => `${count} at ${home}`).join(', ');
}

interface Answer {
  status: number;
  text: string;
}

/** A client of one store, which remembers what was acknowledged. */
class User {
  /** By id; the last acknowledged write. */
  readonly records = new Map<string, { modified: number; payload: string }>();
  isBusy = false;
  private token: StorageToken | undefined;
  private readonly keyId = `10-${randomBytes(16).toString('base64url')}`;

  constructor(
    private readonly front: string,
    private readonly bearer: string,
  ) {}

  get home(): string {
    return this.token ? new URL(this.token.api_endpoint).origin : 'nowhere';
  }

  async visit(): Promise<void> {
    const headers = { authorization: `Bearer ${this.bearer}`, 'x-keyid': this.keyId };
    const response = await fetch(`${this.front}/token/1.0/sync/1.5`, { headers });
    if (!response.ok) throw new Error(`No token: ${response.status} ${await response.text()}`);
    this.token = StorageToken.parse(await response.json());
  }

  async send(method: 'GET' | 'POST', path: string, value?: unknown): Promise<Answer> {
    if (!this.token) throw new Error('Nobody visited the token server.');
    const { id, key, api_endpoint } = this.token;
    const body = value === undefined ? undefined : Buffer.from(JSON.stringify(value));
    const contentType = 'application/json';
    const url = api_endpoint + path;
    const authorization = await signHawk({
      ...{ id, key: Buffer.from(key), method, url, ts: Math.floor(Date.now() / 1000) },
      nonce: randomBytes(9).toString('base64url'),
      payload: body && { contentType, body },
    });
    const headers = { authorization, ...(body && { 'content-type': contentType }) };
    const response = await fetch(url, { method, headers, ...(body && { body }) });
    return { status: response.status, text: await response.text() };
  }
}

/** Everybody writes and reads, one request of each user at a time, until told to end. */
class Load {
  acknowledged = 0;
  count503 = 0;
  count401 = 0;
  readonly failures = new Set<string>();
  private isOver = false;
  private times: number[] = [];
  private lapBegun = performance.now();
  private readonly stopped: number[] = [];
  private readonly callers: Promise<void>[];
  private turn = 0;

  constructor(private readonly users: readonly User[]) {
    this.callers = Array.from({ length: CALLERS }, () => this.run());
  }

  /** What was since the last one. */
  lap(): { rate: string; ms: string } {
    const seconds = (performance.now() - this.lapBegun) / 1000;
    const times = this.times.sort((a, b) => a - b);
    const lap = {
      rate: (times.length / seconds).toFixed(0),
      ms: `${percentile(times, 0.5)} / ${percentile(times, 0.99)}`,
    };
    this.times = [];
    this.lapBegun = performance.now();
    return lap;
  }

  /** For how long users were told to come again. */
  pauses(): string {
    const sorted = this.stopped.sort((a, b) => a - b);
    const shares = [percentile(sorted, 0.5), percentile(sorted, 0.99), percentile(sorted, 1)];
    return `${shares.join(' / ')} (${sorted.length} users)`;
  }

  async end(): Promise<void> {
    this.isOver = true;
    await Promise.all(this.callers);
  }

  private async run(): Promise<void> {
    while (!this.isOver) {
      const number = this.turn++;
      const user = this.users[number % this.users.length];
      if (!user || user.isBusy) {
        await pause(1);
        continue;
      }
      user.isBusy = true;
      try {
        await this.write(user, number);
        await this.ask(user, 'GET', `/storage/c?newer=0&limit=20&full=1`);
      } catch (error) {
        this.failures.add(String(error));
      }
      user.isBusy = false;
    }
  }

  private async write(user: User, number: number): Promise<void> {
    const records = Array.from({ length: RECORDS_PER_POST }, (_, i) => ({
      id: `r${(Math.floor(number / this.users.length) * 7 + i) % 100}`,
      payload: `${number} ${i} ${'x'.repeat(300)}`,
    }));
    const { text } = await this.ask(user, 'POST', '/storage/c', records);
    const { modified, success } = z
      .object({ modified: z.number(), success: z.array(z.string()) })
      .parse(JSON.parse(text));
    this.acknowledged += 1;
    for (const { id, payload } of records) {
      if (success.includes(id)) user.records.set(id, { modified, payload });
    }
  }

  /** As a client does: after 503 again, after 401 with another token. */
  private async ask(user: User, method: 'GET' | 'POST', path: string, body?: unknown) {
    let refusedAt: number | undefined;
    for (;;) {
      const begun = performance.now();
      const { status, text } = await user.send(method, path, body);
      if (status === 200) {
        const now = performance.now();
        this.times.push(now - begun);
        if (refusedAt !== undefined && method === 'POST') this.stopped.push(now - refusedAt);
        return { text };
      }
      refusedAt ??= begun;
      if (status === 401) {
        this.count401 += 1;
        await user.visit();
      } else if (status === 503) {
        this.count503 += 1;
        await pause(20);
      } else {
        throw new Error(`${method} ${path}: ${status} ${text}`);
      }
    }
  }
}

/** Reads everything back, where it is now. */
async function verify(users: readonly User[]) {
  let [records, lost, altered] = [0, 0, 0];
  for (const user of users) {
    await user.visit();
    const { status, text } = await user.send('GET', '/storage/c?full=1');
    if (status !== 200) throw new Error(`A store cannot be read: ${status} ${text}`);
    const found = new Map(
      z
        .array(Bso)
        .parse(JSON.parse(text))
        .map((bso) => [bso.id, bso]),
    );
    for (const [id, { modified, payload }] of user.records) {
      const bso = found.get(id);
      records += 1;
      if (!bso) lost += 1;
      else if (bso.modified !== modified || bso.payload !== payload) altered += 1;
    }
  }
  return { records, lost, altered };
}

function percentile(sorted: readonly number[], share: number): string {
  const at = Math.min(sorted.length - 1, Math.floor(sorted.length * share));
  return (sorted[at] ?? 0).toFixed(0);
}

function print(what: string, value: string): void {
  process.stdout.write(`${what.padEnd(48)}${value}\n`);
}
