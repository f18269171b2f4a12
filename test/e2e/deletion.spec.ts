import { rm } from 'node:fs/promises';
import { join as joinPath } from 'node:path';
import { audiences } from '#lib/protocol';
import { DeletionsService } from '../../apps/server/src/deletion/deletions.service.ts';
import { GoneStoresService } from '../../apps/server/src/sync/gone-stores.service.ts';
import { credentials, post } from '../support/account-api.ts';
import { mails, signUp, tokenFor } from '../support/account.ts';
import { caller, join, randomId, type TestCaller } from '../support/caller.ts';
import { Cluster, ClusterUser } from '../support/cluster.ts';
import { at, filesApi, NEW } from '../support/files.ts';
import { stretch } from '../support/passwords.ts';
import type { TestServer } from '../support/test-server.ts';

let cluster: Cluster;
beforeAll(async () => {
  cluster = await Cluster.start(2);
});
afterAll(() => cluster.stop());

const files = filesApi(() => cluster.front);
const deletions = () => cluster.front.app.get(DeletionsService);

/** Deletes the account as `account/destroy` does, and lets the server go on. */
const destroy = async ({ uid }: { uid: string }) => {
  await cluster.front.db.transaction(async (tx) => {
    await tx.query(`DELETE FROM account WHERE uid = $1`, [uid]);
    await deletions().enqueue(tx, uid);
  });
  await goOn();
};

const goOn = async () => {
  deletions().hurry();
  await deletions().settled();
};

const upload = async (who: TestCaller, bytes: string) => {
  const id = randomId();
  const answer = await files.put(who, at(who, id), Buffer.from(bytes), {
    ...NEW,
    'x-version-id': randomId(),
  });
  return { id, status: answer.status, text: answer.text };
};

/** Somebody with a record in a store of each of two apps, on different nodes. */
const somebody = async () => {
  const one = await cluster.user();
  const other = new ClusterUser(
    cluster,
    await caller(cluster.front, { uid: one.who.uid, clientId: 'notes' }),
    `10-${randomId()}`,
  );
  const stores = [await one.connect(), await other.connect()] as const;
  if (stores[0].node === stores[1].node) {
    const free = cluster.names[1 - cluster.nodes.indexOf(stores[1].node)];
    await cluster.moves.move(stores[1].uid, free);
  }
  const connected = [await one.connect(), await other.connect()] as const;
  for (const store of connected) {
    const { status } = await store.put('/storage/notes/a', { payload: 'secret' });
    expect(status).toBe(200);
  }
  return { who: one.who, uid: one.who.uid, one, other, stores: connected };
};

/** What a node still has in all. */
const recordsOf = async (node: TestServer, uid: number) => {
  await node.app.get(GoneStoresService).settled();
  return (await node.db.query<unknown[]>(`SELECT FROM bso WHERE uid = $1`, [uid])).length;
};

/** The node's process is there, and nobody reaches it. */
const goAway = async (node: TestServer) => {
  const http = node.app.getHttpServer();
  await new Promise((closed) => {
    http.close(closed);
    http.closeAllConnections();
  });
  return () =>
    new Promise<void>((back) => {
      http.listen(node.config.port, node.config.host, back);
    });
};

/** Every table of the front that names the account. */
const traces = async (uid: string) => {
  const { front } = cluster;
  const tables = await front.db.query<{ name: string }[]>(
    `SELECT table_name AS name FROM information_schema.tables
      WHERE table_schema = current_schema() AND table_type = 'BASE TABLE'`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const rows = await front.db.query<unknown[]>(
      `SELECT FROM "${name}" t WHERE t::text LIKE '%' || $1 || '%' LIMIT 1`,
      [uid],
    );
    if (rows.length > 0) found.push(name);
  }
  return found;
};

it('erases stores on every node, files and their blobs, keys, deposits and tokens', async () => {
  const { who, uid, stores } = await somebody();
  const friend = await caller(cluster.front);
  await join(cluster.front, who);
  await join(cluster.front, friend);
  const before = files.onDisk();
  const mine = [await upload(who, 'one'), await upload(who, 'two')];
  const theirs = await upload(friend, 'three');
  expect([...mine, theirs].map(({ status, text }) => [status, text.slice(0, 1)])).toEqual([
    [201, '{'],
    [201, '{'],
    [201, '{'],
  ]);
  const grant = `${at(friend, theirs.id)}/grants/${uid}`;
  await files.ask(friend, 'put', grant, { 'content-type': 'application/json' }, {});
  for (const [from, to] of [
    [friend, who],
    [who, friend],
  ] as const) {
    await cluster.front
      .request()
      .put(`/deposit/v1/${to.uid}/${to.clientId}/${randomId()}`)
      .set('authorization', await from.authorization('share'))
      .send({ payload: 'box' })
      .expect(202);
  }
  expect(await traces(uid)).toEqual(
    expect.arrayContaining(['account', 'deposit', 'file', 'file_grant', 'key_list', 'oidc']),
  );

  await destroy(who);
  expect(await traces(uid)).toEqual(['deletion']);
  for (const { node, uid: store } of stores) expect(await recordsOf(node, store)).toBe(0);
  expect(files.onDisk()).toHaveLength(before.length + 1);
  expect((await files.ask(friend, 'get', at(friend, theirs.id))).status).toBe(200);
  const found = await cluster.front
    .request()
    .get(`/keys/v1/users/${uid}`)
    .set('authorization', await friend.authorization('keys'));
  expect(found.status).toBe(404);
  expect(await deletions().find(uid)).toMatchObject({
    ...{ waiting: {}, tries: 1 },
    finishedAt: expect.any(Date) as Date,
  });
});

it('follows when its owner deletes an account, and tells him by mail', async () => {
  const { front } = cluster;
  const account = await signUp(front);
  const { uid, email, authorization } = account;
  await post(front, 'account/device', { name: 'desk', type: 'desktop' }, authorization).expect(200);
  await post(front, 'account/login/send_unblock_code', { email }).expect(200);
  await post(front, 'account/login', credentials(email)).expect(400);
  await tokenFor(front, account, { scope: 'files offline_access', resource: audiences.files });
  const who = await caller(front, { uid });
  await upload(who, 'one');
  await join(front, who);
  const before = await traces(uid);
  expect(before).toEqual(
    expect.arrayContaining(['account', 'device', 'file', 'key_list', 'oidc', 'security_event']),
  );

  const { authPW } = await stretch(email, account.password);
  await post(front, 'account/destroy', { email, authPW }, authorization).expect(200);
  await deletions().settled();
  const sent = (await mails(front)).filter((mail) => mail.includes(`X-Uid: ${uid}`));
  expect(sent.at(-1)).toContain('Subject: Your account was deleted');
  expect(await traces(uid)).toEqual(['deletion']);
});

it('lets nobody in by a token from before', async () => {
  const { who, one, stores } = await somebody();
  const authorization = await who.authorization('files');
  await destroy(who);
  const answer = await cluster.front
    .request()
    .get(`/files/v1/${who.uid}/usage`)
    .set('authorization', authorization);
  expect(answer.status).toBe(401);
  for (const store of stores) expect((await store.get('/info/collections')).status).toBe(401);
  expect(one.who.uid).toBe(who.uid);
});

it('waits for a node that is away, and goes on when it is back', async () => {
  const { who, uid, stores } = await somebody();
  const [{ node, uid: store }, near] = stores;
  const comeBack = await goAway(node);
  await upload(who, 'a file');
  await destroy(who);
  const name = cluster.names[cluster.nodes.indexOf(node)];
  expect(await deletions().find(uid)).toMatchObject({
    ...{ waiting: { stores: `1 to be deleted on ${name}` }, finishedAt: null },
  });
  expect(await recordsOf(near.node, near.uid)).toBe(0);
  expect(await traces(uid)).toEqual(expect.arrayContaining(['deletion', 'storage_user']));
  expect(await traces(uid)).not.toContain('file');

  await comeBack();
  cluster.front.clock.advance(60);
  await goOn();
  expect(await deletions().find(uid)).toMatchObject({ waiting: {} });
  expect(await recordsOf(node, store)).toBe(0);
  expect(await traces(uid)).toEqual(['deletion']);
});

it('goes on where a process was killed: with a blob removed, and the row not yet', async () => {
  const who = await caller(cluster.front);
  const before = files.onDisk();
  await upload(who, 'one');
  await upload(who, 'two');
  const [blob = ''] = files.onDisk().filter((name) => !before.includes(name));
  await rm(joinPath(cluster.front.config.dataDir, 'blobs', blob));
  await destroy(who);
  expect(files.onDisk()).toEqual(before);
  expect(await traces(who.uid)).toEqual(['deletion']);
});

it('is left to a process that is at it, and taken over when that one is gone', async () => {
  const who = await caller(cluster.front);
  await upload(who, 'one');
  const other = cluster.front.db.createQueryRunner();
  await cluster.front.db.transaction(async (tx) => {
    await tx.query(`DELETE FROM account WHERE uid = $1`, [who.uid]);
    await deletions().enqueue(tx, who.uid);
  });
  await other.startTransaction();
  await other.query(`SELECT FROM deletion WHERE uid = $1 FOR UPDATE`, [who.uid]);
  await goOn();
  expect(await deletions().find(who.uid)).toMatchObject({ tries: 0 });
  await other.rollbackTransaction();
  await other.release();
  await goOn();
  expect(await traces(who.uid)).toEqual(['deletion']);
});

it('erases nothing while there is the account', async () => {
  const who = await caller(cluster.front);
  await upload(who, 'one');
  await cluster.front.db.transaction((tx) => deletions().enqueue(tx, who.uid));
  await goOn();
  expect(await deletions().find(who.uid)).toMatchObject({
    waiting: { account: 'there is an account of this uid' },
    finishedAt: null,
  });
  expect(await traces(who.uid)).toContain('file');
  await cluster.front.db.query(`DELETE FROM deletion WHERE uid = $1`, [who.uid]);
});

it('does not happen when the account’s end did not', async () => {
  const who = await caller(cluster.front);
  const broken = cluster.front.db.transaction(async (tx) => {
    await tx.query(`DELETE FROM account WHERE uid = $1`, [who.uid]);
    await deletions().enqueue(tx, who.uid);
    throw new Error('no');
  });
  await expect(broken).rejects.toThrow('no');
  await expect(deletions().find(who.uid)).rejects.toThrow('No account');
});

it('looks once more a day later, for what was under way, and then forgets', async () => {
  const who = await caller(cluster.front);
  await destroy(who);
  const late = await caller(cluster.front, { uid: who.uid });
  await upload(late, 'late');
  await cluster.front.db.query(`DELETE FROM account WHERE uid = $1`, [who.uid]);
  expect(await traces(who.uid)).toContain('file');
  cluster.front.clock.advance(86_401);
  await goOn();
  expect(await traces(who.uid)).toEqual(['deletion']);
  expect(await deletions().find(who.uid)).toMatchObject({ tries: 2, nextTryAt: null });
  cluster.front.clock.advance(91 * 86_400);
  await goOn();
  expect(await traces(who.uid)).toEqual([]);
});
