import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { decodeProtectedHeader, importJWK, jwtVerify } from 'jose';
import { type Account, signUp } from '../support/account.ts';
import { post } from '../support/account-api.ts';
import {
  device,
  devicesOf,
  invoke,
  laptop,
  OPEN_URI,
  phone,
  signIn,
  tab,
} from '../support/devices.ts';
import { changePassword, forget, typedBearer } from '../support/passwords.ts';
import { Subscriber, TestNameServer, TestPushService } from '../support/push-service.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let service: TestPushService;
let alice: Account;
beforeAll(async () => {
  service = await TestPushService.start();
  server = await TestServer.start({ PUSH_HOSTS_ALLOWED: '127.0.0.1, Localhost' });
  alice = await signUp(server);
});
beforeEach(() => {
  service.answer = (reply) => reply.writeHead(201).end();
});
afterAll(async () => {
  await server.stop();
  await service.close();
});

/** A device that is subscribed, and what it can open. */
async function subscribed(account: Account, callback = service.at(), on = server) {
  const subscriber = new Subscriber();
  const { id, authorization } = await device(on, account, subscriber.subscription(callback));
  return { id, authorization, subscriber, path: new URL(callback).pathname };
}

const notify = (authorization: string, body: object) =>
  post(server, 'account/devices/notify', body, authorization);

const isExpired = async (account: Account, id: string, on = server) =>
  (await devicesOf(on, account.authorization)).find((one) => one.id === id)?.pushEndpointExpired;

it('opens the published example', () => {
  const subscriber = new Subscriber({
    privateKey: Buffer.from('q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94', 'base64url'),
    auth: Buffer.from('BTBZMqHH6r4Tts7J_aSIgg', 'base64url'),
  });
  const body =
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6Tlz' +
    'AC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN';
  expect(subscriber.open(Buffer.from(body, 'base64url'))).toBe(
    'When I grow up, I want to be a watermelon',
  );
});

describe('what a device is told', () => {
  it('tells it of a command, encrypted to it and signed by the server', async () => {
    const account = await signUp(server);
    const from = await device(server, account);
    const to = await subscribed(account);
    const { body } = await invoke(server, from.authorization, tab(to.id, { ttl: 3600 }));
    expect(body).toEqual({ enqueued: true, notified: true });
    const message = await service.next();
    expect(message.path).toBe(to.path);
    expect(message.headers).toMatchObject({ ttl: '3600', 'content-encoding': 'aes128gcm' });
    expect(message.body.includes('command_received')).toBe(false);
    expect(JSON.parse(to.subscriber.open(message.body))).toEqual({
      version: 1,
      command: 'fxaccounts:command_received',
      data: {
        command: OPEN_URI,
        index: 1,
        sender: from.id,
        url: `${server.url}/auth/v1/account/device/commands?index=1&limit=1`,
      },
    });

    const [, token = '', key = ''] =
      /^vapid t=([^,]+), k=([A-Za-z0-9_-]+)$/.exec(message.headers.authorization ?? '') ?? [];
    const point = Buffer.from(key, 'base64url');
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) =>
      part.toString('base64url'),
    );
    const jwk = await importJWK({ kty: 'EC', crv: 'P-256', ...{ x, y } } as never, 'ES256');
    const { payload } = await jwtVerify(token, jwk, { audience: new URL(service.at()).origin });
    expect(payload.sub).toBe('mailto:no-reply@localhost');
    expect(decodeProtectedHeader(token).alg).toBe('ES256');
    const kept = await server.db.query<{ value: string }[]>(
      `SELECT value FROM setting WHERE name = 'vapid-keys'`,
    );
    expect(JSON.parse(kept[0]?.value ?? '').publicKey).toBe(key);
  });

  it('passes on what Firefox says to the others', async () => {
    const account = await signUp(server);
    const from = await subscribed(account);
    const to = await subscribed(account);
    await service.next(); // to the first: another connected
    const payload = {
      version: 1,
      command: 'sync:collection_changed',
      data: { collections: ['clients'], reason: 'firstsync' },
    };
    await notify(from.authorization, {
      ...{ to: 'all', excluded: [from.id], payload, TTL: 0 },
    }).expect(200, {});
    const message = await service.next();
    expect([message.path, message.headers.ttl]).toEqual([to.path, '0']);
    expect(JSON.parse(to.subscriber.open(message.body))).toEqual(payload);
    await notify(to.authorization, { to: [from.id], payload, TTL: 5 }).expect(200, {});
    const back = await service.next();
    expect([back.path, back.headers.ttl]).toEqual([from.path, '5']);
  });

  it('tells nobody of another account', async () => {
    const stranger = await subscribed(await signUp(server));
    const account = await signUp(server);
    const { authorization, id } = await device(server, account);
    const mine = await subscribed(account);
    const payload = { version: 1, command: 'sync:collection_changed' };
    await notify(authorization, { to: [stranger.id, mine.id], payload }).expect(200, {});
    expect((await service.next()).path).toBe(mine.path);
    await notify(authorization, { to: 'all', excluded: [stranger.id, id], payload }).expect(200);
    expect((await service.next()).path).toBe(mine.path);
    expect(service.got.some(({ path }) => path === stranger.path)).toBe(false);
  });

  it('tells the others of a device that connects, and of one that is signed out', async () => {
    const account = await signUp(server);
    const told = await subscribed(account);
    const { id } = await device(server, account, { name: 'Ada’s phone' });
    expect(JSON.parse(told.subscriber.open((await service.next()).body))).toEqual({
      ...{ version: 1, command: 'fxaccounts:device_connected' },
      data: { deviceName: 'Ada’s phone' },
    });
    await post(server, 'account/device/destroy', { id }, account.authorization).expect(200);
    expect(JSON.parse(told.subscriber.open((await service.next()).body))).toEqual({
      ...{ version: 1, command: 'fxaccounts:device_disconnected', data: { id } },
    });
    await post(
      server,
      'account/attached_client/destroy',
      { deviceId: told.id },
      account.authorization,
    ).expect(200);
    expect(JSON.parse(told.subscriber.open((await service.next()).body))).toMatchObject({
      ...{ command: 'fxaccounts:device_disconnected', data: { id: told.id } },
    });
  });

  it('tells the others, but not the device, when a Firefox signs out', async () => {
    const account = await signUp(server);
    const told = await subscribed(account);
    const { id, authorization, path } = await subscribed(account);
    await service.next(); // to the first: another connected
    await post(server, 'session/destroy?service=sync', {}, authorization).expect(200, {});
    const message = await service.next();
    expect(message.path).toBe(told.path);
    expect(JSON.parse(told.subscriber.open(message.body))).toMatchObject({ data: { id } });
    const { authorization: page } = account;
    await post(server, 'session/destroy', {}, page).expect(200, {});
    await invoke(server, told.authorization, tab(told.id));
    expect((await service.next()).path).toBe(told.path);
    expect(service.got.some((one) => one.path === path)).toBe(false);
  });

  it('tells devices that the password changed, was reset, or that the account is gone', async () => {
    const account = await signUp(server);
    const { subscriber } = await subscribed(account);
    await changePassword(server, account, 'another');
    expect(JSON.parse(subscriber.open((await service.next()).body))).toEqual({
      ...{ version: 1, command: 'fxaccounts:password_changed' },
    });

    const again = await subscribed(account);
    const authPW = randomBytes(32).toString('hex');
    const reset = typedBearer('accountResetToken', await forget(server, account));
    await post(server, 'account/reset', { authPW }, reset).expect(200);
    expect(JSON.parse(again.subscriber.open((await service.next()).body))).toEqual({
      ...{ version: 1, command: 'fxaccounts:password_reset' },
    });

    const last = await subscribed(account);
    const { email, uid } = account;
    await post(server, 'account/destroy', { email, authPW }, last.authorization).expect(200);
    expect(JSON.parse(last.subscriber.open((await service.next()).body))).toEqual({
      ...{ version: 1, command: 'fxaccounts:account_destroyed', data: { uid } },
    });
  });

  it('tells phones, which have no session', async () => {
    const account = await signUp(server);
    const subscriber = new Subscriber();
    const { authorization } = await phone(server, account);
    const callback = service.at();
    const body = { ...laptop, type: 'mobile', ...subscriber.subscription(callback) };
    const { id } = (await post(server, 'account/device', body, authorization).expect(200)).body;
    await device(server, account);
    expect(JSON.parse(subscriber.open((await service.next()).body))).toMatchObject({
      command: 'fxaccounts:device_connected',
    });
    const notice = { to: [id], payload: { version: 1 } };
    await notify(account.authorization, notice).expect(200, {});
    expect(JSON.parse(subscriber.open((await service.next()).body))).toEqual({ version: 1 });
  });

  it('says why a device was not told', async () => {
    const without = await device(server, alice);
    const keyless = await device(server, alice, { pushCallback: service.at() });
    for (const [{ id }, notifyError] of [
      [without, 'no push callback'],
      [keyless, 'no push keys'],
    ] as const) {
      const { body } = await invoke(server, alice.authorization, tab(id)).expect(200);
      expect(body).toEqual({ enqueued: true, notified: false, notifyError });
    }
  });

  it.each([
    ['a list', { to: 'all', payload: [] }],
    ['no payload', { to: 'all' }, 108],
    ['a large payload', { to: 'all', payload: { x: 'y'.repeat(3072) } }],
    ['everybody', { to: 'everybody', payload: {} }],
    ['an id that is none', { to: ['x'], payload: {} }],
    ['more devices than there are', { to: Array<string>(101).fill('0'.repeat(32)), payload: {} }],
    ['a time below zero', { to: 'all', payload: {}, TTL: -1 }],
  ])('refuses to notify with %s', async (_, body, errno = 107) => {
    expect((await notify(alice.authorization, body).expect(400)).body.errno).toBe(errno);
  });

  it('refuses a body beyond all measure with 113', async () => {
    const body = { to: 'all', payload: { x: 'y'.repeat(200_000) } };
    expect((await notify(alice.authorization, body).expect(413)).body.errno).toBe(113);
  });

  it('sends at most 300 messages a minute for one account', async () => {
    const account = await signUp(server);
    const { id, authorization } = await subscribed(account);
    await server.db.query(
      `WITH s AS (INSERT INTO session (id, uid, req_hmac_key, created_at, auth_at, used_at)
         SELECT 'many-' || n, $1, '', $2, $2, $2 FROM generate_series(1, 99) n RETURNING id)
       INSERT INTO device (id, uid, session_id, name, type, push_callback, push_public_key,
         push_auth_key, available_commands, created_at, used_at)
       SELECT md5(s.id), d.uid, s.id, 'x', 'tv', d.push_callback, d.push_public_key,
              d.push_auth_key, '{}', $2, $2 FROM s, device d WHERE d.id = $3`,
      [account.uid, server.clock.now(), id],
    );
    for (const n of [1, 2, 3]) {
      await notify(authorization, { to: 'all', payload: { n } }).expect(200);
    }
    const { body } = await invoke(server, authorization, tab(id)).expect(200);
    expect(body).toMatchObject({ enqueued: true, notifyError: 'too many messages' });
    server.clock.advance(60);
    await until(async () => (await invoke(server, authorization, tab(id))).body.notified);
  });
});

describe('a push service', () => {
  it.each([404, 410])('that answers %i is not asked again, until there is another', async (s) => {
    const to = await subscribed(alice);
    service.answer = (reply) => reply.writeHead(s).end();
    const told = () => invoke(server, alice.authorization, tab(to.id));
    expect((await told()).body.notifyError).toBe('expired push callback');
    expect(await isExpired(alice, to.id)).toBe(true);
    const before = service.got.length;
    expect((await told()).body).toMatchObject({ notified: false });
    expect(service.got.length).toBe(before);
    service.answer = (reply) => reply.writeHead(201).end();
    const body = { id: to.id, ...to.subscriber.subscription(service.at()) };
    await post(server, 'account/device', body, to.authorization).expect(200);
    expect(await isExpired(alice, to.id)).toBe(false);
    expect((await told()).body.notified).toBe(true);
  });

  it.each([400, 429, 500])('that answers %i costs no subscription', async (status) => {
    const to = await subscribed(alice);
    service.answer = (reply) => reply.writeHead(status).end();
    const { body } = await invoke(server, alice.authorization, tab(to.id));
    expect(body).toMatchObject({ enqueued: true, notifyError: 'push service refused' });
    expect(await isExpired(alice, to.id)).toBe(false);
  });

  it('that never answers does not hold the sender up, and the command waits', async () => {
    const to = await subscribed(alice);
    service.answer = () => undefined;
    const begun = performance.now();
    const { body } = await invoke(server, alice.authorization, tab(to.id)).expect(200);
    expect(body).toMatchObject({ enqueued: true, notifyError: 'push service is slow' });
    expect(performance.now() - begun).toBeLessThan(4000);
    const waiting = await server
      .request()
      .get('/auth/v1/account/device/commands?index=1')
      .set('authorization', to.authorization);
    expect(waiting.body.messages).toHaveLength(1);
  });

  it('that sends us elsewhere is not followed', async () => {
    const to = await subscribed(alice);
    const elsewhere = service.at();
    service.answer = (reply) => reply.writeHead(307, { location: elsewhere }).end();
    const { body } = await invoke(server, alice.authorization, tab(to.id));
    expect(body.notifyError).toBe('push service refused');
    expect(service.got.some(({ path }) => elsewhere.endsWith(path))).toBe(false);
  });

  it('that talks without end is not listened to', async () => {
    const to = await subscribed(alice);
    let written = 0;
    const closed = new Promise<void>((done) => {
      service.answer = (reply) => {
        const more = () => {
          do written += 65_536;
          while (reply.write(Buffer.alloc(65_536)));
        };
        reply.writeHead(200).on('drain', more).on('close', done);
        more();
      };
    });
    const { body } = await invoke(server, alice.authorization, tab(to.id));
    expect(body.notified).toBe(true);
    await closed;
    expect(written).toBeLessThan(16_777_216); // what lies in sockets, at most
  });

  it('whose certificate nobody vouches for is told nothing', async () => {
    const other = await TestPushService.start({ isTrusted: false });
    const to = await subscribed(alice, other.at());
    const { body } = await invoke(server, alice.authorization, tab(to.id));
    expect(body.notifyError).toBe('push service unreachable');
    expect(other.got).toEqual([]);
    await other.close();
  });

  it('may have an allowed name', async () => {
    const to = await subscribed(alice, service.at('localhost'));
    expect((await invoke(server, alice.authorization, tab(to.id))).body.notified).toBe(true);
  });
});

describe('a push address', () => {
  let plain: TestServer;
  let bob: Account;
  let names: TestNameServer;
  const servers = dns.getServers();
  beforeAll(async () => {
    plain = await TestServer.start();
    bob = await signUp(plain);
    names = await TestNameServer.start((name, n) => {
      if (name === 'inside.example.org') return ['127.0.0.1'];
      if (name === 'mixed.example.org') return ['8.8.8.8', '10.0.0.1'];
      if (name === 'mixed6.example.org') return ['8.8.8.8', 'fd00::1'];
      if (name === 'mapped.example.org') return ['0:0:0:0:0:ffff:7f00:1'];
      if (name === 'turning.example.org') return n === 0 ? ['3ffe::1'] : ['127.0.0.1', '::1'];
      return name === 'push.example.org' ? ['127.0.0.1'] : [];
    });
    dns.setServers([names.server]);
  });
  afterAll(async () => {
    dns.setServers(servers);
    names.close();
    await plain.stop();
  });

  it.each([
    'not a url',
    '/push',
    'http://push.example.org/x',
    'ftp://push.example.org/x',
    'javascript:alert(1)',
    'https://user@push.example.org/x',
    'https://user:pass@push.example.org/x',
    'https://localhost/x',
    'https://LOCALHOST./x',
    'https://a.localhost/x',
    'https://intranet/x',
    'https://127.0.0.1/x',
    'https://127.1/x',
    'https://2130706433/x',
    'https://0x7f.0.0.1/x',
    'https://0.0.0.0/x',
    'https://10.1.2.3/x',
    'https://100.64.0.1/x',
    'https://169.254.169.254/x',
    'https://172.31.255.255/x',
    'https://192.168.1.1/x',
    'https://198.18.0.1/x',
    'https://224.0.0.1/x',
    'https://255.255.255.255/x',
    'https://[::]/x',
    'https://[::1]/x',
    'https://[::ffff:127.0.0.1]/x',
    'https://[::ffff:8.8.8.8]/x',
    'https://[64:ff9b::7f00:1]/x',
    'https://[2002:7f00:1::]/x',
    'https://[2001::1]/x',
    'https://[fc00::1]/x',
    'https://[fd12:3456::1]/x',
    'https://[fe80::1]/x',
    'https://[ff02::1]/x',
    `https://push.example.org/${'x'.repeat(1024)}`,
  ])('is not %s', async (pushCallback) => {
    const body = { name: 'x', type: 'tv', ...new Subscriber().subscription(pushCallback) };
    const authorization = await signIn(plain, bob);
    const answer = await post(plain, 'account/device', body, authorization).expect(400);
    expect(answer.body.errno).toBe(107);
  });

  it('comes with keys that somebody can have', async () => {
    const { pushPublicKey, ...rest } = new Subscriber().subscription('https://push.example.org/x');
    const point = Buffer.from(pushPublicKey, 'base64url');
    const off = Buffer.from(point);
    off.writeUInt8(off.readUInt8(64) ^ 1, 64);
    const compressed = Buffer.from(point);
    compressed[0] = 3;
    for (const change of [
      { pushPublicKey: off.toString('base64url') },
      { pushPublicKey: compressed.toString('base64url') },
      { pushPublicKey: 'x' },
      { pushAuthKey: 'x' },
    ]) {
      const body = { name: 'x', type: 'tv', pushPublicKey, ...rest, ...change };
      const answer = await post(plain, 'account/device', body, await signIn(plain, bob));
      expect(answer).toMatchObject({ status: 400, body: { errno: 107 } });
    }
  });

  it('is the public internet also when the name is resolved', async () => {
    for (const name of ['inside', 'mixed', 'mixed6', 'mapped']) {
      const before = service.connections;
      const to = await subscribed(bob, service.at(`${name}.example.org`), plain);
      const { body } = await invoke(plain, bob.authorization, tab(to.id)).expect(200);
      expect([name, body.notifyError]).toEqual([name, 'expired push callback']);
      expect(await isExpired(bob, to.id, plain)).toBe(true);
      expect(service.connections).toBe(before);
    }
  });

  it('is connected to at the address that was checked, under its own name', async () => {
    const host = 'push.example.org';
    const other = await TestServer.start({ PUSH_HOSTS_ALLOWED: host });
    const account = await signUp(other);
    const to = await subscribed(account, service.at(host), other);
    const { body } = await invoke(other, account.authorization, tab(to.id)).expect(200);
    expect(body).toEqual({ enqueued: true, notified: true });
    expect(service.got.at(-1)).toMatchObject({
      ...{ path: to.path, headers: { host: `${host}:${service.port}` } },
    });
    await other.stop();
  });

  it('is resolved once, so that a second answer changes nothing', async () => {
    const before = service.connections;
    const to = await subscribed(bob, service.at('turning.example.org'), plain);
    const { body } = await invoke(plain, bob.authorization, tab(to.id)).expect(200);
    expect(body.notified).toBe(false);
    const asked = names.asked.filter((question) => question.endsWith('turning.example.org'));
    expect(asked.sort()).toEqual(['A turning.example.org', 'AAAA turning.example.org']);
    expect(service.connections).toBe(before);
  });

  it('costs no subscription when the name is not known', async () => {
    const to = await subscribed(bob, service.at('nowhere.example.org'), plain);
    const { body } = await invoke(plain, bob.authorization, tab(to.id)).expect(200);
    expect(body.notifyError).toBe('push service unreachable');
    expect(await isExpired(bob, to.id, plain)).toBe(false);
  });

  it('is judged again before a message is sent', async () => {
    const to = await subscribed(bob, 'https://push.example.org/x', plain);
    await plain.db.query(`UPDATE device SET push_callback = $2 WHERE id = $1`, [
      ...[to.id, service.at()],
    ]);
    const before = service.connections;
    const { body } = await invoke(plain, bob.authorization, tab(to.id)).expect(200);
    expect(body.notifyError).toBe('expired push callback');
    expect(service.connections).toBe(before);
  });
});

it('forgets the keys of a subscription with its address', async () => {
  const to = await subscribed(alice);
  const put = async (body: object) =>
    (await post(server, 'account/device', { id: to.id, ...body }, to.authorization)).body;
  const { pushPublicKey } = to.subscriber.subscription('');
  expect(await put({ name: 'still subscribed' })).toMatchObject({ pushPublicKey });
  expect(await put({ pushCallback: service.at() })).toMatchObject({
    ...{ pushPublicKey: null, pushAuthKey: null },
  });
  expect(await put({ pushCallback: '' })).toMatchObject({ pushCallback: null });
});
