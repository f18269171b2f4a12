import { connect } from 'node:net';
import { HealthController } from '../../apps/server/src/platform/health.controller.ts';
import { TestServer } from '../support/test-server.ts';

type Check = (reply: { status: number; type: string; text: string }) => void;

const problem: Check = ({ status, type, text }) => {
  expect(type).toMatch(/^application\/problem\+json/);
  expect(JSON.parse(text)).toMatchObject({
    type: expect.stringMatching(/^\/problems\//),
    status,
    detail: expect.any(String),
  });
};
const fxa: Check = ({ status, type, text }) => {
  expect(type).toMatch(/^application\/json/);
  expect(JSON.parse(text)).toMatchObject({
    code: status,
    errno: expect.any(Number),
    error: expect.any(String),
    message: expect.any(String),
  });
};
const oauth: Check = ({ type, text }) => {
  expect(type).toMatch(/^application\/json/);
  expect(JSON.parse(text)).toMatchObject({ error: expect.stringMatching(/^[a-z_]+$/) });
};
const token: Check = ({ type, text }) => {
  expect(type).toMatch(/^application\/json/);
  expect(JSON.parse(text)).toMatchObject({
    status: expect.any(String),
    errors: [{ location: expect.any(String), description: expect.any(String) }],
  });
};
const weave: Check = ({ type, text }) => {
  expect(type).toMatch(/^application\/json/);
  expect(text).toMatch(/^\d+$/);
};

const page: Check = ({ type, text }) => {
  expect(type).toBe('text/html; charset=utf-8');
  expect(text).toMatch(/^<!doctype html>/);
};

/** An address of each API that takes a JSON body, or at least exists. */
const apis: [prefix: string, format: Check, method: 'post' | 'put', path: string][] = [
  ['/auth/v1', fxa, 'post', '/auth/v1/account/create'],
  ['/profile/v1', fxa, 'post', '/profile/v1/profile'],
  ['/oauth2', oauth, 'post', '/oauth2/token'],
  ['/token/1.0/sync/1.5', token, 'post', '/token/1.0/sync/1.5'],
  ['/1.0/sync/1.5', token, 'post', '/1.0/sync/1.5'],
  ['/storage/1.5', weave, 'put', '/storage/1.5/1/storage/things/a'],
  ['/storage/1.1', weave, 'put', '/storage/1.1/1/storage/things/a'],
  ['/1.5', weave, 'put', '/1.5/1/storage/things/a'],
  ['/1.1', weave, 'put', '/1.1/1/storage/things/a'],
  ['/keys/v1', problem, 'put', '/keys/v1/me'],
  ['/files/v1', problem, 'put', '/files/v1/mine/files/a'],
  ['/deposit/v1', problem, 'put', '/deposit/v1/1/a'],
  ['/spaces/v1', problem, 'put', '/spaces/v1/a'],
  ['/links/v1', problem, 'put', '/links/v1/a'],
  ['/node/v1', problem, 'put', '/node/v1/a'],
  ['/.well-known', problem, 'put', '/.well-known/openid-configuration'],
  ['/oauth', page, 'post', '/oauth/signin'],
  ['/settings', page, 'post', '/settings'],
  ['/pair', page, 'post', '/pair/auth'],
  ['/connect_another_device', page, 'post', '/connect_another_device'],
  ['/verify_email', page, 'post', '/verify_email'],
];

describe('Bad input', () => {
  let server: TestServer;
  beforeAll(async () => {
    server = await TestServer.start();
  });
  afterAll(() => server.stop());

  const replyOf = async (path: string, init: RequestInit = {}) => {
    const reply = await fetch(`${server.url}${path}`, init);
    const text = await reply.text();
    return { status: reply.status, type: reply.headers.get('content-type') ?? '', text };
  };

  describe.each(apis)('to %s is answered in its own format:', (prefix, format, method, path) => {
    const send = (body: string, contentType: string) =>
      replyOf(path, { method, body, headers: { 'content-type': contentType } });
    const expectRefusal = (reply: Awaited<ReturnType<typeof replyOf>>) => {
      expect(reply.status).toBeGreaterThanOrEqual(400);
      expect(reply.status).toBeLessThan(500);
      format(reply);
    };

    it('an unknown path', async () => {
      const reply = await replyOf(`${prefix}/no/such/thing/anywhere?email=a@example.com`);
      expectRefusal(reply);
      expect(reply.status).toBe(404);
      expect(reply.text).not.toContain('example.com');
    });

    it('malformed JSON', async () => {
      expectRefusal(await send('{"email": ', 'application/json'));
    });

    it.each(['null', '7', '"text"', '[]', '[[]]', '{"__proto__": {"a": 1}}', ''])(
      'the wrong type %j',
      async (body) => {
        expectRefusal(await send(body, 'application/json'));
      },
    );

    it('a wrong media type', async () => {
      expectRefusal(await send('<a/>', 'application/xml'));
    });

    it('an oversized body', async () => {
      const tooLarge = 3 * 1024 * 1024;
      expectRefusal(await send(`"${'x'.repeat(tooLarge)}"`, 'application/json'));
    });

    it('a malformed escape in the path', async () => {
      expectRefusal(await replyOf(`${prefix}/%zz`));
    });

    it('a path part beyond every limit', async () => {
      expectRefusal(await replyOf(`${path}/${'a'.repeat(5000)}`));
    });

    it('a foreign authorization', async () => {
      for (const authorization of [
        'Bearer nonsense',
        'Hawk id="x"',
        'Basic eDp5',
        'Bearer',
        '\t',
      ]) {
        expectRefusal(await replyOf(path, { method, headers: { authorization } }));
      }
    });
  });

  it('that is no HTTP at all ends that connection only', async () => {
    const { hostname, port } = new URL(server.url);
    const answer = await new Promise<string>((done, failed) => {
      let text = '';
      connect(Number(port), hostname)
        .on('data', (chunk) => (text += chunk.toString()))
        .on('error', failed)
        .on('close', () => {
          done(text);
        })
        .end('no such protocol\r\n\r\n');
    });
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    await server.request().get('/healthz').expect(200);
  });

  it.each([
    ['application/x-www-form-urlencoded', 'email=a@example.com'],
    ['text/plain', '{"email": "a@example.com"}'],
  ])('is what any site can send from a browser: %s', async (type, body) => {
    const reply = await replyOf('/auth/v1/account/status', {
      method: 'POST',
      body,
      headers: { 'content-type': type },
    });
    expect(reply.status).toBe(415);
    fxa(reply);
  });

  it('says what does not fit, and where, and repeats no value', async () => {
    const reply = await replyOf('/auth/v1/account/login', {
      method: 'POST',
      body: JSON.stringify({ email: 'somebody', authPW: 5 }),
      headers: { 'content-type': 'application/json' },
    });
    expect(reply.status).toBe(400);
    const { message } = JSON.parse(reply.text) as { message: string };
    expect(message).toMatch(/email: .+\. authPW: /);
    expect(message).not.toContain('somebody');
    const code = await replyOf('/auth/v1/recovery_email/verify_code', {
      method: 'POST',
      body: JSON.stringify({ uid: 'a', code: 'b' }),
      headers: { 'content-type': 'application/json' },
    });
    expect(JSON.parse(code.text)).toMatchObject({ message: 'uid: Malformed. code: Malformed' });
  });

  it('never says what a crash was', async () => {
    await server.db.query('ALTER TABLE setting RENAME TO hidden');
    await server.db.query('ALTER TABLE account RENAME TO hidden_account');
    try {
      const { status, text } = await replyOf('/auth/v1/account/status', {
        method: 'POST',
        body: JSON.stringify({ email: 'a@example.com' }),
        headers: { 'content-type': 'application/json' },
      });
      expect(status).toBe(500);
      expect(JSON.parse(text)).toMatchObject({ code: 500, errno: 999 });
      expect(text).not.toMatch(/relation|account|at /);
    } finally {
      await server.db.query('ALTER TABLE hidden RENAME TO setting');
      await server.db.query('ALTER TABLE hidden_account RENAME TO account');
    }
  });
});

describe('Every reply', () => {
  it('carries the security headers, and promises TLS where there is TLS', async () => {
    for (const [publicUrl, hsts] of [
      ['http://localhost:8000', null],
      ['https://sync.example.com', 'max-age=31536000'],
    ] as const) {
      const server = await TestServer.start({ PUBLIC_URL: publicUrl });
      const address = `http://localhost:${server.config.port}`;
      for (const path of ['/healthz', '/nope', '/%zz', '/oauth2/jwks', '/oauth2/nope']) {
        const { headers } = await fetch(`${address}${path}`);
        expect([path, headers.get('x-content-type-options')]).toEqual([path, 'nosniff']);
        expect([path, headers.get('referrer-policy')]).toEqual([path, 'no-referrer']);
        expect([path, headers.get('strict-transport-security')]).toEqual([path, hsts]);
      }
      await server.stop();
    }
  });
});

describe('Health', () => {
  it('is up and ready, until it shuts down', async () => {
    const server = await TestServer.start();
    await server.request().get('/healthz').expect(200, { status: 'ok' });
    await server.request().get('/readyz').expect(200, { status: 'ready' });
    server.app.get(HealthController).beforeApplicationShutdown();
    const { body } = await server
      .request()
      .get('/readyz')
      .expect(503)
      .expect('content-type', /^application\/problem\+json/);
    expect(body).toMatchObject({ type: '/problems/unavailable', status: 503 });
    await server.request().get('/healthz').expect(200);
    await server.stop();
  });
});
