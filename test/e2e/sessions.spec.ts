import { deriveAuthPW, deriveToken, fromHex, quickStretch, toHex } from '#lib/crypto';
import { type Account, bearerOf, mails, signUp } from '../support/account.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const proofOf = async ({ email, password }: Account) => ({
  email,
  authPW: toHex(deriveAuthPW(await quickStretch(email, password))),
});
const tokenIdOf = (sessionToken: string) =>
  toHex(deriveToken(fromHex(sessionToken), 'sessionToken').id);

describe('session/reauth', () => {
  it('renews the session’s authAt, and gives the keys, but no other session', async () => {
    const alice = await signUp(server);
    const proof = await proofOf(alice);
    const before = (await get(server, 'account/sessions', alice.authorization)).body.length;
    server.clock.advance(100);
    const path = 'session/reauth?keys=true';
    const { body } = await post(server, path, proof, alice.authorization).expect(200);
    expect(body).toEqual({
      ...{ uid: alice.uid, verified: true },
      authAt: expect.any(Number),
      keyFetchToken: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(Math.abs(body.authAt - server.clock.seconds())).toBeLessThan(5);
    const after = await get(server, 'account/sessions', alice.authorization);
    expect(after.body).toHaveLength(before);
  });

  it('refuses a wrong password, and another account’s right one', async () => {
    const [alice, bob] = [await signUp(server), await signUp(server)];
    const refused = [credentials(alice.email), await proofOf(bob)];
    for (const body of refused) {
      const answer = await post(server, 'session/reauth', body, alice.authorization).expect(400);
      expect(answer.body).toMatchObject({ errno: 103, email: body.email });
    }
    await post(server, 'session/reauth', await proofOf(alice)).expect(401);
  });
});

describe('session/duplicate', () => {
  it('starts a session that is as old, and lives when the first ends', async () => {
    const alice = await signUp(server);
    const first = await post(server, 'session/duplicate', {}, alice.authorization).expect(200);
    server.clock.advance(60);
    const second = await post(server, 'session/duplicate', {}, alice.authorization).expect(200);
    expect(second.body.authAt).toBe(first.body.authAt);
    expect(second.body).toMatchObject({ uid: alice.uid, verified: true });
    await post(server, 'session/destroy', {}, alice.authorization).expect(200);
    await get(server, 'session/status', bearerOf(second.body.sessionToken)).expect(200);
    await post(server, 'session/duplicate', {}, alice.authorization).expect(401);
  });
});

describe('session/destroy', () => {
  it('ends another session of the account, by its token id or as lists name it', async () => {
    const alice = await signUp(server);
    for (const name of ['token id', 'list']) {
      const { body } = await post(server, 'session/duplicate', {}, alice.authorization);
      const { body: listed } = await get(
        server,
        'account/sessions',
        bearerOf(body.sessionToken),
      ).expect(200);
      const current = listed.find(
        (session: { isCurrentDevice: boolean }) => session.isCurrentDevice,
      );
      const customSessionToken = name === 'list' ? current.id : tokenIdOf(body.sessionToken);
      await post(server, 'session/destroy', { customSessionToken }, alice.authorization).expect(
        200,
      );
      await get(server, 'session/status', bearerOf(body.sessionToken)).expect(401);
    }
    await get(server, 'session/status', alice.authorization).expect(200);
  });

  it('refuses to end a session of another account', async () => {
    const [alice, bob] = [await signUp(server), await signUp(server)];
    const customSessionToken = tokenIdOf(bob.sessionToken);
    const answer = await post(
      server,
      'session/destroy',
      { customSessionToken },
      alice.authorization,
    ).expect(401);
    expect(answer.body.errno).toBe(110);
    await get(server, 'session/status', bob.authorization).expect(200);
    await get(server, 'session/status', alice.authorization).expect(200);
  });
});

describe('the digits that verify an address where one signed up', () => {
  const digitsOf = async (uid: string) => {
    const found = (await mails(server))
      .filter((mail) => mail.includes(`X-Uid: ${uid}`))
      .map((mail) => /^X-Signin-Verify-Code: (\d{6})$/m.exec(mail)?.[1])
      .filter((code) => code !== undefined);
    return found.at(-1) ?? '';
  };
  const unverified = async () => {
    const { body } = await post(server, 'account/create', credentials(anAddress())).expect(200);
    const session = bearerOf(body.sessionToken);
    const verify = (code: string) => post(server, 'session/verify_code', { code }, session);
    return { uid: body.uid as string, session, verify };
  };

  it('verify the account', async () => {
    const { uid, session, verify } = await unverified();
    await post(server, 'session/resend_code', {}, session).expect(200, {});
    await verify(await digitsOf(uid)).expect(200, {});
    const { body } = await get(server, 'session/status', session);
    expect(body.state).toBe('verified');
    await verify('000000').expect(200, {});
  });

  it('are spent by five wrong guesses, and by time', async () => {
    const { uid, session, verify } = await unverified();
    await post(server, 'session/resend_code', {}, session).expect(200);
    const digits = await digitsOf(uid);
    const wrong = digits === '123456' ? '654321' : '123456';
    for (let i = 0; i < 5; i++) expect((await verify(wrong).expect(400)).body.errno).toBe(183);
    expect((await verify(digits).expect(400)).body.errno).toBe(183);
    await post(server, 'session/resend_code', {}, session).expect(200);
    const later = await digitsOf(uid);
    server.clock.advance(1801);
    await verify(later).expect(400);
    expect((await verify('12345').expect(400)).body.errno).toBe(107);
  });

  it('are of no use to another account', async () => {
    const [mine, theirs] = [await unverified(), await unverified()];
    await post(server, 'session/resend_code', {}, mine.session).expect(200);
    await post(server, 'session/resend_code', {}, theirs.session).expect(200);
    await theirs.verify(await digitsOf(mine.uid)).expect(400);
  });
});

it('shows the account its settings, profile, addresses and sessions', async () => {
  const { uid, email, authorization } = await signUp(server);
  const emails = [{ email, isPrimary: true, verified: true }];
  const { body } = await get(server, 'account', authorization).expect(200);
  expect(body).toMatchObject({ uid, email, emails, hasPassword: true, credentialsVersion: 'v1' });
  expect((await get(server, 'recovery_emails', authorization).expect(200)).body).toEqual(emails);
  const profile = await get(server, 'account/profile', authorization).expect(200);
  expect(profile.body).toMatchObject({ email, authenticatorAssuranceLevel: 1 });
  const sessions = await get(server, 'account/sessions', authorization).expect(200);
  expect(sessions.body).toMatchObject([{ isCurrentDevice: true }]);
  for (const path of ['account', 'account/profile', 'account/sessions', 'recovery_emails']) {
    await get(server, path).expect(401);
  }
});

it('ends a session that was idle for four weeks, unless a device is registered in it', async () => {
  const [idle, used, device] = [await signUp(server), await signUp(server), await signUp(server)];
  const record = { name: 'mine', type: 'desktop' };
  await post(server, 'account/device', record, device.authorization).expect(200);
  server.clock.advance(27 * 86_400);
  await get(server, 'session/status', used.authorization).expect(200);
  server.clock.advance(2 * 86_400);
  expect((await get(server, 'session/status', idle.authorization).expect(401)).body.errno).toBe(
    110,
  );
  await get(server, 'session/status', used.authorization).expect(200);
  await get(server, 'session/status', device.authorization).expect(200);
});

it('tells monitors that it is there, and gives random bytes', async () => {
  const ask = (path: string) => server.request().get(path).expect(200);
  for (const root of ['/auth', '/auth/v1']) {
    expect((await ask(root)).body).toMatchObject({ version: '1' });
    expect((await ask(`${root}/__version__`)).body).toMatchObject({ version: '1' });
    for (const beat of ['__heartbeat__', '__lbheartbeat__']) {
      expect((await ask(`${root}/${beat}`)).body).toEqual({});
    }
  }
  const one = (await post(server, 'get_random_bytes', {}).expect(200)).body.data as string;
  expect(one).toMatch(/^[0-9a-f]{64}$/);
  expect((await post(server, 'get_random_bytes', {}).expect(200)).body.data).not.toBe(one);
});
