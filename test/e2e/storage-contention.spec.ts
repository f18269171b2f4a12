import { once } from 'node:events';
import { connect, Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { signHawk } from '#lib/crypto';
import { storageClient, type StorageClient, storageCredentials } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let user: StorageClient;
let uid = 7_000_000;
beforeAll(async () => {
  server = await TestServer.start({ DATABASE_CONNECTIONS: '10' });
});
afterAll(() => server.stop());
beforeEach(async () => {
  uid += 1;
  user = storageClient(await storageCredentials(server, { uid }));
});

/**
 * Goal: whoever polls sees every record, whichever header he takes for his next `newer`.
 * Method: eight writers, by every way to write, and two readers that poll as fast as they can.
 */
it('writers queue, and pollers miss nothing', async () => {
  const rounds = process.env.SLOW === undefined ? 25 : 1200;
  // While somebody makes a collection there is no time that can be vouched for: 0.
  const first = await user.put('/storage/c/first', { payload: '' });
  const written = new Map([['first', String(first.headers['x-last-modified'])]]);
  let isOver = false;
  const writer = async (w: number) => {
    for (let i = 0; i < rounds; i += 1) {
      const id = `w${w}-${i}`;
      const bso = { id, payload: 'x'.repeat(i * 10) };
      let answer;
      if (i % 3 === 0) answer = await user.put(`/storage/c/${id}`, bso);
      else if (i % 3 === 1) answer = await user.post('/storage/c', [bso]);
      else {
        const { batch } = (await user.post('/storage/c?batch=true', [bso])).json();
        answer = await user.post(`/storage/c?batch=${batch}&commit=true`, []);
      }
      expect([id, answer.status]).toEqual([id, 200]);
      written.set(id, String(answer.headers['x-last-modified']));
    }
  };
  const poller = async (header: string) => {
    const seen = new Map<string, string>();
    let cursor = '0';
    for (let isLast = false; !isLast;) {
      isLast = isOver;
      const page = await user.get(`/storage/c?full=1&newer=${cursor}`);
      expect(page.status).toBe(200);
      for (const { id, modified } of page.json() as { id: string; modified: number }[]) {
        seen.set(id, modified.toFixed(2));
      }
      const next = String(page.headers[header]);
      expect(Number(next)).toBeGreaterThanOrEqual(Number(cursor));
      cursor = next;
    }
    return seen;
  };
  const pollers = [poller('x-last-modified'), poller('x-weave-timestamp')];
  await Promise.all(Array.from({ length: 8 }, (_, w) => writer(w)));
  isOver = true;
  for (const seen of await Promise.all(pollers)) {
    expect([...seen].toSorted()).toEqual([...written].toSorted());
  }
  expect(new Set(written.values()).size).toBe(1 + 8 * rounds); // no two writes at one time
}, 600_000);

it('a commit of as many records as there may be is seen whole, or not at all', async () => {
  const { storageTotalRecordsMax: max } = server.config.limits;
  const { batch } = (await user.post('/storage/c?batch=true', [])).json();
  const record = (i: number) => ({ id: `r${i}`, payload: `payload ${i}`, sortindex: i });
  for (let i = 0; i < max - 100; i += 100) {
    const body = Array.from({ length: 100 }, (_, k) => record(i + k));
    expect((await user.post(`/storage/c?batch=${batch}`, body)).status).toBe(202);
  }
  const last = Array.from({ length: 100 }, (_, k) => record(max - 100 + k));
  let isOver = false;
  const sizes = new Set<number>();
  const poll = async () => {
    while (!isOver) {
      const counts = (await user.get('/info/collection_counts')).json() as { c?: number };
      sizes.add(counts.c ?? 0);
    }
  };
  const polling = poll();
  const done = await user.post(`/storage/c?batch=${batch}&commit=true`, last);
  isOver = true;
  await polling;
  expect([done.status, done.json().success.length]).toEqual([200, 100]);
  expect([...sizes].filter((size) => size !== 0 && size !== max)).toEqual([]);
  const seen = new Set<string>();
  for (let offset = ''; ;) {
    const page = await user.get(`/storage/c?full=1&limit=1000&sort=index${offset}`);
    for (const { id, payload, modified, sortindex } of page.json()) {
      expect([payload, modified]).toEqual([`payload ${sortindex}`, done.json().modified]);
      seen.add(id);
    }
    const next = page.headers['x-weave-next-offset'];
    if (next === undefined) break;
    offset = `&offset=${String(next)}`;
  }
  expect(seen.size).toBe(max);
  const more = await user.post('/storage/c?batch=true', []);
  const over = await user.post(`/storage/c?batch=${more.json().batch}`, last, {
    'x-weave-total-records': String(max + 1),
  });
  expect([over.status, over.text]).toEqual([400, '17']);
});

/** Bytes in use after a collection of garbage, of ours and of the server, which is in this process. */
function held(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** A reader that asks, waits for the first bytes and takes no more. */
async function slowReader(path: string): Promise<Socket> {
  const { id, key } = await storageCredentials(server, { uid });
  const signed = await signedHeader(id, key, path);
  const { hostname, port } = new URL(server.url);
  const socket = connect(Number(port), hostname);
  socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${signed}\r\n\r\n`);
  const [first] = (await once(socket, 'data')) as [Buffer];
  socket.pause();
  expect(first.toString()).toMatch(/^HTTP\/1.1 200 /);
  return socket;
}

async function signedHeader(id: string, key: string, path: string): Promise<string> {
  const url = server.url + path;
  const ts = server.clock.seconds();
  return signHawk({ id, key: Buffer.from(key), method: 'GET', url, ts, nonce: 'n' });
}

it('a hundred slow readers hold neither memory nor a connection of the database', async () => {
  const count = 6000;
  await server.db.query(
    `INSERT INTO bso SELECT $1, 'c', 'r' || i, i, NULL, repeat('x', 2000), 2000, NULL
       FROM generate_series(1, ${count}) i`,
    [uid],
  );
  await server.db.query(`INSERT INTO user_collection VALUES ($1, 'c', ${count}, $2, false)`, [
    ...[uid, count * 2000],
  ]);
  const path = `/storage/1.5/${uid}/storage/c?full=1&sort=oldest`;
  const before = held();
  const sockets = await Promise.all(Array.from({ length: 100 }, () => slowReader(path)));
  const normal = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const page = await user.get(`/storage/c?full=1&sort=oldest&limit=400&newer=${i}`);
      return [page.headers['x-weave-records'], page.json()[0].id, page.json().length];
    }),
  );
  expect(normal).toEqual(Array.from({ length: 20 }, (_, i) => ['400', `r${i * 100 + 1}`, 400]));
  expect((await user.put('/storage/c/r5999', { payload: 'changed' })).status).toBe(200);
  await until(async () => {
    const [{ busy }] = await server.db.query(
      `SELECT count(*) AS busy FROM pg_stat_activity
        WHERE application_name = current_setting('application_name') AND state LIKE '%transaction%'
          AND datname = current_database() AND query LIKE '%user_collection c ON%'`,
    );
    return busy === 0;
  });
  // Of 12 MB each: 1.2 GB if it were held. What was not collected yet counts, too.
  expect(held() - before).toBeLessThan(400 * 1024 * 1024);

  // Who takes up reading gets the rest as it was, without what was changed.
  const socket = sockets[0] ?? new Socket();
  let text = '';
  socket.setEncoding('latin1').on('data', (part: string) => (text += part));
  socket.resume();
  await until(() => Promise.resolve(text.endsWith('\r\n0\r\n\r\n')).then(tick));
  const ids = new Set(text.match(/"id":"r\d+"/g));
  expect(ids.has('"id":"r6000"')).toBe(true);
  expect(ids.size).toBeGreaterThan(count - 50); // its beginning was read before
  expect(text).not.toContain('changed');
  for (const one of sockets) one.destroy();
});

const tick = async (value: boolean): Promise<boolean> => {
  await new Promise((done) => setImmediate(done));
  return value;
};

describe('a client that stands still', () => {
  let strict: TestServer;
  beforeAll(async () => {
    strict = await TestServer.start({ STORAGE_IDLE_SECONDS: '1' });
  });
  afterAll(() => strict.stop());
  const open = (text: string) => {
    const { hostname, port } = new URL(strict.url);
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined).write(text);
    return socket;
  };
  const connections = () =>
    new Promise<number>((done) => {
      strict.app.getHttpServer().getConnections((_, count) => {
        done(count);
      });
    });

  it('in the middle of what it sends is given up, before it says who it is', async () => {
    const head = `POST /storage/1.5/1/storage/c HTTP/1.1\r\nhost: x\r\ncontent-length: 99999\r\n\r\n[`;
    const socket = open(head).resume();
    await once(socket, 'close');
    expect(await connections()).toBe(0);
  });

  it('in the middle of what it is sent is given up', async () => {
    const { id, key } = await storageCredentials(strict, { uid });
    await strict.db.query(
      `INSERT INTO bso SELECT $1, 'c', 'r' || i, i, NULL, repeat('x', 20000), 20000, NULL
         FROM generate_series(1, 1500) i`,
      [uid],
    );
    await strict.db.query(`INSERT INTO user_collection VALUES ($1, 'c', 1500, 0, false)`, [uid]);
    const path = `/storage/1.5/${uid}/storage/c?full=1`;
    const ts = strict.clock.seconds();
    const request = { id, key: Buffer.from(key), method: 'GET', url: strict.url + path, ts };
    const signed = await signHawk({ ...request, nonce: 'n' });
    const socket = open(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: ${signed}\r\n\r\n`);
    const [first] = (await once(socket, 'data')) as [Buffer];
    socket.pause();
    expect(first.toString('latin1')).toMatch(/^HTTP\/1.1 200 /);
    await until(async () => tick((await connections()) === 0));
    socket.destroy();
  });
});

it('a database without a free connection is 503 with a time to wait, and nothing is written', async () => {
  const holders = Array.from({ length: 10 }, () => server.db.createQueryRunner());
  await Promise.all(holders.map((holder) => holder.connect()));
  const answers = await Promise.all([
    user.put('/storage/c/a', { payload: 'x' }),
    user.get('/storage/c'),
    user.get('/info/collections'),
    user.get('/info/configuration'),
  ]);
  expect(answers.map(({ status }) => status)).toEqual([503, 503, 503, 200]);
  expect([answers[0].text, answers[0].headers['retry-after']]).toEqual(['0', '10']);
  await Promise.all(holders.map((holder) => holder.release()));
  expect((await user.get('/info/collections')).text).toBe('{}');
  expect((await user.put('/storage/c/a', { payload: 'x' })).status).toBe(200);
});
