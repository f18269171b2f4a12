import { ServerDescription } from '#lib/protocol';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const assetsIn = (html: string) =>
  [...html.matchAll(/"(\/assets\/[^"]+)"/g)].map(([, at]) => at ?? '');

it('serves one document to every page, never kept and never framed', async () => {
  const first = await server.request().get('/').expect(200);
  expect(first.headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  const policy = first.headers['content-security-policy'];
  expect(policy).toMatch(/default-src 'none'; script-src 'self';.*frame-ancestors 'none'/);
  expect(policy).not.toMatch(/unsafe|data:|http|\*/);
  const link = `/verify_email?uid=${'0'.repeat(32)}&code=${encodeURIComponent('"><script>')}`;
  for (const path of ['/signin', '/settings/clients', '/oauth2/interaction/x', link]) {
    const { text, headers } = await server.request().get(path).expect(200);
    expect(text).toBe(first.text);
    expect(headers['content-security-policy']).toBe(policy);
  }
});

it('has no script or style in the document, and none of another host', async () => {
  const { text } = await server.request().get('/');
  expect(text).not.toMatch(/<script(?![^>]* src=)|<style| style=| on[a-z]+=|https?:/);
  expect(assetsIn(text).length).toBeGreaterThan(2);
});

it('gives scripts and styles out for ever, compressed for those who take it', async () => {
  const { text } = await server.request().get('/');
  for (const path of assetsIn(text)) {
    const { headers } = await server.request().get(path).set('accept-encoding', 'gzip').expect(200);
    expect(headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-encoding': 'gzip',
      'x-content-type-options': 'nosniff',
    });
    const plain = await server.request().get(path).set('accept-encoding', 'identity').expect(200);
    expect(plain.headers).not.toHaveProperty('content-encoding');
  }
});

it('gives out no other file', async () => {
  for (const name of ['index.html', '..%2findex.html', '..%2f..%2f..%2fpackage.json', 'x.js']) {
    await server.request().get(`/assets/${name}`).expect(404);
  }
});

it('shows a person who follows a link to nowhere a page, and a program a problem', async () => {
  const asPerson = (path: string) =>
    server.request().get(path).set('sec-fetch-mode', 'navigate').expect(404);
  for (const path of ['/nowhere', '/settings/nowhere', '/pair/nowhere']) {
    const { headers, text } = await asPerson(path);
    expect(headers['content-type']).toBe('text/html; charset=utf-8');
    expect(headers['content-security-policy']).toMatch(
      /default-src 'none'.*frame-ancestors 'none'/,
    );
    expect(text).toContain('<main><h1>Not Found</h1>');
  }
  expect((await asPerson('/auth/v1/nowhere')).body).toMatchObject({ errno: 116 });
  const { headers } = await server.request().get('/nowhere').expect(404);
  expect(headers['content-type']).toMatch('application/problem+json');
  await server
    .request()
    .get('/style.css')
    .expect(200)
    .expect('content-type', /^text\/css/);
  await server.request().get('/favicon.ico').expect(200).expect('content-type', 'image/svg+xml');
});

it('names its realm, the same at every time of asking', async () => {
  const ask = async () =>
    ServerDescription.parse((await server.request().get('/.well-known/lockstep')).body);
  expect(await ask()).toEqual(await ask());
});
