import { hkdfSync } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { signHawk } from '#lib/crypto';
import { type Failure, Pulled, StorageToken, type StoreChange, StoreChanged } from '#lib/protocol';
import { NodeWatchService } from '../../apps/server/src/nodes/node-watch.service.ts';
import { NodesService } from '../../apps/server/src/nodes/nodes.service.ts';
import { Config } from '../../apps/server/src/platform/config.ts';
import { GoneStoresService } from '../../apps/server/src/sync/gone-stores.service.ts';
import { StoreHoldsService } from '../../apps/server/src/sync/store-holds.service.ts';
import { MovesService } from '../../apps/server/src/token/moves.service.ts';
import { ReplacedStoresService } from '../../apps/server/src/token/replaced-stores.service.ts';
import { caller, randomId } from '../support/caller.ts';
import { Cluster, type ClusterUser } from '../support/cluster.ts';
import { storageClient } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start();
});
afterAll(() => cluster.stop());

describe('a store that is moved while its client writes', () => {
  it('has every record that was acknowledged, at its time', async () => {
    const user = await cluster.user();
    const acknowledged = new Map<string, number>();
    const statuses = new Map<number, number>();
    let isOver = false;
    const write = async (name: string) => {
      let client = await user.connect();
      for (let i = 0; !isOver; i++) {
        const id = `${name}-${i % 300}`;
        const payload = `${i} ${'x'.repeat(200)}`;
        const answer = await client.put(`/storage/c${i % 3}/${id}`, { payload, sortindex: i });
        statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1);
        if (answer.status === 200)
          acknowledged.set(`c${i % 3}/${id} ${payload}`, Number(answer.text));
        if (answer.status === 401) client = await user.connect();
        if (answer.status === 503) {
          expect(answer.headers['retry-after']).toBe('1');
          i -= 1;
          await pause(20);
        }
      }
    };
    const first = await user.connect();
    const from = cluster.nodes.indexOf(first.node);
    const to = 1 - from;
    const writers = ['a', 'b', 'c'].map(write);
    await pause(500);
    const moved = await cluster.moves.move(first.uid, cluster.names[to]);
    await pause(300);
    isOver = true;
    await Promise.all(writers);

    expect(moved).toMatchObject({ from: cluster.names[from], to: cluster.names[to] });
    const after = await user.connect();
    expect([after.uid, after.node]).toEqual([first.uid, cluster.nodes[to]]);
    const latest = new Map<string, { modified: number; payload: string }>();
    for (const collection of ['c0', 'c1', 'c2']) {
      for (const bso of (await after.get(`/storage/${collection}?full=1`)).json()) {
        latest.set(`${collection}/${bso.id}`, bso);
      }
    }
    // The last acknowledged write to each id is what there is.
    const expected = new Map<string, { modified: number; payload: string }>();
    for (const [text, modified] of acknowledged) {
      const [id = '', ...payload] = text.split(' ');
      const known = expected.get(id);
      if (!known || known.modified < modified) {
        expected.set(id, { modified, payload: payload.join(' ') });
      }
    }
    expect(latest.size).toBe(expected.size);
    for (const [id, { modified, payload }] of expected) {
      expect(latest.get(id)).toMatchObject({ modified, payload });
    }
    expect([...statuses.keys()].sort()).toEqual([200, 401, 503]);
    expect((await first.get('/info/collections')).status).toBe(401);
  });
});

describe('storage nodes', () => {
  it('share the users, and each user keeps his', async () => {
    const users = await Promise.all(Array.from({ length: 24 }, () => cluster.user()));
    const homes = await Promise.all(users.map(async (user) => (await user.token()).api_endpoint));
    const share = (node: TestServer) => homes.filter((home) => home.startsWith(node.url)).length;
    for (const node of cluster.nodes) expect(Math.abs(share(node) - 12)).toBeLessThanOrEqual(1);
    const again = await Promise.all(users.map(async (user) => (await user.token()).api_endpoint));
    expect(again).toEqual(homes);
  });

  it('serve their own users alone, and nothing but storage', async () => {
    const { front } = cluster;
    const [one, other] = cluster.nodes as [TestServer, TestServer];
    const user = await cluster.user();
    const { id, key, uid, api_endpoint } = await user.token();
    const stranger = api_endpoint.startsWith(one.url) ? other : one;
    const seconds = () => front.clock.seconds();
    const asked = storageClient({ url: stranger.url, id, key, uid, seconds });
    expect((await asked.get('/info/collections')).status).toBe(401);
    for (const path of ['/token/1.0/sync/1.5', '/auth/v1/account/create', '/keys/v1/config']) {
      expect([path, (await one.request().get(path)).status]).toEqual([path, 404]);
    }
    expect((await front.request().get('/storage/1.5/1/info/collections')).status).toBe(404);
    expect((await one.request().get('/readyz')).status).toBe(200);
  });

  it('take no tokens that live longer than they remember who left', () => {
    expect(() => Config.from({ STORAGE_TOKEN_SECONDS: '604800' })).toThrow('STORAGE_TOKEN_SECONDS');
  });

  it('need the secret that they share', () => {
    for (const LOCKSTEP_ROLE of ['front', 'storage']) {
      expect(() => Config.from({ LOCKSTEP_ROLE })).toThrow(/SYNC_MASTER_SECRET/);
    }
  });

  it('are known by their names, also at another address', async () => {
    const { nodeTable, names, nodes } = cluster;
    const [name = ''] = names;
    const url = nodes[0]?.url ?? '';
    const health = { name, url, capacity: 100_000 };
    await expect(nodeTable.add({ ...health, name: 'other' }, true)).rejects.toMatchObject({
      code: 'conflict',
    });
    await nodeTable.add({ ...health, url: 'http://localhost:1' }, true);
    expect((await nodeTable.get(name)).url).toBe('http://localhost:1');
    await nodeTable.add(health, true);
    const twins = ['twin-a', 'twin-b'].map((twin) =>
      nodeTable.add({ name: twin, url: 'http://localhost:3', capacity: 1 }, false),
    );
    const settled = await Promise.allSettled(twins);
    const refused = settled.filter((one) => one.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as Failure).code)).toEqual(['conflict']);
    const twin = await nodeTable.get('http://localhost:3');
    await nodeTable.remove(twin.name, false);
    await expect(
      nodeTable.add({ ...health, name: 'local', url: 'http://localhost:2' }, true),
    ).rejects.toMatchObject({ code: 'conflict' });
  });

  it('get nobody new when downed or in backoff, and go on serving', async () => {
    const { nodeTable, names, front } = cluster;
    const user = await cluster.user();
    const { node } = await user.connect();
    const name = names[cluster.nodes.indexOf(node)] ?? '';
    const homesOfNewUsers = async () => {
      const users = await Promise.all(Array.from({ length: 6 }, () => cluster.user()));
      return Promise.all(users.map(async (one) => (await one.connect()).node));
    };
    await nodeTable.set(name, { downed: true });
    expect(await homesOfNewUsers()).not.toContain(node);
    expect((await user.connect()).node).toBe(node);
    await nodeTable.set(name, {
      ...{ downed: false },
      backoffUntil: new Date(front.clock.now().getTime() + 500_000),
    });
    expect(await homesOfNewUsers()).not.toContain(node);
    const backoff = Number((await user.visit()).headers['x-backoff']);
    expect(backoff).toBeGreaterThan(400);
    expect(backoff).toBeLessThanOrEqual(500);
    await nodeTable.set(name, { backoffUntil: null });
    expect((await user.visit()).headers['x-backoff']).toBeUndefined();
  });

  it('are removed when they are empty, or with what they have', async () => {
    const own = await Cluster.start(2);
    try {
      const user = await own.user();
      const first = await user.connect();
      await first.put('/storage/c/a', { payload: 'x' });
      const name = own.names[own.nodes.indexOf(first.node)] ?? '';
      await expect(own.nodeTable.remove(name, false)).rejects.toMatchObject({ code: 'conflict' });
      await expect(own.nodeTable.remove('nobody', false)).rejects.toMatchObject({
        code: 'not-found',
      });
      await own.nodeTable.remove(name, true);
      // The same key, which is no old one, and an empty store.
      const second = await user.connect();
      expect(second.node).not.toBe(first.node);
      expect(second.uid).not.toBe(first.uid);
      expect((await second.get('/info/collections')).json()).toEqual({});
      expect((await user.connect()).uid).toBe(second.uid);
    } finally {
      await own.stop();
    }
  });

  it('are full at their capacity', async () => {
    const own = await Cluster.start(2, { node: { NODE_CAPACITY: '2' } });
    try {
      const users = await Promise.all(Array.from({ length: 5 }, () => own.user()));
      const answers = await Promise.all(users.map((user) => user.visit()));
      expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 200, 200, 503]);
      const refused = answers.find(({ status }) => status === 503);
      expect(refused?.body).toMatchObject({
        status: 'internal-error',
        errors: [{ description: 'No storage node has room.' }],
      });
      expect(refused?.headers['retry-after']).toBe('600');
      expect((await own.nodeTable.list()).map((node) => node.currentLoad)).toEqual([2, 2]);
    } finally {
      await own.stop();
    }
  });

  it('get nobody new while they are away', async () => {
    const own = await Cluster.start(2);
    try {
      const [gone, stays] = own.nodes as [TestServer, TestServer];
      const settled = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const user = await own.user();
          return { user, home: (await user.connect()).node };
        }),
      );
      await gone.app.close();
      for (const one of [own.front, stays]) one.clock.advance(61);
      await own.front.app.get(NodeWatchService).check();
      for (let i = 0; i < 4; i++) {
        expect((await (await own.user()).connect()).node).toBe(stays);
      }
      for (const { user, home } of settled) expect((await user.connect()).node).toBe(home);
    } finally {
      await own.stop();
    }
  });
});

describe('a key that took the place of another', () => {
  it('has the old records deleted on their node', async () => {
    const user = await cluster.user();
    const old = await user.connect();
    await old.put('/storage/c/a', { payload: 'x' });
    await old.post('/storage/c?batch=true', [{ id: 'b', payload: 'y' }]);
    const load = async () =>
      (await cluster.nodeTable.list()).reduce((sum, node) => sum + node.currentLoad, 0);
    const before = await load();
    user.keyId = `20-${randomId()}`;
    const next = await user.connect();
    expect(next.uid).not.toBe(old.uid);
    expect(next.node).toBe(old.node);
    await cluster.front.app.get(ReplacedStoresService).settled();
    await old.node.app.get(GoneStoresService).settled();
    expect((await old.get('/storage/c')).status).toBe(401);
    expect((await old.put('/storage/c/b', { payload: 'x' })).status).toBe(401);
    for (const table of ['bso', 'user_collection', 'batch']) {
      const rows = await old.node.db.query(`SELECT FROM ${table} WHERE uid = $1`, [old.uid]);
      expect([table, rows]).toEqual([table, []]);
    }
    expect(await load()).toBe(before);
    expect((await next.put('/storage/c/a', { payload: 'z' })).status).toBe(200);
  });

  it('gives its place back once, also when two processes tell the node', async () => {
    const user = await cluster.user();
    const old = await user.connect();
    user.keyId = `20-${randomId()}`;
    await user.connect();
    const replaced = cluster.front.app.get(ReplacedStoresService);
    await replaced.settled();
    const name = cluster.names[cluster.nodes.indexOf(old.node)];
    const load = async () => (await cluster.nodeTable.get(name ?? '')).currentLoad;
    const before = await load();
    // What the other process had read before this one was done.
    await (replaced as unknown as { tell(uid: number, node?: string): Promise<void> }).tell(
      old.uid,
      name,
    );
    expect(await load()).toBe(before);
  });
});

describe('a request between nodes', () => {
  const SECRET = 'a secret that the front and its nodes share';
  const uid = 987_654_321;
  const sign = (
    url: string,
    method: string,
    {
      body = '',
      secret = SECRET,
      id = 'node',
      signed,
      ts = cluster.front.clock.seconds(),
    }: { body?: string; secret?: string; id?: string; signed?: string; ts?: number } = {},
  ) =>
    signHawk({
      ...{ id, method, url, ts, nonce: randomId() },
      key: Buffer.from(hkdfSync('sha256', secret, '', 'lockstep/node/v1', 32)),
      payload: {
        contentType: body === '' ? '' : 'application/json',
        body: Buffer.from(signed ?? body),
      },
    });
  const nodeUrl = () => cluster.nodes[0]?.url ?? '';
  const send = async (method: string, path: string, authorization: string, body = '') => {
    const response = await fetch(nodeUrl() + path, {
      method,
      headers: {
        ...(authorization !== '' && { authorization }),
        ...(body !== '' && { 'content-type': 'application/json' }),
      },
      ...(body !== '' && { body }),
    });
    const type = response.headers.get('content-type');
    return { status: response.status, type, body: (await response.json()) as { type?: string } };
  };
  const expectRefused = async (attempt: ReturnType<typeof send>, code: string, status = 401) => {
    const answer = await attempt;
    expect([answer.status, answer.body.type]).toEqual([status, `/problems/${code}`]);
    expect(answer.type).toMatch(/^application\/problem\+json/);
  };
  const health = '/node/v1/health';

  it('is answered when it is signed with their key', async () => {
    const { status, body } = await send('GET', health, await sign(nodeUrl() + health, 'GET'));
    expect([status, body]).toEqual([
      200,
      { name: cluster.names[0], url: nodeUrl(), capacity: 100_000 },
    ]);
    const path = '/node/v1/capacity';
    const capacity = await send('GET', path, await sign(nodeUrl() + path, 'GET'));
    expect(capacity.body).toMatchObject({ capacity: 100_000, stores: expect.any(Number) });
  });

  it('is refused when it is forged', async () => {
    const path = `/node/v1/stores/${uid}`;
    const body = '{"state":"gone"}';
    const url = nodeUrl() + path;
    const forged = [
      '',
      'Bearer abc',
      await sign(url, 'PUT', { body, secret: 'another secret, of another installation' }),
      await sign(url, 'PUT', { body, id: 'user' }),
      await sign(url, 'PUT', { body, signed: '{"state":"incoming"}' }),
      await sign(url, 'GET', { body }),
      await sign(`${url}1`, 'PUT', { body }),
      await sign((cluster.nodes[1]?.url ?? '') + path, 'PUT', { body }),
      (await sign(url, 'PUT', { body })).replace(/hash="[^"]*", /, ''),
    ];
    for (const authorization of forged) {
      await expectRefused(send('PUT', path, authorization, body), 'unauthenticated');
    }
    const rows = await cluster.nodes[0]?.db.query(`SELECT FROM storage_hold WHERE uid = $1`, [uid]);
    expect(rows).toEqual([]);
  });

  it('is refused when it was made before, or long ago, or in the future', async () => {
    const authorization = await sign(nodeUrl() + health, 'GET');
    expect((await send('GET', health, authorization)).status).toBe(200);
    await expectRefused(send('GET', health, authorization), 'replayed');
    // The same MAC in another spelling of base64.
    const respelled = authorization.replace(/mac="([^"]*)="/, 'mac="$1"');
    expect(respelled).not.toBe(authorization);
    await expectRefused(send('GET', health, respelled), 'replayed');
    const now = cluster.front.clock.seconds();
    for (const ts of [now - 62, now + 62]) {
      const late = await sign(nodeUrl() + health, 'GET', { ts });
      await expectRefused(send('GET', health, late), 'clock-skew');
    }
  });

  it.each([
    ['PUT', '', '{"state":"elsewhere"}'],
    ['PUT', '', '{"state":"frozen"}'],
    ['PUT', '', '{"state":"frozen","seconds":301}'],
    ['PUT', '', '{'],
    ['POST', '/manifest', '{}'],
    ['POST', '/records', '{"collection":"c","ids":"a"}'],
    ['POST', '/digest', '{"collection":"c"}'],
    ['POST', '/pull', '{"from":"file:///etc/passwd"}'],
  ])('is refused when it makes no sense: %s %s %s', async (method, name, body) => {
    const path = `/node/v1/stores/${uid}${name}`;
    const authorization = await sign(nodeUrl() + path, method, { body });
    await expectRefused(send(method, path, authorization, body), 'malformed', 400);
  });

  it('is refused for what is no store', async () => {
    for (const odd of ['0', '-1', 'x', '1.5', '99999999999999999999']) {
      const path = `/node/v1/stores/${odd}`;
      const authorization = await sign(nodeUrl() + path, 'GET');
      await expectRefused(send('GET', path, authorization), 'malformed', 400);
    }
  });
});

describe('the state of a store', () => {
  const change = (node: TestServer, uid: number, body: StoreChange) =>
    cluster.client.call(node.url, ['PUT', `/stores/${uid}`], StoreChanged, { body });
  const frozen = { state: 'frozen', seconds: 60 } as const;
  const conflict = { code: 'conflict' };

  it('frozen allows reading, until it ends', async () => {
    const client = await (await cluster.user()).connect();
    await client.put('/storage/c/a', { payload: 'x' });
    await change(client.node, client.uid, frozen);
    const writes = [
      await client.put('/storage/c/a', { payload: 'y' }),
      await client.put('/storage/new/a', { payload: 'y' }),
      await client.post('/storage/c?batch=true', []),
      await client.delete('/storage/c/a'),
      await client.delete('/storage'),
    ];
    for (const { status, headers } of writes) {
      expect([status, headers['retry-after']]).toEqual([503, '1']);
    }
    expect((await client.get('/storage/c?full=1')).json()).toMatchObject([{ payload: 'x' }]);
    await change(client.node, client.uid, { state: 'open' });
    expect((await client.put('/storage/new/a', { payload: 'y' })).status).toBe(200);
    await change(client.node, client.uid, { state: 'frozen', seconds: 1 });
    await until(async () => (await client.put('/storage/c/a', { payload: 'z' })).status === 200);
    await expect(change(client.node, client.uid, { state: 'released' })).rejects.toMatchObject(
      conflict,
    );
    expect((await client.put('/storage/newer/a', { payload: 'z' })).status).toBe(200);
    await change(client.node, client.uid, { state: 'open' });
  });

  it('is known from the first change that a node ever had', async () => {
    const fresh = await Cluster.start(1);
    try {
      const client = await (await fresh.user()).connect();
      await client.put('/storage/c/a', { payload: 'x' });
      await change(client.node, client.uid, { state: 'gone' });
      expect((await client.get('/info/collections')).status).toBe(401);
      // Another process may not know it yet: it shows all of the store, and not a part of it.
      const rows = await client.node.db.query(`SELECT FROM bso WHERE uid = $1`, [client.uid]);
      expect(rows).toHaveLength(1);
      await client.node.app.get(GoneStoresService).settled();
      const left = await client.node.db.query(`SELECT FROM bso WHERE uid = $1`, [client.uid]);
      expect(left).toEqual([]);
    } finally {
      await fresh.stop();
    }
  });

  it('holds in a process that has not heard of it', async () => {
    const client = await (await cluster.user()).connect();
    await client.put('/storage/c/a', { payload: 'x' });
    await change(client.node, client.uid, frozen);
    const forget = () => {
      Object.assign(client.node.app.get(StoreHoldsService), { holds: new Map() });
    };
    forget();
    const writes = [
      await client.put('/storage/c/a', { payload: 'y' }),
      await client.put('/storage/new/a', { payload: 'y' }),
      await client.delete('/storage/c/a'),
      await client.delete('/storage/c'),
      await client.delete('/storage'),
    ];
    expect(writes.map(({ status }) => status)).toEqual([503, 503, 503, 503, 503]);
    expect((await client.get('/storage/c?full=1')).json()).toMatchObject([{ payload: 'x' }]);
    await change(client.node, client.uid, { state: 'released' });
    forget();
    // Nobody is promised a time that the next node could not keep.
    expect((await client.get('/storage/c')).status).toBe(503);
    await change(client.node, client.uid, { state: 'gone' });
  });

  it('changes in one direction', async () => {
    const client = await (await cluster.user()).connect();
    const { node, uid } = client;
    await client.put('/storage/c/a', { payload: 'x' });
    // What lives here is not copied over.
    await expect(change(node, uid, { state: 'incoming' })).rejects.toMatchObject(conflict);
    await expect(change(node, uid, { state: 'released' })).rejects.toMatchObject(conflict);
    await change(node, uid, frozen);
    await change(node, uid, frozen);
    await expect(change(node, uid, { state: 'incoming' })).rejects.toMatchObject(conflict);
    await change(node, uid, { state: 'released' });
    await change(node, uid, { state: 'released' });
    expect((await client.get('/info/collections')).status).toBe(503);
    await expect(change(node, uid, { state: 'open' })).rejects.toMatchObject(conflict);
    await expect(change(node, uid, frozen)).rejects.toMatchObject(conflict);
    await change(node, uid, { state: 'gone' });
    await expect(change(node, uid, { state: 'open' })).rejects.toMatchObject(conflict);
    await change(node, uid, { state: 'incoming' });
    expect((await client.get('/info/collections')).status).toBe(503);
    await change(node, uid, { state: 'open' });
  });

  it('changes while what is left of the store is being deleted', async () => {
    const client = await (await cluster.user()).connect();
    const { node, uid } = client;
    await client.put('/storage/c/a', { payload: 'x' });
    await change(node, uid, frozen);
    // As the deletion of a store that is gone takes them: first the state, then the collections.
    const purge = node.db.createQueryRunner();
    await purge.startTransaction();
    await purge.query(`SELECT FROM storage_hold WHERE uid = $1 FOR UPDATE`, [uid]);
    const changed = change(node, uid, { state: 'gone' });
    await until(async () => {
      const [{ waits }] = await node.db.query(
        `SELECT count(*) AS waits FROM pg_stat_activity
          WHERE wait_event_type = 'Lock' AND query LIKE '%storage_hold_change%'`,
      );
      return waits > 0;
    });
    await purge.query(`UPDATE user_collection SET bytes = 0 WHERE uid = $1`, [uid]);
    await purge.commitTransaction();
    await purge.release();
    expect((await changed).state).toBe('gone');
  });

  it('is open not before a time that was promised elsewhere', async () => {
    const [node] = cluster.nodes as [TestServer];
    const uid = 88_000_001;
    const { at } = await change(node, uid, { state: 'incoming' });
    const opened = await change(node, uid, { state: 'open', after: at + 50 });
    expect(opened.at).toBeGreaterThan(at + 50);
    await change(node, uid, { state: 'incoming' });
    const far = { state: 'open', after: at + 100_000 } as const;
    await expect(change(node, uid, far)).rejects.toMatchObject(conflict);
  });

  it('lets nobody copy a store over one that lives here', async () => {
    const client = await (await cluster.user()).connect();
    await client.put('/storage/c/a', { payload: 'x' });
    const other = cluster.nodes.find((node) => node !== client.node) as TestServer;
    await change(other, client.uid, { state: 'incoming' });
    const path = `/stores/${client.uid}/pull`;
    const pull = (node: TestServer, from: TestServer) =>
      cluster.client.call(node.url, ['POST', path], Pulled, { body: { from: from.url } });
    await pull(other, client.node);
    await other.db.query(`UPDATE bso SET modified = modified + 1 WHERE uid = $1`, [client.uid]);
    await other.db.query(`UPDATE user_collection SET bytes = 99, deleted = true WHERE uid = $1`, [
      client.uid,
    ]);
    await expect(pull(client.node, other)).rejects.toMatchObject(conflict);
    expect((await client.get('/storage/c?full=1')).json()).toMatchObject([{ payload: 'x' }]);
    await change(other, client.uid, { state: 'gone' });
  });
});

describe('a move', () => {
  const others = (node: TestServer) => 1 - cluster.nodes.indexOf(node);
  const everything = async (client: Awaited<ReturnType<ClusterUser['connect']>>) => {
    const times = (await client.get('/info/collections')).text;
    const names = Object.keys(JSON.parse(times) as object).sort();
    const lists = await Promise.all(
      names.map(async (name) => (await client.get(`/storage/${name}?full=1&sort=oldest`)).text),
    );
    const usage = (await client.get('/info/collection_usage')).json();
    return { times: JSON.parse(times), lists, usage };
  };

  it('takes a large store, and one with lifetimes and odd characters, as it is', async () => {
    const user = await cluster.user();
    const client = await user.connect();
    await client.put('/storage/large/first', { payload: 'x' });
    await client.put('/storage/odd/{a}', { payload: '"\\ü\u2028', sortindex: -5 });
    await client.put('/storage/odd/ttl', { payload: 'for a day', ttl: 86_400 });
    await client.put('/storage/odd/over', { payload: 'for no time', ttl: 0 });
    await client.put('/storage/big/a', { payload: 'x'.repeat(2_000_000) });
    await client.put('/storage/big/b', { payload: 'y'.repeat(1_000_000) });
    await client.put('/storage/empty/a', { payload: 'x' });
    await client.delete('/storage/empty/a');
    await client.put('/storage/deleted/a', { payload: 'x' });
    await client.delete('/storage/deleted');
    await client.node.db.query(
      `INSERT INTO bso (uid, collection, id, modified, sortindex, payload, bytes)
       SELECT $1, 'large', 'id' || n, c.modified - n, n, 'payload ' || n, length('payload ' || n)
         FROM generate_series(1, 12000) n, user_collection c
        WHERE c.uid = $1 AND c.collection = 'large'`,
      [client.uid],
    );
    await client.node.db.query(
      `UPDATE user_collection c SET bytes = (SELECT sum(b.bytes) FROM bso b
         WHERE b.uid = c.uid AND b.collection = c.collection)
        WHERE uid = $1 AND collection = 'large'`,
      [client.uid],
    );
    const before = await everything(client);
    const bytes = (node: TestServer) =>
      node.db.query(
        `SELECT collection, modified, deleted, bytes FROM user_collection
          WHERE uid = $1 AND collection <> 'odd' ORDER BY collection`,
        [client.uid],
      );
    const counted = await bytes(client.node);
    const to = others(client.node);
    const moved = await cluster.moves.move(client.uid, cluster.names[to]);
    expect(moved.records).toBe(12_000 + 5);
    const after = await user.connect();
    expect(after.node).toBe(cluster.nodes[to]);
    expect(await everything(after)).toEqual(before);
    expect(await bytes(after.node)).toEqual(counted);
    // A collection that was deleted does not begin in the past.
    const again = await after.put('/storage/deleted/a', { payload: 'x' });
    const deleted = counted.find((row: { collection: string }) => row.collection === 'deleted');
    expect(Number(again.text) * 100).toBeGreaterThan(deleted.modified);
  });

  it('takes what was changed, removed or prolonged while it copied', async () => {
    const user = await cluster.user();
    const client = await user.connect();
    const { uid, node } = client;
    for (const id of ['changed', 'removed', 'prolonged', 'same']) {
      await client.put(`/storage/c/${id}`, { payload: id, ttl: 86_400 });
    }
    await client.put('/storage/d/a', { payload: 'x' });
    const to = cluster.nodes[others(node)] as TestServer;
    const change = (body: StoreChange) =>
      cluster.client.call(to.url, ['PUT', `/stores/${uid}`], StoreChanged, { body });
    await change({ state: 'incoming' });
    const pull = () =>
      cluster.client.call(to.url, ['POST', `/stores/${uid}/pull`], Pulled, {
        body: { from: node.url },
      });
    expect(await pull()).toEqual({ changed: 5, isDone: true });
    expect(await pull()).toEqual({ changed: 0, isDone: true });
    await client.put('/storage/c/changed', { payload: 'other' });
    await client.delete('/storage/c/removed');
    await client.put('/storage/c/prolonged', { ttl: 2 * 86_400 });
    await client.put('/storage/e/new', { payload: 'new' });
    await client.delete('/storage/d');
    expect(await pull()).toEqual({ changed: 5, isDone: true });
    const before = await everything(client);
    await cluster.moves.move(uid, cluster.names[others(node)]);
    const after = await user.connect();
    expect(await everything(after)).toEqual(before);
    const ttl = (one: TestServer) =>
      one.db.query(`SELECT expires FROM bso WHERE uid = $1 AND id = 'prolonged'`, [uid]);
    expect((await ttl(to))[0].expires).toBeGreaterThan(
      (cluster.front.clock.seconds() + 86_400) * 100 + 1000,
    );
  });

  it('can go there and back', async () => {
    const user = await cluster.user();
    const first = await user.connect();
    await first.put('/storage/c/a', { payload: 'x' });
    const there = cluster.names[others(first.node)] ?? '';
    await cluster.moves.move(first.uid, there);
    const second = await user.connect();
    await second.put('/storage/c/b', { payload: 'y' });
    await second.delete('/storage/c/a');
    await cluster.moves.move(first.uid, cluster.names[cluster.nodes.indexOf(first.node)]);
    const third = await user.connect();
    expect(third.node).toBe(first.node);
    expect((await third.get('/storage/c')).json()).toEqual(['b']);
    expect((await first.get('/storage/c')).json()).toEqual(['b']);
    await first.node.app.get(GoneStoresService).settled();
    await second.node.app.get(GoneStoresService).settled();
    expect((await third.get('/storage/c')).json()).toEqual(['b']);
    expect((await second.get('/storage/c')).status).toBe(401);
  });

  it.each(['copying', 'releasing'])('that was broken off while %s is finished', async (state) => {
    const user = await cluster.user();
    const client = await user.connect();
    await client.put('/storage/c/a', { payload: 'x' });
    const { uid, node } = client;
    const target = cluster.nodes[others(node)] as TestServer;
    const change = (at: TestServer, body: StoreChange) =>
      cluster.client.call(at.url, ['PUT', `/stores/${uid}`], StoreChanged, { body });
    await change(target, { state: 'incoming' });
    await cluster.client.call(target.url, ['POST', `/stores/${uid}/pull`], Pulled, {
      body: { from: node.url },
    });
    await change(node, { state: 'frozen', seconds: 60 });
    if (state === 'releasing') await change(node, { state: 'released' });
    await cluster.front.db.query(`INSERT INTO store_move VALUES ($1, $2, $3, $4, now())`, [
      ...[uid, cluster.names[cluster.nodes.indexOf(node)]],
      ...[cluster.names[others(node)], state],
    ]);
    await cluster.moves.finishAll();
    expect(await cluster.front.db.query(`SELECT FROM store_move`)).toEqual([]);
    const after = await user.connect();
    expect(after.node).toBe(target);
    expect((await after.put('/storage/c/b', { payload: 'y' })).status).toBe(200);
    expect((await after.get('/storage/c?sort=oldest')).json()).toEqual(['a', 'b']);
    expect((await client.get('/storage/c')).status).toBe(401);
  });

  it('is not released when the freeze had an end before', async () => {
    const user = await cluster.user();
    const client = await user.connect();
    await client.put('/storage/c/a', { payload: 'x' });
    const [from, to] = [cluster.nodes.indexOf(client.node), others(client.node)];
    await cluster.front.db.query(`INSERT INTO store_move VALUES ($1, $2, $3, 'releasing', now())`, [
      ...[client.uid, cluster.names[from], cluster.names[to]],
    ]);
    // A copy that nobody froze the store for.
    await expect(cluster.moves.move(client.uid)).rejects.toMatchObject({ code: 'conflict' });
    await client.put('/storage/c/b', { payload: 'y' });
    await cluster.moves.finishAll();
    const after = await user.connect();
    expect(after.node).toBe(cluster.nodes[to]);
    expect((await after.get('/storage/c?sort=oldest')).json()).toEqual(['a', 'b']);
  });

  it('is refused to where nobody is, and of what is not there', async () => {
    const client = await (await cluster.user()).connect();
    const own = cluster.names[cluster.nodes.indexOf(client.node)];
    const other = cluster.names[others(client.node)] ?? '';
    const move = (uid: number, to?: string) => cluster.moves.move(uid, to);
    await expect(move(client.uid, own)).rejects.toMatchObject({ code: 'conflict' });
    await expect(move(client.uid, 'nobody')).rejects.toMatchObject({ code: 'not-found' });
    await expect(move(77_777_777)).rejects.toMatchObject({ code: 'not-found' });
    await cluster.nodeTable.set(other, { downed: true });
    await expect(move(client.uid, other)).rejects.toMatchObject({ code: 'conflict' });
    await cluster.nodeTable.set(other, { downed: false });
    expect(await cluster.front.db.query(`SELECT FROM store_move`)).toEqual([]);
    // Without a name it goes anywhere else, however empty it is here.
    expect(await move(client.uid)).toMatchObject({ from: own, to: other });
    const twice = await Promise.allSettled([move(client.uid, own), move(client.uid, own)]);
    expect(twice.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('never ends with the loss of a store that is in use where it was to go', async () => {
    const client = await (await cluster.user()).connect();
    await client.put('/storage/c/a', { payload: 'x' });
    const here = cluster.nodes.indexOf(client.node);
    await cluster.front.db.query(
      `INSERT INTO store_move (uid, from_node, to_node, state, created_at)
       VALUES ($1, $2, $3, 'copying', now())`,
      [client.uid, cluster.names[1 - here], cluster.names[here]],
    );
    await expect(cluster.moves.move(client.uid)).rejects.toMatchObject({ code: 'conflict' });
    expect((await client.get('/storage/c')).text).toBe('["a"]');
    await cluster.front.db.query(`DELETE FROM store_move WHERE uid = $1`, [client.uid]);
  });

  it('ends without a copy when the store was replaced', async () => {
    const user = await cluster.user();
    const client = await user.connect();
    const [from, to] = [cluster.nodes.indexOf(client.node), others(client.node)];
    await cluster.front.db.query(`INSERT INTO store_move VALUES ($1, $2, $3, 'copying', now())`, [
      ...[client.uid, cluster.names[from], cluster.names[to]],
    ]);
    user.keyId = `20-${randomId()}`;
    const next = await user.connect();
    await cluster.moves.finishAll();
    expect(await cluster.front.db.query(`SELECT FROM store_move`)).toEqual([]);
    expect((await next.put('/storage/c/a', { payload: 'x' })).status).toBe(200);
    cluster.front.app.get(ReplacedStoresService).hurry();
    await cluster.front.app.get(ReplacedStoresService).settled();
    expect((await client.get('/info/collections')).status).toBe(401);
  });
});

describe('a server with its own storage', () => {
  it('can be emptied onto a node', async () => {
    const SYNC_MASTER_SECRET = 'a secret that the front and its nodes share';
    const server = await TestServer.start({ SYNC_MASTER_SECRET });
    const node = await Cluster.startNode(server.url);
    try {
      const nodeTable = server.app.get(NodesService);
      expect((await nodeTable.list()).map(({ name }) => name)).toEqual(['local']);
      const who = await caller(server);
      const visit = async () =>
        StorageToken.parse(
          (
            await server
              .request()
              .get('/token/1.0/sync/1.5')
              .set('authorization', await who.authorization('storage', ['storage']))
              .set('x-keyid', '1-qqo')
          ).body,
        );
      const clientOf = ({ id, key, uid, api_endpoint }: StorageToken) =>
        storageClient({
          ...{ url: new URL(api_endpoint).origin, id, key, uid },
          seconds: () => server.clock.seconds(),
        });
      const before = await visit();
      expect(before.api_endpoint).toContain(server.url);
      await clientOf(before).put('/storage/c/a', { payload: 'x' });
      const { name } = await Cluster.join(server, node);
      await nodeTable.set('local', { draining: true });
      const moves = server.app.get(MovesService);
      expect(await moves.storesOn('local')).toEqual([before.uid]);
      expect(await moves.move(before.uid)).toMatchObject({ from: 'local', to: name, records: 1 });
      const after = await visit();
      expect(after.api_endpoint).toContain(node.url);
      expect((await clientOf(after).get('/storage/c')).json()).toEqual(['a']);
      expect((await clientOf(before).get('/storage/c')).status).toBe(401);
      expect((await nodeTable.list()).map((one) => one.currentLoad)).toEqual([0, 1]);
      await nodeTable.remove('local', false);
    } finally {
      await server.stop();
      await node.stop();
    }
  });
});
