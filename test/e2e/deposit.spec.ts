import { jest } from '@jest/globals';
import { Failure, InboxRecord } from '#lib/protocol';
import { StorageClientService } from '../../apps/server/src/token/storage-client.service.ts';
import { caller, join, randomId, type TestCaller } from '../support/caller.ts';
import { storageClient } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: TestCaller;
let bob: TestCaller;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  [alice, bob] = [await caller(server), await caller(server)];
});
afterEach(() => {
  jest.restoreAllMocks();
});

const deposit = async (
  from: TestCaller,
  to: { uid: string },
  id: string,
  body: object | string = { payload: 'box' },
  app = from.clientId,
) =>
  server
    .request()
    .put(`/deposit/v1/${to.uid}/${app}/${id}`)
    .set('authorization', await from.authorization('share'))
    .set('content-type', 'application/json')
    .send(body);

/** The storage API as an app of the user's sees it. */
async function storeOf(who: TestCaller) {
  const visit = await server
    .request()
    .get('/token/1.0/sync/1.5')
    .set('authorization', await who.authorization('storage', ['storage']))
    .set('x-keyid', '1790000000-AAAAAAAAAAAAAAAAAAAAAA')
    .expect(200);
  const { id, key, uid } = visit.body as { id: string; key: string; uid: number };
  return storageClient({ url: server.url, id, key, uid, seconds: () => server.clock.seconds() });
}

async function inboxOf(who: TestCaller): Promise<{ id: string; payload: string }[]> {
  const answer = await (await storeOf(who)).get('/storage/inbox?full=1');
  return answer.status === 404 ? [] : (answer.json() as { id: string; payload: string }[]);
}

const rows = async () =>
  (await server.db.query<{ n: number }[]>('SELECT count(*)::int AS n FROM deposit'))[0]?.n;

describe('a deposit', () => {
  it('arrives in the inbox, with the word of the server on who sent it', async () => {
    await join(server, bob);
    const id = randomId();
    const answer = await deposit(alice, bob, id, { payload: '{"ciphertext":"…"}', ttl: 600 });
    expect([answer.status, answer.text]).toEqual([202, '']);
    const [record, ...others] = await inboxOf(bob);
    expect(others).toEqual([]);
    expect(record?.id).toBe(id);
    expect(InboxRecord.parse(JSON.parse(record?.payload ?? ''))).toEqual({
      ...{ v: 1, from: alice.uid, box: '{"ciphertext":"…"}' },
    });
    expect(await inboxOf(alice)).toEqual([]);
    expect(await inboxOf(await caller(server, { uid: bob.uid, clientId: 'other-app' }))).toEqual(
      [],
    );
  });

  it('is found by asking for what is newer', async () => {
    await join(server, bob);
    const store = await storeOf(bob);
    await deposit(alice, bob, randomId());
    const before = (await store.get('/storage/inbox')).headers['x-last-modified'];
    const id = randomId();
    await deposit(alice, bob, id);
    expect((await store.get(`/storage/inbox?newer=${String(before)}`)).json()).toEqual([id]);
  });

  it('goes away unread at its time', async () => {
    await join(server, bob);
    await deposit(alice, bob, randomId(), { payload: 'box', ttl: 60 });
    expect(await inboxOf(bob)).toHaveLength(1);
    server.clock.advance(61);
    expect(await inboxOf(bob)).toEqual([]);
  });

  it('is answered alike whether or not the recipient exists or takes part', async () => {
    await join(server, bob);
    const stranger = await caller(server);
    const elsewhere = await caller(server, { clientId: 'other-app' });
    await join(server, elsewhere);
    for (const to of [bob, stranger, elsewhere, { uid: '00'.repeat(16) }]) {
      const id = randomId();
      const first = await deposit(alice, to, id);
      const again = await deposit(alice, to, id);
      const other = await deposit(alice, to, id, { payload: 'another box' });
      expect([first.status, first.text]).toEqual([202, '']);
      expect([again.status, again.text]).toEqual([202, '']);
      expect([other.status, other.body.type]).toEqual([409, '/problems/conflict']);
    }
    expect(await inboxOf(stranger)).toEqual([]);
    expect(await inboxOf(elsewhere)).toEqual([]);
  });

  it('that is sent again is not written again, not even after it was read and deleted', async () => {
    await join(server, bob);
    const put = jest.spyOn(server.app.get(StorageClientService), 'put');
    const id = randomId();
    await deposit(alice, bob, id);
    await (await storeOf(bob)).delete(`/storage/inbox/${id}`);
    expect((await deposit(alice, bob, id)).status).toBe(202);
    expect(put).toHaveBeenCalledTimes(1);
    expect(await inboxOf(bob)).toEqual([]);
  });

  it('is refused under an id that had another body, time to live or sender', async () => {
    await join(server, bob);
    const carol = await caller(server);
    const id = randomId();
    await deposit(alice, bob, id, { payload: 'box', ttl: 600 });
    expect((await deposit(alice, bob, id, { payload: 'other', ttl: 600 })).status).toBe(409);
    expect((await deposit(alice, bob, id, { payload: 'box', ttl: 601 })).status).toBe(409);
    expect((await deposit(carol, bob, id, { payload: 'box', ttl: 600 })).status).toBe(409);
    const [record] = await inboxOf(bob);
    expect(JSON.parse(record?.payload ?? '')).toMatchObject({ from: alice.uid, box: 'box' });
  });

  it('may use the id of one that has expired', async () => {
    const id = randomId();
    await deposit(alice, bob, id, { payload: 'box', ttl: 60 });
    server.clock.advance(61);
    expect((await deposit(alice, bob, id, { payload: 'other' })).status).toBe(202);
  });

  it('is delivered by the next attempt when the inbox was away', async () => {
    await join(server, bob);
    const storage = server.app.get(StorageClientService);
    jest.spyOn(storage, 'put').mockRejectedValueOnce(new Failure('unavailable', 'Away.'));
    const id = randomId();
    expect((await deposit(alice, bob, id)).status).toBe(503);
    expect(await inboxOf(bob)).toEqual([]);
    expect((await deposit(alice, bob, id)).status).toBe(202);
    expect(await inboxOf(bob)).toHaveLength(1);
  });

  it('is in the inbox once, when the server died before it noted the delivery', async () => {
    await join(server, bob);
    const id = randomId();
    await deposit(alice, bob, id);
    await server.db.query('UPDATE deposit SET delivered_at = NULL');
    expect((await deposit(alice, bob, id)).status).toBe(202);
    expect(await inboxOf(bob)).toHaveLength(1);
  });

  it('is written once by 20 attempts at once', async () => {
    await join(server, bob);
    const id = randomId();
    const before = (await rows()) ?? 0;
    const answers = await Promise.all(Array.from({ length: 20 }, () => deposit(alice, bob, id)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([202]));
    expect(await inboxOf(bob)).toHaveLength(1);
    expect(await rows()).toBe(before + 1);
  });
});

describe('limits', () => {
  it('let 100 wait from one sender to one recipient', async () => {
    const recipient = { uid: 'ab'.repeat(16) };
    const answers = await Promise.all(
      Array.from({ length: 105 }, () => deposit(alice, recipient, randomId())),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(100);
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused).toHaveLength(5);
    expect(refused[0]?.headers['retry-after']).toBe('3600');
    expect((await deposit(bob, recipient, randomId())).status).toBe(202);
    expect((await deposit(alice, bob, randomId())).status).toBe(202);
    server.clock.advance(31 * 86_400);
    expect((await deposit(alice, recipient, randomId())).status).toBe(202);
  });

  it('let 1 MiB wait from one sender to one recipient, in bytes', async () => {
    const recipient = { uid: 'cd'.repeat(16) };
    const payload = 'é'.repeat(30_000); // 60,000 bytes
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => deposit(alice, recipient, randomId(), { payload })),
    );
    expect(answers.filter(({ status }) => status === 202)).toHaveLength(17);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(3);
    const left = 1_048_576 - 17 * 60_000;
    const fit = { payload: 'x'.repeat(left) };
    expect(
      (await deposit(alice, recipient, randomId(), { payload: `${fit.payload}x` })).status,
    ).toBe(429);
    const id = randomId();
    expect((await deposit(alice, recipient, id, fit)).status).toBe(202);
    expect((await deposit(alice, recipient, id, fit)).status).toBe(202);
    expect((await deposit(bob, recipient, randomId(), { payload })).status).toBe(202);
  });

  it('let a body have 64 KiB', async () => {
    await join(server, bob);
    const overhead = JSON.stringify({ payload: '' }).length;
    const largest = { payload: 'x'.repeat(65_536 - overhead) };
    expect((await deposit(alice, bob, randomId(), largest)).status).toBe(202);
    const answer = await deposit(alice, bob, randomId(), { payload: `${largest.payload}x` });
    expect([answer.status, answer.body.type]).toEqual([413, '/problems/too-large']);
    expect((await deposit(alice, bob, randomId(), { payload: 'x'.repeat(200_000) })).status).toBe(
      413,
    );
    expect(await inboxOf(bob)).toHaveLength(1);
  });

  it('clear away what has expired', async () => {
    await deposit(alice, bob, randomId());
    server.clock.advance(31 * 86_400);
    for (let round = 0; (await rows()) !== 1; round++) {
      expect(round).toBeLessThan(100);
      await server.db.query('DELETE FROM deposit WHERE expires_at > $1', [server.clock.now()]);
      await deposit(alice, bob, randomId());
    }
  });
});

describe('refusals', () => {
  it.each<[string, object | string]>([
    ['half of JSON', '{'],
    ['an array', []],
    ['null', 'null'],
    ['no payload', {}],
    ['an empty payload', { payload: '' }],
    ['an object as payload', { payload: {} }],
    ['a short life', { payload: 'x', ttl: 59 }],
    ['a long life', { payload: 'x', ttl: 30 * 86_400 + 1 }],
    ['half a second', { payload: 'x', ttl: 60.5 }],
  ])('of a body with %s', async (_, body) => {
    const before = await rows();
    const answer = await deposit(alice, bob, randomId(), body);
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(await rows()).toBe(before);
  });

  it('of a body that is not JSON', async () => {
    const answer = await server
      .request()
      .put(`/deposit/v1/${bob.uid}/demo-app/${randomId()}`)
      .set('authorization', await alice.authorization('share'))
      .set('content-type', 'text/csv')
      .send('a,b');
    expect(answer.status).toBe(415);
  });

  it('takes odd characters as they are', async () => {
    await join(server, bob);
    const payload = '\u0000 \ud800 "\\ ✓';
    expect((await deposit(alice, bob, randomId(), { payload })).status).toBe(202);
    expect(JSON.parse((await inboxOf(bob))[0]?.payload ?? '')).toMatchObject({ box: payload });
  });

  it('of another app than that of the token', async () => {
    const answer = await deposit(alice, bob, randomId(), { payload: 'x' }, 'other-app');
    expect([answer.status, answer.body.type]).toEqual([403, '/problems/forbidden']);
  });

  it.each([
    ['x', 'demo-app', randomId()],
    ['A'.repeat(32), 'demo-app', randomId()],
    ['0'.repeat(32), 'a%00b', randomId()],
    ['0'.repeat(32), 'a%2Fb', randomId()],
    ['0'.repeat(32), 'demo-app', 'x'],
    ['0'.repeat(32), 'demo-app', `${'A'.repeat(21)}B`],
    ['0'.repeat(32), 'demo-app', '%00'],
  ])('of the malformed path %s/%s/%s', async (uid, app, id) => {
    const answer = await deposit(alice, { uid }, id, { payload: 'x' }, app);
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
  });

  it('of tokens of another audience, without the scope, or none', async () => {
    const send = (authorization: string) =>
      server
        .request()
        .put(`/deposit/v1/${bob.uid}/demo-app/${randomId()}`)
        .set('authorization', authorization)
        .send({ payload: 'x' });
    expect((await send('')).status).toBe(401);
    expect((await send(await alice.authorization('storage', ['share:send']))).status).toBe(401);
    expect((await send(await alice.authorization('share', ['files']))).status).toBe(403);
    expect((await send(await alice.authorization('share', ['share:send']))).status).toBe(202);
  });

  it('of reading, listing and deleting', async () => {
    const path = `/deposit/v1/${bob.uid}/demo-app/${randomId()}`;
    const authorization = await alice.authorization('share');
    for (const method of ['get', 'delete', 'post'] as const) {
      const answer = await server.request()[method](path).set('authorization', authorization);
      expect(answer.status).toBe(404);
    }
  });
});

describe('an inbox', () => {
  it('is read and emptied by its owner, and written by nobody but the server', async () => {
    await join(server, bob);
    const id = randomId();
    await deposit(alice, bob, id);
    const store = await storeOf(bob);
    const forged = { payload: JSON.stringify({ v: 1, from: alice.uid, box: 'forged' }) };
    expect((await store.put(`/storage/inbox/${id}`, forged)).status).toBe(403);
    expect((await store.post('/storage/inbox', [{ id: 'a', ...forged }])).status).toBe(403);
    expect((await store.delete(`/storage/inbox/${id}`)).status).toBe(200);
    expect(await inboxOf(bob)).toEqual([]);
  });
});
