import {
  storageClient,
  type StorageClient,
  storageCredentials,
  storageUser,
} from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const SECRET = 'nobody-else-reads-this';

/** Everything that the database holds for a store. */
const contents = (uid: number): Promise<unknown> =>
  server.db.query(
    `SELECT c.*, b.id, b.modified AS changed, b.payload FROM user_collection c
       LEFT JOIN bso b USING (uid, collection) WHERE c.uid = $1 ORDER BY c.collection, b.id`,
    [uid],
  );

/** Each way to spell a path into a store, from the one that is meant to what a router might fold. */
function spellings(own: number, other: number): string[] {
  const rests = [
    ...['', '/', '/info/collections', '/info/collection_counts', '/info/collection_usage'],
    ...['/info/quota', '/storage', '/storage/c', '/storage/c?full=1', '/storage/c?ids=a'],
    ...['/storage/c/a', '/storage/inbox', '/storage/inbox/a'],
  ];
  const stores = [
    `${other}`,
    `${own}/../${other}`,
    `${own}/%2e%2e/${other}`,
    `${own}%2F..%2F${other}`,
    `${own}/..%2F${other}`,
    `${own}/storage/../../${other}`,
    `/${other}`,
    `%2F${other}`,
    `${other};x`,
    `${own};/../${other}`,
    `${own},${other}`,
    `${own}%00/../${other}`,
    `${other}%20`,
    `0${other}`,
    `+${other}`,
    `${other}.0`,
    `${other}e0`,
    `0x${other.toString(16)}`,
    `%3${String(other).split('').join('%3')}`,
  ];
  const prefixes = ['/storage/1.5/', '/1.5/', '//storage/1.5/', '/storage//1.5/', '/STORAGE/1.5/'];
  return prefixes.flatMap((prefix) =>
    stores.flatMap((store) => rests.map((rest) => `!${prefix}${store}${rest}`)),
  );
}

const METHODS = ['GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'];

const bodies: Partial<Record<string, unknown>> = {
  PUT: { payload: 'intruder' },
  POST: [{ id: 'a', payload: 'intruder' }],
};

async function fill(client: StorageClient): Promise<void> {
  await client.post('/storage/c', [{ id: 'a', payload: SECRET }]);
  await client.post('/storage/inbox', [{ id: 'a', payload: SECRET }]);
}

describe('an app', () => {
  it('cannot list, read, write or delete anything of another store, however it spells the path', async () => {
    const app = await storageUser(server, { access: 'app' });
    const victim = await storageUser(server);
    await fill(victim);
    const before = await contents(victim.uid);
    for (const path of spellings(app.uid, victim.uid)) {
      const answers = await Promise.all(
        METHODS.map((method) => app.request(method, path, { body: bodies[method] })),
      );
      for (const [i, { status, text }] of answers.entries()) {
        expect([METHODS[i], path, status >= 400 && status < 500]).toEqual([METHODS[i], path, true]);
        expect(text).not.toContain(SECRET);
      }
    }
    expect(await contents(victim.uid)).toEqual(before);
    expect(await contents(app.uid)).toEqual([]);
  });

  it('finds only its own when it names others in a query, a body or a header', async () => {
    const app = await storageUser(server, { access: 'app' });
    const victim = await storageUser(server);
    await fill(victim);
    const before = await contents(victim.uid);
    const { uid } = victim;
    const headers = { 'x-original-url': `/storage/1.5/${uid}/storage/c`, host: 'localhost' };
    expect((await app.get(`/storage/c?uid=${uid}&full=1`, headers)).text).toBe('[]');
    const id = `/../../${uid}/storage/c/a`;
    expect((await app.get(`/storage/c/${encodeURIComponent(id)}`)).status).toBe(404);
    expect((await app.put(`/storage/c/${encodeURIComponent(id)}`, {})).status).toBe(200);
    const posted = await app.post('/storage/c', [{ id: 'a', collection: 'd', uid }]);
    expect(posted.json().failed).toEqual({ a: 'unknown field uid' });
    expect((await app.delete(`/storage/c?ids=a&uid=${uid}`)).status).toBe(200);
    expect((await app.delete('')).status).toBe(200);
    expect(await contents(uid)).toEqual(before);
  });

  it('cannot stretch its token to another user', async () => {
    const victim = await storageUser(server);
    await fill(victim);
    const own = await storageCredentials(server, { uid: 17, access: 'app' });
    const claims = Buffer.from(own.id, 'base64url').subarray(0, -32).toString();
    const signature = Buffer.from(own.id, 'base64url').subarray(-32);
    for (const forged of [
      claims.replace('"uid":17', `"uid":${victim.uid}`),
      claims.replace('{', `{"uid":${victim.uid},`),
      claims.replace(',"access":"app"', ''),
    ]) {
      const bytes = Buffer.concat([Buffer.from(forged), signature]).toString('base64url');
      const id = bytes.padEnd(Math.ceil(bytes.length / 4) * 4, '=');
      const client = storageClient({ ...own, id, uid: victim.uid });
      expect((await client.get('/storage/c')).status).toBe(401);
    }
  });
});

describe('the inbox', () => {
  it('is read and emptied by its app, and not filled', async () => {
    const app = await storageUser(server, { access: 'app' });
    const deposit = await storageUser(server, { uid: app.uid, access: 'deposit' });
    const records = [
      { id: 'a', payload: 'one' },
      { id: 'b', payload: 'two' },
    ];
    expect((await deposit.post('/storage/inbox', records)).status).toBe(200);
    expect((await deposit.put('/storage/inbox/c', { payload: 'three' })).status).toBe(200);
    expect((await app.get('/storage/inbox?sort=oldest')).json()).toEqual(['a', 'b', 'c']);
    for (const prefix of [`!/storage/1.5/${app.uid}`, `!/1.5/${app.uid}`]) {
      for (const inbox of ['inbox', '%69nbox', 'inbox/', 'inb%6Fx']) {
        const writes = [
          await app.post(`${prefix}/storage/${inbox}`, records),
          await app.put(`${prefix}/storage/${inbox.replace('/', '')}/a`, { payload: 'forged' }),
          await app.put(`${prefix}/storage/${inbox.replace('/', '')}/a`, { ttl: 0 }),
        ];
        for (const { status, text } of writes) expect([status, text]).toEqual([403, '0']);
      }
    }
    expect((await app.get('/storage/inbox/a')).json().payload).toBe('one');
    expect((await app.delete('/storage/inbox/a')).status).toBe(200);
    expect((await app.delete('/storage/inbox?ids=b')).status).toBe(200);
    expect((await app.get('/storage/inbox')).json()).toEqual(['c']);
    expect((await app.delete('/storage/inbox')).status).toBe(200);
    expect((await app.post('/storage/Inbox', records)).status).toBe(200);
  });

  it('is all that a deposit may touch, and only to write', async () => {
    const app = await storageUser(server, { access: 'app' });
    await app.put('/storage/c/a', { payload: SECRET });
    const before = await contents(app.uid);
    const deposit = await storageUser(server, { uid: app.uid, access: 'deposit' });
    const attempts: [method: string, path: string, body?: unknown][] = [
      ['GET', '/info/collections'],
      ['GET', '/info/collection_counts'],
      ['GET', '/info/collection_usage'],
      ['GET', '/info/quota'],
      ['GET', '/info/configuration'],
      ['GET', '/storage/inbox'],
      ['GET', '/storage/inbox/a'],
      ['GET', '/storage/c'],
      ['GET', '/storage/c/a'],
      ['PUT', '/storage/c/a', { payload: 'x' }],
      ['POST', '/storage/c', [{ id: 'a' }]],
      ['DELETE', '/storage/inbox'],
      ['DELETE', '/storage/inbox/a'],
      ['DELETE', '/storage/c'],
      ['DELETE', '/storage/c/a'],
      ['DELETE', '/storage'],
      ['DELETE', ''],
    ];
    for (const [method, path, body] of attempts) {
      const { status, text } = await deposit.request(method, path, { body });
      expect([method, path, status, text]).toEqual([method, path, 403, '0']);
    }
    expect(await contents(app.uid)).toEqual(before);
  });
});
