import { ServerDescription } from '#lib/protocol';
import { bearerOf, mailedCode } from '../support/account.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

it('says at / what it is and what to do next', async () => {
  const { text, headers } = await server.request().get('/').expect(200);
  expect(text).toContain('npx lockstep sign-up');
  expect(headers).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
  });
  expect(headers['content-security-policy']).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
});

it('names its realm, the same at every time of asking', async () => {
  const ask = async () =>
    ServerDescription.parse((await server.request().get('/.well-known/lockstep')).body);
  expect(await ask()).toEqual(await ask());
});

it('verifies an address by a button, not by opening the link', async () => {
  const { uid, sessionToken } = (await post(server, 'account/create', credentials(anAddress())))
    .body;
  const code = await mailedCode(server, uid);
  const isVerified = async () =>
    (await get(server, 'recovery_email/status', bearerOf(sessionToken))).body.verified as boolean;
  const page = await server.request().get(`/verify_email?uid=${uid}&code=${code}`).expect(200);
  expect(page.text).toContain(`value="${code}"`);
  expect(await isVerified()).toBe(false);
  const wrong = { uid, code: '0'.repeat(32) };
  await server.request().post('/verify_email').type('form').send(wrong).expect(400);
  expect(await isVerified()).toBe(false);
  await server.request().post('/verify_email').type('form').send({ uid, code }).expect(200);
  expect(await isVerified()).toBe(true);
});

it('shows nothing of a link that is not one of ours', async () => {
  const evil = encodeURIComponent('"><script>alert(1)</script>');
  const { text } = await server.request().get(`/verify_email?uid=${evil}&code=x`).expect(400);
  expect(text).not.toContain('script');
  await server.request().post('/verify_email').type('form').send({ uid: evil }).expect(400);
});
