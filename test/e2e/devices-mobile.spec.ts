import type { AttachedClient } from '#lib/protocol';
import { NEW_SESSION, OLD_SYNC } from '#lib/protocol';
import { type Account, signUp, tokenFor } from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import * as support from '../support/devices.ts';
import { TestServer } from '../support/test-server.ts';

const { device, devicesOf, FENIX, invoke, OPEN_URI, tab } = support;

let server: TestServer;
let alice: Account;
beforeAll(async () => {
  server = await TestServer.start();
});
beforeEach(async () => {
  alice = await signUp(server);
});
afterAll(() => server.stop());

const pixel = { name: 'Ada’s Pixel', type: 'mobile', availableCommands: { [OPEN_URI]: 'keys' } };

const phone = (scope?: string) => support.phone(server, alice, scope);
const put = (authorization: string, body: object = pixel) =>
  post(server, 'account/device', body, authorization);
const clients = async (): Promise<AttachedClient[]> =>
  (await get(server, 'account/attached_clients', alice.authorization).expect(200)).body;
const end = (body: object, authorization = alice.authorization) =>
  post(server, 'account/attached_client/destroy', body, authorization);

it('registers by the refresh token, and lists with everything that a phone reads', async () => {
  const { authorization } = await phone();
  expect(await devicesOf(server, authorization)).toEqual([]);
  const { body } = await put(authorization).expect(200);
  expect(body).toMatchObject({ ...pixel, isCurrentDevice: true });
  expect((await put(authorization, { id: body.id, name: 'renamed' }).expect(200)).body).toEqual({
    ...body,
    ...{ name: 'renamed', lastAccessTime: expect.any(Number) },
  });
  const laptop = await device(server, alice);
  const listed = await devicesOf(server, authorization);
  for (const one of listed) {
    expect(one).toMatchObject({
      ...{ id: expect.any(String), name: expect.any(String), type: expect.any(String) },
      ...{ availableCommands: expect.any(Object), pushEndpointExpired: expect.any(Boolean) },
      ...{ location: {}, isCurrentDevice: one.id === body.id },
    });
  }
  expect(listed.map(({ id }) => id).sort()).toEqual([body.id, laptop.id].sort());
});

it('sends tabs to a desktop and takes them', async () => {
  const { authorization } = await phone();
  const { id } = (await put(authorization).expect(200)).body;
  const laptop = await device(server, alice);
  await invoke(server, authorization, tab(laptop.id)).expect(200);
  await invoke(server, laptop.authorization, tab(id)).expect(200);
  for (const [to, sender] of [
    [laptop.authorization, id],
    [authorization, laptop.id],
  ]) {
    const { body } = await get(server, 'account/device/commands?index=1', to).expect(200);
    expect(body.messages).toEqual([
      { index: 1, data: { command: OPEN_URI, payload: { encrypted: 'abc' }, sender } },
    ]);
  }
  const notice = { to: 'all', payload: { version: 1, command: 'sync:collection_changed' } };
  await post(server, 'account/devices/notify', notice, authorization).expect(200, {});
});

it('keeps the device when the refresh token is used, and loses it with the token', async () => {
  const { authorization, refreshToken } = await phone();
  const { id } = (await put(authorization).expect(200)).body;
  const asked = { grant_type: 'refresh_token', client_id: FENIX, refresh_token: refreshToken };
  await post(server, 'oauth/token', { ...asked, scope: OLD_SYNC }).expect(200);
  expect((await devicesOf(server, authorization)).map((one) => one.id)).toEqual([id]);
  await post(server, 'oauth/destroy', { client_id: FENIX, token: refreshToken }).expect(200);
  expect((await get(server, 'account/devices', authorization).expect(401)).body.errno).toBe(110);
  expect(await devicesOf(server, alice.authorization)).toEqual([]);
});

it('ends the refresh token with the device', async () => {
  const { authorization, refreshToken } = await phone();
  const { id } = (await put(authorization).expect(200)).body;
  await post(server, 'account/device/destroy', { id }, alice.authorization).expect(200);
  expect((await put(authorization).expect(401)).body.errno).toBe(110);
  const asked = { token: refreshToken };
  const { body } = await server.request().post('/oauth/v1/introspect').send(asked).expect(200);
  expect(body).toEqual({ active: false });
});

it('signs itself out by its own device', async () => {
  const { authorization } = await phone();
  const { id } = (await put(authorization).expect(200)).body;
  await post(server, 'account/device/destroy', { id }, authorization).expect(200);
  await get(server, 'account/devices', authorization).expect(401);
});

it('is one client, also when it brought a session along', async () => {
  const { authorization, session } = await phone(`profile ${OLD_SYNC} ${NEW_SESSION}`);
  const { id } = (await put(authorization).expect(200)).body;
  const list = await clients();
  expect(list).toHaveLength(2);
  const mine = list.find(({ clientId }) => clientId === FENIX);
  expect(mine).toMatchObject({
    ...{ deviceId: id, deviceType: 'mobile', name: pixel.name, isCurrentSession: false },
    sessionTokenId: expect.stringMatching(/^[0-9a-f]{64}$/),
    refreshTokenId: expect.stringMatching(/^[0-9a-f]{64}$/),
    scope: expect.arrayContaining([OLD_SYNC]),
  });
  const { clientId, deviceId, sessionTokenId, refreshTokenId } = mine ?? {};
  await end({ clientId, deviceId, sessionTokenId, refreshTokenId }).expect(200);
  await get(server, 'account/devices', authorization).expect(401);
  await get(server, 'session/status', session).expect(401);
  expect(await clients()).toHaveLength(1);
});

it('is signed out by its refresh token, or with all of its app', async () => {
  const all = [await phone(), await phone(), await phone()];
  const [first] = (await clients()).filter(({ clientId }) => clientId === FENIX);
  const { refreshTokenId } = first ?? {};
  expect((await end({ clientId: 'demo-app', refreshTokenId }).expect(400)).body.errno).toBe(107);
  await end({ clientId: FENIX, refreshTokenId }).expect(200);
  await end({ clientId: FENIX, refreshTokenId }).expect(200);
  expect(await clients()).toHaveLength(3);
  await end({ clientId: FENIX }).expect(200);
  expect(await clients()).toHaveLength(1);
  for (const { authorization } of all) {
    await get(server, 'account/devices', authorization).expect(401);
  }
  await get(server, 'session/status', alice.authorization).expect(200);
});

it('is nothing that another account can name', async () => {
  const { authorization } = await phone();
  const mallory = await signUp(server);
  const [mine] = (await clients()).filter(({ clientId }) => clientId === FENIX);
  await end({ refreshTokenId: mine?.refreshTokenId }, mallory.authorization).expect(200);
  await end({ clientId: FENIX }, mallory.authorization).expect(200);
  await get(server, 'account/devices', authorization).expect(200);
});

it('hides devices from an app that does not sync', async () => {
  const { refresh_token } = await tokenFor(server, alice, {
    ...{ scope: 'keys:write offline_access', clientId: 'demo-app' },
  });
  const { body } = await get(server, 'account/devices', `Bearer ${refresh_token}`).expect(400);
  expect(body.errno).toBe(163);
});

it.each(['Bearer', 'Bearer short', `Bearer ${'a'.repeat(64)}`, `Bearer fxk_${'a'.repeat(64)}`])(
  'refuses %s',
  async (authorization) => {
    expect((await get(server, 'account/devices', authorization).expect(401)).body.errno).toBe(110);
  },
);
