import { randomBytes } from 'node:crypto';
import { DeviceCommandsService } from '../../apps/server/src/devices/device-commands.service.ts';
import { type Account, bearerOf, signUp } from '../support/account.ts';
import { anAddress, credentials, get, hawk, post } from '../support/account-api.ts';
import * as support from '../support/devices.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

const { laptop, OPEN_URI, tab } = support;

let server: TestServer;
let alice: Account;
let mallory: Account;
beforeAll(async () => {
  server = await TestServer.start();
  alice = await signUp(server);
  mallory = await signUp(server);
});
afterAll(() => server.stop());

const put = (authorization: string, body: object) =>
  post(server, 'account/device', body, authorization);
const destroy = (authorization: string, body: object) =>
  post(server, 'account/device/destroy', body, authorization);
const rename = (authorization: string, body: object) =>
  post(server, 'account/device/rename', body, authorization);
const clients = async (authorization: string) =>
  (await get(server, 'account/attached_clients', authorization).expect(200)).body;
const signIn = (account: Account) => support.signIn(server, account);
const device = (account: Account, more?: object) => support.device(server, account, more);
const devices = (authorization: string, query?: string) =>
  support.devicesOf(server, authorization, query);
const invoke = (authorization: string, body: object) => support.invoke(server, authorization, body);
const commands = async (authorization: string, query = '') =>
  (await get(server, `account/device/commands${query}`, authorization).expect(200)).body;
const indexesOf = (body: { messages: { index: number }[] }) =>
  body.messages.map(({ index }) => index);

describe('registering', () => {
  it('answers nothing before there is a device', async () => {
    const authorization = await signIn(await signUp(server));
    expect(await devices(authorization)).toEqual([]);
    expect(await clients(authorization)).toMatchObject([
      { isCurrentSession: true, deviceId: null },
      { isCurrentSession: false, deviceId: null },
    ]);
  });

  it('gives the device an id, and tells all about it', async () => {
    const authorization = await signIn(alice);
    const before = server.clock.now().getTime();
    const { body } = await put(authorization, { ...laptop, availableCommands: {} }).expect(200);
    expect(body).toEqual({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      ...laptop,
      isCurrentDevice: true,
      lastAccessTime: expect.any(Number),
      pushCallback: null,
      pushPublicKey: null,
      pushAuthKey: null,
      pushEndpointExpired: false,
      availableCommands: {},
      location: {},
    });
    expect(body.lastAccessTime).toBeGreaterThanOrEqual(before);
    const listed = (await devices(authorization)).find(({ id }) => id === body.id);
    expect(listed).toEqual({ ...body, lastAccessTime: expect.any(Number) });
  });

  it('takes a request that Firefox signed, its name with its apostrophe', async () => {
    const path = 'account/device';
    const signing = { token: alice.sessionToken, method: 'POST', path, body: laptop };
    const { body } = await put(await hawk(server, signing), laptop).expect(200);
    expect(body.name).toBe(laptop.name);
    await destroy(await signIn(alice), { id: body.id }).expect(200);
    alice = await signUp(server);
  });

  it('changes what is given and keeps the rest', async () => {
    const { authorization, id } = await device(alice);
    await put(authorization, { id, name: 'ქართული' }).expect(200);
    await put(authorization, { id, type: 'tablet' }).expect(200);
    const mine = (await devices(authorization)).find((one) => one.id === id);
    expect(mine).toMatchObject({
      ...{ name: 'ქართული', type: 'tablet', availableCommands: { [OPEN_URI]: 'keys' } },
    });
    await put(authorization, { id, availableCommands: null }).expect(200);
    expect((await devices(authorization)).find((one) => one.id === id)?.availableCommands).toEqual(
      {},
    );
  });

  it('means the device of the session when no id is given', async () => {
    const { authorization, id } = await device(alice);
    const { body } = await put(authorization, { name: 'again', type: 'vr' }).expect(200);
    expect(body.id).toBe(id);
  });

  it('makes one device of several registrations at once', async () => {
    const authorization = await signIn(alice);
    const all = await Promise.all(Array.from({ length: 8 }, () => put(authorization, laptop)));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
    expect(new Set(all.map(({ body }) => body.id)).size).toBe(1);
  });

  it('refuses an unknown id with 123', async () => {
    const authorization = await signIn(alice);
    const id = randomBytes(16).toString('hex');
    const { body } = await put(authorization, { id, name: 'x' }).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 123 });
  });

  it('refuses the id of another device with 124, and tells the right one', async () => {
    const mine = await device(alice);
    const other = await device(alice);
    const { body } = await put(mine.authorization, { id: other.id, name: 'x' }).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 124, deviceId: mine.id });
  });

  it('hands a device over to a new session of its account', async () => {
    const { authorization, id } = await device(alice);
    const next = await signIn(alice);
    expect((await put(next, { id }).expect(200)).body).toMatchObject({ id, name: laptop.name });
    expect((await devices(next)).map((one) => one.id)).toContain(id);
    await get(server, 'session/status', authorization).expect(401);
  });

  it('gives no device back that ends while it is taken over', async () => {
    const { authorization, id } = await device(alice);
    const next = await signIn(alice);
    const list = await clients(authorization);
    const { sessionTokenId } = list.find((client: { deviceId: string }) => client.deviceId === id);
    const session = Buffer.from(sessionTokenId as string, 'hex').toString('base64url');
    const other = server.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`DELETE FROM session WHERE id = $1`, [session]);
    const answer = put(next, { id, name: 'mine' }).then((reply) => reply);
    const waiting = `SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid IS NOT NULL`;
    await until(async () => (await server.db.query<unknown[]>(waiting)).length > 0);
    await other.commitTransaction();
    await other.release();
    expect(await answer).toMatchObject({ status: 400, body: { errno: 123 } });
    expect((await devices(next)).map((one) => one.id)).not.toContain(id);
  });

  it.each([
    ['a new device without a name', { type: 'desktop' }, 108],
    ['a new device without a type', { name: 'x' }, 108],
    ['an unknown type', { ...laptop, type: 'toaster' }],
    ['an empty name', { ...laptop, name: '' }],
    ['a blank name', { ...laptop, name: '  ' }],
    ['a long name', { ...laptop, name: 'x'.repeat(256) }],
    ['a line break', { ...laptop, name: 'a\nb' }],
    ['U+0000', { ...laptop, name: 'a\u0000b' }],
    ['half a character', { ...laptop, name: 'a\ud83eb' }],
    ['an id that is none', { ...laptop, id: 'x' }],
    ['commands that are a list', { ...laptop, availableCommands: ['x'] }],
    ['a command name with a space', { ...laptop, availableCommands: { 'a b': 'x' } }],
    ['a command that is no text', { ...laptop, availableCommands: { a: 1 } }],
    ['a long command', { ...laptop, availableCommands: { a: 'x'.repeat(4097) } }],
    [
      'many commands',
      {
        ...laptop,
        availableCommands: Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`c${i}`, 'x'])),
      },
    ],
    ['no object', []],
  ])('refuses %s', async (_, body, errno = 107) => {
    const authorization = await signIn(mallory);
    const answer = await put(authorization, body).expect(400);
    expect(answer.body.errno).toBe(errno);
    expect((await devices(authorization)).some((one) => one.isCurrentDevice)).toBe(false);
  });

  it('keeps odd text of commands as it is', async () => {
    const odd = { a: 'nul \u0000 half \ud83e' };
    const { body } = await put(await signIn(alice), { ...laptop, availableCommands: odd }).expect(
      200,
    );
    expect(body.availableCommands).toEqual(odd);
  });

  it('has room for 100 devices', async () => {
    const crowd = await signUp(server);
    const now = server.clock.now();
    await server.db.query(
      `WITH s AS (INSERT INTO session (id, uid, req_hmac_key, created_at, auth_at, used_at)
         SELECT 'crowd-' || n, $1, '', $2, $2, $2 FROM generate_series(1, 100) n RETURNING id)
       INSERT INTO device (id, uid, session_id, name, type, available_commands, created_at, used_at)
       SELECT md5(id), $1, id, 'x', 'tv', '{}', $2, $2 FROM s`,
      [crowd.uid, now],
    );
    const { body } = await put(crowd.authorization, laptop).expect(429);
    expect(body.errno).toBe(114);
    const [first] = await devices(crowd.authorization);
    await destroy(crowd.authorization, { id: first?.id }).expect(200);
    await put(crowd.authorization, laptop).expect(200);
  });

  it('asks who it is', async () => {
    for (const authorization of [undefined, 'Bearer nothing', 'Bearer fxs_00', 'Hawk id="x"']) {
      expect((await put(authorization ?? '', laptop).expect(401)).body.errno).toBe(110);
    }
  });
});

describe('renaming', () => {
  it('renames any device of the account, which stays what it is', async () => {
    const [one, two] = [await device(alice), await device(alice)];
    await rename(one.authorization, { id: two.id, name: 'büro 2' }).expect(200);
    expect((await devices(two.authorization)).find(({ id }) => id === two.id)).toMatchObject({
      ...{ name: 'büro 2', isCurrentDevice: true, availableCommands: { [OPEN_URI]: 'keys' } },
    });
  });

  it('refuses unknown ids and bad names', async () => {
    const { id } = await device(alice);
    const named = (name: string) => ({ id, name });
    const unknown = { ...named('x'), id: randomBytes(16).toString('hex') };
    expect((await rename(alice.authorization, unknown).expect(400)).body.errno).toBe(123);
    expect((await rename(mallory.authorization, named('x')).expect(400)).body.errno).toBe(123);
    for (const name of ['', 'a\nb']) {
      expect((await rename(alice.authorization, named(name)).expect(400)).body.errno).toBe(107);
    }
    expect((await devices(alice.authorization)).find((one) => one.id === id)?.name).toBe(
      laptop.name,
    );
  });
});

describe('the list of devices', () => {
  it('leaves out what was idle since a time, but never the caller', async () => {
    const account = await signUp(server);
    const old = await device(account);
    server.clock.advance(7200);
    const recent = await device(account);
    const { authorization } = await device(account);
    const since = server.clock.now().getTime() - 3_600_000;
    const query = `?filterIdleDevicesTimestamp=${since}`;
    const ids = (await devices(authorization, query)).map(({ id }) => id);
    expect(ids).toContain(recent.id);
    expect(ids).not.toContain(old.id);
    expect((await devices(authorization)).map(({ id }) => id)).toContain(old.id);
    const future = await devices(authorization, `?filterIdleDevicesTimestamp=${since * 2}`);
    expect(future.map(({ isCurrentDevice }) => isCurrentDevice)).toEqual([true]);
  });

  it('knows when a device was last used, late by ten minutes at most', async () => {
    const account = await signUp(server);
    const used = await device(account);
    const asking = await device(account);
    const lastAccess = async () =>
      (await devices(asking.authorization)).find(({ id }) => id === used.id)?.lastAccessTime ?? 0;
    server.clock.advance(660);
    await get(server, 'session/status', used.authorization).expect(200);
    expect(server.clock.now().getTime() - (await lastAccess())).toBeLessThan(60_000);
  });

  it.each(['x', '-1', '1e3', ''])('refuses the time %j', async (time) => {
    const path = `account/devices?filterIdleDevicesTimestamp=${time}`;
    expect((await get(server, path, alice.authorization).expect(400)).body.errno).toBe(107);
  });
});

it('takes every call with Hawk, as Firefox makes it', async () => {
  const { sessionToken: token } = await signUp(server);
  const call = async (path: string, body: object) =>
    post(server, path, body, await hawk(server, { method: 'POST', token, path, body }));
  const ask = async (path: string) => get(server, path, await hawk(server, { token, path }));
  const record = { ...laptop, availableCommands: { [OPEN_URI]: 'keys' } };
  const { id } = (await call('account/device', record)).body;
  const notice = { to: 'all', payload: { version: 1 }, TTL: 0, excluded: [id] };
  for (const answer of [
    await call('account/devices/invoke_command', tab(id as string)),
    await call('account/devices/notify', notice),
    await ask('account/devices?filterIdleDevicesTimestamp=1'),
    await ask('account/device/commands?index=0'),
    await ask('account/attached_clients'),
    await call('account/attached_client/destroy', { clientId: 'nobody' }),
    await call('account/device/destroy', { id }),
  ]) {
    expect([answer.request.url, answer.status]).toEqual([expect.any(String), 200]);
  }
});

describe('ending', () => {
  it('ends the session of a device with it', async () => {
    const { authorization, id } = await device(alice);
    await destroy(alice.authorization, { id }).expect(200);
    await get(server, 'session/status', authorization).expect(401);
    expect((await devices(alice.authorization)).map((one) => one.id)).not.toContain(id);
    expect((await destroy(alice.authorization, { id }).expect(400)).body.errno).toBe(123);
  });

  it('ends a device with its session', async () => {
    const { authorization, id } = await device(alice);
    await post(server, 'session/destroy', {}, authorization).expect(200);
    expect((await devices(alice.authorization)).map((one) => one.id)).not.toContain(id);
  });

  it('signs out a client by its device, or by its session', async () => {
    const account = await signUp(server);
    const [one, two] = [await device(account), await signIn(account)];
    const list = await clients(account.authorization);
    const session = list.find(
      (client: { deviceId: string | null; isCurrentSession: boolean }) =>
        client.deviceId === null && !client.isCurrentSession,
    );
    const end = (body: object) =>
      post(server, 'account/attached_client/destroy', body, account.authorization);
    const { sessionTokenId } = session;
    expect((await end({ deviceId: one.id, sessionTokenId }).expect(400)).body.errno).toBe(107);
    await end({ clientId: null, deviceId: one.id, refreshTokenId: null }).expect(200);
    await end({ sessionTokenId }).expect(200);
    await end({ sessionTokenId }).expect(200);
    expect((await end({ deviceId: one.id }).expect(400)).body.errno).toBe(123);
    expect((await end({}).expect(400)).body.errno).toBe(107);
    expect((await end({ deviceId: null }).expect(400)).body.errno).toBe(107);
    for (const authorization of [one.authorization, two]) {
      await get(server, 'session/status', authorization).expect(401);
    }
    expect(await clients(account.authorization)).toHaveLength(1);
  });

  it('does not list sessions that were idle for four weeks', async () => {
    const account = await signUp(server);
    const now = server.clock.now();
    const authorization = await signIn(account);
    const old = new Date(now.getTime() - 29 * 86_400_000);
    await server.db.query(
      `UPDATE session SET used_at = $2 WHERE uid = $1 AND created_at < (
         SELECT max(created_at) FROM session WHERE uid = $1)`,
      [account.uid, old],
    );
    expect(await clients(authorization)).toHaveLength(1);
    await get(server, 'session/status', account.authorization).expect(401);
  });

  it('says what a session is used with, as far as we have a word for it', async () => {
    const account = await signUp(server);
    const list = async (agent: string) => {
      const request = get(server, 'account/attached_clients', await signIn(account));
      const { body } = await request.set('user-agent', agent).expect(200);
      return body.find((client: { isCurrentSession: boolean }) => client.isCurrentSession);
    };
    const firefox = 'Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0';
    expect(await list(firefox)).toMatchObject({ userAgent: 'Firefox on Linux', os: 'Linux' });
    expect(await list('<script>')).toMatchObject({ userAgent: 'Another program', os: null });
  });

  it('lists clients without anything that lets somebody in', async () => {
    const { authorization, id } = await device(alice);
    const mine = (await clients(authorization)).find(
      (client: { isCurrentSession: boolean }) => client.isCurrentSession,
    );
    expect(mine).toEqual({
      clientId: null,
      deviceId: id,
      sessionTokenId: expect.stringMatching(/^[0-9a-f]{64}$/),
      refreshTokenId: null,
      isCurrentSession: true,
      deviceType: 'desktop',
      name: laptop.name,
      createdTime: expect.any(Number),
      lastAccessTime: expect.any(Number),
      scope: null,
      location: {},
      userAgent: expect.any(String),
      os: null,
    });
    await get(server, 'session/status', `Bearer fxs_${mine.sessionTokenId}`).expect(401);
  });
});

describe('commands', () => {
  it('numbers from 1, and delivers from the number asked for', async () => {
    const [from, to] = [await device(alice), await device(alice)];
    for (const n of [1, 2, 3]) {
      const { body } = await invoke(from.authorization, tab(to.id, { payload: { n } })).expect(200);
      expect(body).toMatchObject({ enqueued: true, notified: false });
    }
    const all = await commands(to.authorization, '?index=0');
    expect(all).toEqual({
      index: 3,
      last: true,
      messages: [1, 2, 3].map((n) => ({
        index: n,
        data: { command: OPEN_URI, payload: { n }, sender: from.id },
      })),
    });
    expect(await commands(to.authorization)).toEqual(all);
    expect(indexesOf(await commands(to.authorization, '?index=2'))).toEqual([2, 3]);
    expect(await commands(to.authorization, '?index=4')).toEqual({
      ...{ index: 3, last: true, messages: [] },
    });
    const first = await commands(to.authorization, '?index=1&limit=2');
    expect([first.index, first.last, indexesOf(first)]).toEqual([2, false, [1, 2]]);
    expect(await commands(from.authorization, '?index=0')).toEqual({
      ...{ index: 0, last: true, messages: [] },
    });
  });

  it('goes on counting when what was sent has expired or was removed', async () => {
    const account = await signUp(server);
    const [to, from] = [await device(account), await device(account)];
    await invoke(from.authorization, tab(to.id, { ttl: 60 })).expect(200);
    await invoke(from.authorization, tab(to.id)).expect(200);
    server.clock.advance(61);
    expect(indexesOf(await commands(to.authorization))).toEqual([2]);
    server.clock.advance(31 * 86_400);
    expect(indexesOf(await commands(to.authorization))).toEqual([]);
    await server.db.query(`DELETE FROM device_command`);
    await invoke(from.authorization, tab(to.id)).expect(200);
    expect(indexesOf(await commands(to.authorization, '?index=3'))).toEqual([3]);
    alice = await signUp(server); // idle for a month
    mallory = await signUp(server);
  });

  it('goes on where the device is, when the database was restored from an older copy', async () => {
    const to = await device(alice);
    await invoke(alice.authorization, tab(to.id, { payload: { n: 'seen' } })).expect(200);
    await commands(to.authorization, '?index=2');
    for (const n of ['a', 'b']) {
      await invoke(alice.authorization, tab(to.id, { payload: { n } })).expect(200);
    }
    const after = await commands(to.authorization, '?index=41');
    expect(indexesOf(after)).toEqual([41, 42]);
    expect(after.messages.map(({ data }: { data: { payload: object } }) => data.payload)).toEqual([
      { n: 'a' },
      { n: 'b' },
    ]);
    await invoke(alice.authorization, tab(to.id)).expect(200);
    expect(indexesOf(await commands(to.authorization, '?index=43'))).toEqual([43]);
  });

  it('keeps nothing of what has expired', async () => {
    const to = await device(alice);
    await invoke(alice.authorization, tab(to.id, { ttl: 60 })).expect(200);
    await invoke(alice.authorization, tab(to.id, { ttl: 3600 })).expect(200);
    server.clock.advance(61);
    await server.app.get(DeviceCommandsService).purge();
    const left = `SELECT index FROM device_command WHERE device_id = $1`;
    expect(await server.db.query(left, [to.id])).toEqual([{ index: 2 }]);
  });

  it('gives each of many senders at once a number of its own', async () => {
    const to = await device(alice);
    const all = await Promise.all(
      Array.from({ length: 12 }, () => invoke(alice.authorization, tab(to.id))),
    );
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
    expect(indexesOf(await commands(to.authorization))).toEqual(all.map((_, i) => i + 1));
  });

  it('names no sender that has no device', async () => {
    const to = await device(alice);
    await invoke(await signIn(alice), tab(to.id)).expect(200);
    const [message] = (await commands(to.authorization)).messages;
    expect(message.data).not.toHaveProperty('sender');
  });

  it('refuses a command that the device does not take with 157', async () => {
    const to = await device(alice);
    for (const command of ['https://example.org/other', '__proto__', 'toString']) {
      const { body } = await invoke(alice.authorization, tab(to.id, { command })).expect(400);
      expect(body.errno).toBe(157);
    }
  });

  it('has a limit for what waits; what was fetched makes room', async () => {
    const to = await device(alice);
    await server.db.query(
      `WITH d AS (UPDATE device SET next_index = 501 WHERE id = $1)
       INSERT INTO device_command SELECT $1, n, null, 'x', '{}', 2, $2 FROM generate_series(1, 500) n`,
      [to.id, new Date(server.clock.now().getTime() + 1_000_000)],
    );
    expect((await invoke(alice.authorization, tab(to.id)).expect(429)).body.errno).toBe(114);
    const page = await commands(to.authorization, '?index=1&limit=1000');
    expect([page.index, page.last]).toEqual([100, false]);
    await commands(to.authorization, '?index=101');
    await invoke(alice.authorization, tab(to.id)).expect(200);
    expect((await commands(to.authorization, '?index=501')).index).toBe(501);
    await server.db.query(`UPDATE device_command SET size_bytes = 2097152 WHERE index = 501`);
    expect((await invoke(alice.authorization, tab(to.id)).expect(429)).body.errno).toBe(114);
  });

  it.each([
    ['a target that is none', { target: 'x' }],
    ['no payload', { payload: undefined }, 108],
    ['a payload that is text', { payload: 'x' }],
    ['a large payload', { payload: { x: 'y'.repeat(32_768) } }],
    ['a ttl below zero', { ttl: -1 }],
    ['a ttl that is no number', { ttl: 'x' }],
    ['a command that is no text', { command: 1 }],
  ])('refuses %s', async (_, more, errno = 107) => {
    const to = await device(alice);
    const { body } = await invoke(alice.authorization, tab(to.id, more)).expect(400);
    expect(body.errno).toBe(errno);
    expect(indexesOf(await commands(to.authorization))).toEqual([]);
  });

  it('refuses a body beyond all measure with 113', async () => {
    const to = await device(alice);
    const huge = { payload: { x: 'y'.repeat(200_000) } };
    const { body } = await invoke(alice.authorization, tab(to.id, huge)).expect(413);
    expect(body.errno).toBe(113);
  });

  it.each(['index=x', 'index=-1', 'index=1e20', 'limit=x', 'index=1&index=2'])(
    'refuses to list with %s',
    async (query) => {
      const { authorization } = await device(alice);
      const answer = await get(server, `account/device/commands?${query}`, authorization);
      expect(answer).toMatchObject({ status: 400, body: { errno: 107 } });
    },
  );

  it('has none for a session without a device', async () => {
    const authorization = await signIn(alice);
    const { body } = await get(server, 'account/device/commands', authorization).expect(400);
    expect(body.errno).toBe(123);
  });
});

describe('another account', () => {
  it('is told that there is no such device', async () => {
    const { id } = await device(alice);
    const stranger = await device(mallory);
    const { authorization } = stranger;
    for (const answer of [
      await put(await signIn(mallory), { id, name: 'mine now' }),
      await destroy(authorization, { id }),
      await invoke(authorization, tab(id)),
      await post(server, 'account/attached_client/destroy', { deviceId: id }, authorization),
    ]) {
      expect(answer).toMatchObject({ status: 400, body: { errno: 123 } });
    }
    expect((await devices(authorization)).map((one) => one.id)).not.toContain(id);
    const [mine] = (await clients(alice.authorization)).filter(
      (client: { deviceId: string }) => client.deviceId === id,
    );
    expect(mine.name).toBe(laptop.name);
    const { sessionTokenId } = mine;
    await post(server, 'account/attached_client/destroy', { sessionTokenId }, authorization).expect(
      200,
    );
    expect((await devices(alice.authorization)).map((one) => one.id)).toContain(id);
  });
});

it('refuses commands and notices of an address that is not verified', async () => {
  const { sessionToken } = (await post(server, 'account/create', credentials(anAddress()))).body;
  const authorization = bearerOf(sessionToken);
  const { id } = (await put(authorization, laptop).expect(200)).body;
  expect((await invoke(authorization, tab(id)).expect(400)).body.errno).toBe(104);
  const notice = { to: 'all', payload: {} };
  const answer = await post(server, 'account/devices/notify', notice, authorization).expect(400);
  expect(answer.body.errno).toBe(104);
});
