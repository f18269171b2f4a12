import { legacyUser } from '../support/legacy.ts';
import { type StorageClient, storageUser } from '../support/storage.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let user: StorageClient;
beforeAll(async () => {
  server = await TestServer.start();
  user = await storageUser(server);
});
afterAll(() => server.stop());

const ORIGIN = 'https://notes.example.org';
const preflight = (path: string, headers: Record<string, string>) =>
  fetch(server.url + path, { method: 'OPTIONS', headers });

describe('a page of another origin', () => {
  it.each([
    '/storage/1.5/1/storage/tabs/a',
    '/1.5/1/__heartbeat__',
    '/1.1/nobody/storage',
    '/token/1.0/sync/1.5',
    '/1.0/sync/1.5',
    ...['/keys/v1/me', '/files/v1/config', '/deposit/v1/a', '/profile/v1/profile'],
  ])('asks without credentials what it may do with %s', async (path) => {
    for (const origin of [ORIGIN, 'localhost', 'null']) {
      const reply = await preflight(path, {
        origin,
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization,content-type',
      });
      expect([reply.status, await reply.text()]).toEqual([200, '']);
      const { headers } = reply;
      expect(headers.get('access-control-allow-origin')).toBe(origin);
      expect(headers.get('access-control-allow-methods')).toBe('GET, PUT, POST, DELETE');
      expect(headers.get('access-control-allow-headers')).toBe('authorization,content-type');
      expect(Number(headers.get('access-control-max-age'))).toBeGreaterThan(0);
      expect(headers.get('vary')).toBe('origin');
      // Nothing goes along by itself, so nobody is to rely on it.
      expect(headers.get('access-control-allow-credentials')).toBeNull();
    }
  });

  it('reads the replies, refusals too, and the headers that a client needs', async () => {
    const headers = { origin: ORIGIN };
    const stored = await user.request('PUT', '/storage/c/a', { body: { payload: 'x' }, headers });
    const listed = await user.request('GET', '/storage/c', { headers });
    const missing = await user.request('GET', '/storage/c/b', { headers });
    const unknown = await user.request('GET', '/storage/c', { authorization: '', headers });
    const legacy = await (await legacyUser(server)).get('/info/collections', headers);
    const token = await fetch(`${server.url}/token/1.0/sync/1.5`, { headers });
    const statuses = [stored, listed, missing, unknown, legacy, token].map(({ status }) => status);
    expect(statuses).toEqual([200, 200, 404, 401, 200, 401]);
    for (const reply of [stored, listed, missing, unknown]) {
      expect(reply.headers['access-control-allow-origin']).toBe(ORIGIN);
      expect(reply.headers['access-control-expose-headers']).toContain('x-last-modified');
    }
    for (const reply of [legacy, token]) {
      expect(reply.headers.get('access-control-allow-origin')).toBe(ORIGIN);
      expect(reply.headers.get('access-control-expose-headers')).toContain('x-timestamp');
    }
  });

  it('is told nothing elsewhere', async () => {
    const asked = { origin: ORIGIN, 'access-control-request-method': 'POST' };
    const reply = await preflight('/auth/v1/account/login', asked);
    expect(reply.headers.get('access-control-allow-origin')).toBeNull();
  });
});

it('an OPTIONS that is no preflight is a method that storage does not have', async () => {
  expect((await preflight('/1.5/1/storage/c', { origin: ORIGIN })).status).toBe(405);
  const asked = { 'access-control-request-method': 'GET' };
  expect((await preflight('/1.5/1/storage/c', asked)).status).toBe(405);
  const own = await user.get('/storage/c');
  expect(own.headers['access-control-allow-origin']).toBeUndefined();
});
