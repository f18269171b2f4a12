import { toHex, xor } from '#lib/crypto';
import { mails, signUp, tokenFor } from '../support/account.ts';
import { get, post } from '../support/account-api.ts';
import {
  addTotp,
  halfSignIn,
  nextCode,
  signUpTwoStep,
  totpAt,
  type TwoStep,
  wrongCode,
} from '../support/factors.ts';
import { fetchWrapKb, forget, stretch, typedBearer } from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const give = (authorization: string, code: string) =>
  post(server, 'session/verify/totp', { code }, authorization);
const giveBackup = (authorization: string, code: string) =>
  post(server, 'session/verify/recoveryCode', { code }, authorization);
const factors = async (authorization: string) =>
  (await get(server, 'factors', authorization).expect(200)).body as object;
const reauth = async ({ email, password, authorization }: TwoStep) => {
  const { authPW } = await stretch(email, password);
  await post(server, 'session/reauth', { email, authPW }, authorization).expect(200);
};
const mailsTo = async (uid: string) =>
  (await mails(server)).filter((mail) => mail.includes(`X-Uid: ${uid}`)).join('\n');

describe('who answers with passkeys that nobody asked for, many at once', () => {
  const response = (more: object) => ({
    ...{ id: 'a'.repeat(22), rawId: 'a'.repeat(22), type: 'public-key' },
    ...{ clientExtensionResults: {}, response: { clientDataJSON: 'aaaa', ...more } },
  });

  it.each([
    ['to keep them', 'passkey/registration/finish', { attestationObject: 'aaaa', transports: [] }],
    ['as a factor', 'session/verify/passkey', { authenticatorData: 'aaaa', signature: 'aaaa' }],
  ])('holds up nobody: %s', async (_, path, more) => {
    const { authorization } = await signUp(server);
    const body = { name: 'a key', response: response(more) };
    const asked = Array.from({ length: 25 }, () => post(server, path, body, authorization));
    // 229: nothing was asked. And none waited for the database in vain.
    const numbers = (await Promise.all(asked)).map((answer) => answer.body.errno as number);
    expect(new Set(numbers)).toEqual(new Set([229]));
  });
});

describe('an authenticator', () => {
  it('is a factor only after a code shows that it has the secret', async () => {
    const { authorization } = await signUp(server);
    expect(await factors(authorization)).toEqual({ totp: false, passkeys: 0, backupCodes: 0 });
    const { body } = await post(server, 'totp/create', {}, authorization).expect(200);
    expect(body.otpauthUrl).toMatch(
      new RegExp(
        `^otpauth://totp/.*secret=${body.secret as string}&algorithm=SHA1&digits=6&period=30$`,
      ),
    );
    expect(body.qrCodeUrl).toMatch(/^data:image\/svg\+xml;base64,/);
    expect(await factors(authorization)).toMatchObject({ totp: false });
    const wrong = await give(authorization, wrongCode(server, body.secret)).expect(400);
    expect(wrong.body.errno).toBe(183);
    expect(await factors(authorization)).toMatchObject({ totp: false });
    const given = await give(authorization, nextCode(server, body.secret)).expect(200);
    expect(given.body.success).toBe(true);
    expect(new Set(given.body.recoveryCodes as string[]).size).toBe(10);
    expect(await factors(authorization)).toEqual({ totp: true, passkeys: 0, backupCodes: 10 });
    const exists = await get(server, 'totp/exists', authorization).expect(200);
    expect(exists.body).toEqual({ exists: true, verified: true });
  });

  it('is one for an account, and is not replaced behind its back', async () => {
    const { authorization } = await signUpTwoStep(server);
    const { body } = await post(server, 'totp/create', {}, authorization).expect(400);
    expect(body.errno).toBe(154);
  });

  it('takes the code before and after, and none that is further away', async () => {
    const { secret, authorization } = await signUpTwoStep(server);
    server.clock.advance(300);
    const now = server.clock.seconds();
    for (const delta of [-60, 60]) {
      expect((await give(authorization, totpAt(secret, now + delta))).body.errno).toBe(183);
    }
    await give(authorization, totpAt(secret, now - 30)).expect(200);
    await give(authorization, totpAt(secret, now + 30)).expect(200);
  });

  it('takes each code once, and none that is older than one that was taken', async () => {
    const { secret, authorization } = await signUpTwoStep(server);
    const code = nextCode(server, secret);
    const before = totpAt(secret, server.clock.seconds() - 30);
    await give(authorization, code).expect(200);
    expect((await give(authorization, code).expect(400)).body.errno).toBe(183);
    expect((await give(authorization, before).expect(400)).body.errno).toBe(183);
  });

  it('lets one in of five who give the same code at once', async () => {
    const account = await signUpTwoStep(server);
    const halves = await Promise.all(Array.from({ length: 5 }, () => halfSignIn(server, account)));
    const code = nextCode(server, account.secret);
    const answers = await Promise.all(halves.map(({ authorization }) => give(authorization, code)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400]);
  });

  it('is kept so that neither the secret nor a backup code stands in the database', async () => {
    const { uid, secret, backupCodes } = await signUpTwoStep(server);
    const rows = await server.db.query(
      `SELECT encode(secret, 'escape') AS text, length(secret) AS length FROM totp WHERE uid = $1`,
      [uid],
    );
    expect(rows[0].length).toBe(12 + 20 + 16);
    expect(rows[0].text).not.toContain(secret);
    const codes = await server.db.query(`SELECT hash FROM backup_code WHERE uid = $1`, [uid]);
    expect(codes).toHaveLength(10);
    expect(JSON.stringify(codes)).not.toContain(backupCodes[0]);
  });

  it('still works when the operator puts a secret of his own before the one there was', async () => {
    const one = await TestServer.start({ FACTORS_SECRET: 'a'.repeat(32) });
    const account = await signUpTwoStep(one);
    Object.assign(one.config, { factorsSecrets: ['a'.repeat(32), 'b'.repeat(32)] });
    const { authorization } = await halfSignIn(one, account);
    const code = nextCode(one, account.secret);
    await post(one, 'session/verify/totp', { code }, authorization).expect(200);
    const [backup = ''] = account.backupCodes;
    await post(one, 'session/verify/recoveryCode', { code: backup }, authorization).expect(200);
    await one.stop();
  });
});

describe('a sign-in with a second factor', () => {
  it('opens nothing by the password alone, and says what is missing', async () => {
    const account = await signUpTwoStep(server);
    const half = await halfSignIn(server, account, '?keys=true');
    expect(half).toMatchObject({
      verified: false,
      emailVerified: true,
      sessionVerified: false,
      verificationMethod: 'totp-2fa',
      verificationReason: 'login',
    });
    const { authorization, keyFetchToken } = half;
    const status = await get(server, 'session/status', authorization).expect(200);
    expect(status.body).toEqual({
      ...{ state: 'unverified', uid: account.uid },
      details: {
        accountEmailVerified: true,
        sessionVerificationMethod: null,
        sessionVerified: false,
        sessionVerificationMeetsMinimumAAL: false,
      },
      ...{ verificationMethod: 'totp-2fa', verificationReason: 'login' },
    });
    const email = await get(server, 'recovery_email/status', authorization).expect(200);
    expect(email.body).toMatchObject({
      verified: false,
      emailVerified: true,
      sessionVerified: false,
    });
    const fetched = await get(
      server,
      'account/keys',
      typedBearer('keyFetchToken', keyFetchToken ?? ''),
    ).expect(400);
    expect(fetched.body.errno).toBe(138);
  });

  it('is whole after a code: keys, and a session that says how it was made', async () => {
    const account = await signUpTwoStep(server);
    const { authorization, keyFetchToken } = await halfSignIn(server, account, '?keys=true');
    await give(authorization, nextCode(server, account.secret)).expect(200, { success: true });
    const { unwrap } = await stretch(account.email, account.password);
    expect(toHex(xor(await fetchWrapKb(server, keyFetchToken), unwrap))).toBe(toHex(account.kB));
    const { body } = await get(server, 'session/status', authorization).expect(200);
    expect(body).toMatchObject({
      state: 'verified',
      details: { sessionVerificationMethod: 'totp-2fa', sessionVerificationMeetsMinimumAAL: true },
    });
    expect(await mailsTo(account.uid)).toContain('Subject: A new sign-in to your account');
  });

  it('takes a backup code in the place of the authenticator, once, however it is typed', async () => {
    const account = await signUpTwoStep(server);
    const [code = ''] = account.backupCodes;
    const first = await halfSignIn(server, account);
    const typed = ` ${code.toLowerCase().replace('-', ' ')}`;
    await giveBackup(first.authorization, typed).expect(200, { remaining: 9 });
    const second = await halfSignIn(server, account);
    expect((await giveBackup(second.authorization, code).expect(400)).body.errno).toBe(156);
    expect(await mailsTo(account.uid)).toContain('Subject: A backup code was used');
    const { body } = await get(server, 'session/status', first.authorization).expect(200);
    expect(body.details.sessionVerificationMethod).toBe('recovery-code');
  });

  it('lets one in of five who give the same backup code at once', async () => {
    const account = await signUpTwoStep(server);
    const [code = ''] = account.backupCodes;
    const halves = await Promise.all(Array.from({ length: 5 }, () => halfSignIn(server, account)));
    const answers = await Promise.all(
      halves.map(({ authorization }) => giveBackup(authorization, code)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400]);
  });

  it('does not wait for longer than an hour', async () => {
    const account = await signUpTwoStep(server);
    const { authorization } = await halfSignIn(server, account);
    server.clock.advance(3601);
    expect((await get(server, 'session/status', authorization).expect(401)).body.errno).toBe(110);
  });

  it('is no event and no entry among the sessions before it is whole', async () => {
    const account = await signUpTwoStep(server);
    const { authorization } = await halfSignIn(server, account);
    const events = async () => {
      const { body } = await get(server, 'securityEvents', account.authorization).expect(200);
      return (body as { name: string }[]).map(({ name }) => name);
    };
    expect(await events()).not.toContain('account.login');
    const listed = await get(server, 'account/sessions', account.authorization).expect(200);
    expect(listed.body).toHaveLength(1);
    await give(authorization, wrongCode(server, account.secret)).expect(400);
    await give(authorization, nextCode(server, account.secret)).expect(200);
    expect((await events()).slice(0, 2)).toEqual([
      'account.login',
      'account.two_factor_challenge_failure',
    ]);
  });

  it('says how it was made to the apps', async () => {
    const account = await signUpTwoStep(server);
    const claimsOf = async (authorization: string) => {
      const asked = { scope: 'openid', clientId: 'demo-app' };
      const { id_token: token = '' } = await tokenFor(server, { ...account, authorization }, asked);
      const [, claims = ''] = token.split('.');
      return JSON.parse(Buffer.from(claims, 'base64url').toString()) as object;
    };
    const byTotp = await halfSignIn(server, account);
    await give(byTotp.authorization, nextCode(server, account.secret)).expect(200);
    expect(await claimsOf(byTotp.authorization)).toMatchObject({
      ...{ acr: 'AAL2', amr: ['pwd', 'otp', 'mfa'], auth_time: byTotp.authAt },
    });
    const plain = await signUp(server);
    const asked = { scope: 'openid', clientId: 'demo-app' };
    const { id_token: token = '' } = await tokenFor(server, plain, asked);
    expect(
      JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()),
    ).toMatchObject({
      ...{ acr: 'AAL1', amr: ['pwd'] },
    });
  });

  it('is refused to who wants a second factor of an account that has none', async () => {
    const { email, password } = await signUp(server);
    const { authPW } = await stretch(email, password);
    const asked = { email, authPW, verificationMethod: 'totp-2fa' };
    expect((await post(server, 'account/login', asked).expect(400)).body.errno).toBe(160);
  });
});

describe('backup codes', () => {
  it('are replaced all at once, by who has just given password and factor', async () => {
    const account = await signUpTwoStep(server);
    const { authorization } = account;
    const { body } = await post(server, 'recoveryCodes', {}, authorization).expect(200);
    expect(body.recoveryCodes).toHaveLength(10);
    await giveBackup(authorization, account.backupCodes[0] ?? '').expect(400);
    await giveBackup(authorization, body.recoveryCodes[0]).expect(200, { remaining: 9 });
    await get(server, 'recoveryCodes/exists', authorization).expect(200, {
      hasBackupCodes: true,
      count: 9,
    });
  });

  it('are there with a factor alone', async () => {
    const { authorization } = await signUp(server);
    expect((await post(server, 'recoveryCodes', {}, authorization).expect(400)).body.errno).toBe(
      155,
    );
  });
});

describe('what needs password and factor anew', () => {
  /** What is asked for, in a session; each changes nothing when it is refused. */
  const dangerous: [string, string, string, object?][] = [
    ['a secret', 'POST', 'totp/create'],
    ['an authenticator that goes', 'POST', 'totp/destroy'],
    ['backup codes', 'POST', 'recoveryCodes'],
    ['a passkey', 'POST', 'passkey/registration/start'],
    ['a passkey that is kept', 'POST', 'passkey/registration/finish'],
    ['a passkey that goes', 'DELETE', 'passkey/abc'],
    ['a recovery key', 'POST', 'recoveryKey'],
    ['a recovery key that is enabled', 'POST', 'recoveryKey/verify'],
    ['a recovery key that goes', 'DELETE', 'recoveryKey'],
  ];
  const ask = (method: string, path: string, authorization: string) => {
    const agent = server.request();
    const asked =
      method === 'DELETE' ? agent.delete(`/auth/v1/${path}`) : agent.post(`/auth/v1/${path}`);
    return asked.set('authorization', authorization).send(method === 'DELETE' ? undefined : {});
  };

  it('is refused in a session whose password was given six minutes ago', async () => {
    const { authorization } = await signUp(server);
    server.clock.advance(360);
    for (const [what, method, path] of dangerous) {
      const { body } = await ask(method, path, authorization);
      expect([what, body.errno]).toEqual([what, 164]);
    }
  });

  it('is refused when the password is fresh and the factor is not', async () => {
    const account = await signUpTwoStep(server);
    server.clock.advance(360);
    await reauth(account);
    for (const [what, method, path] of dangerous) {
      const { body } = await ask(method, path, account.authorization);
      expect([what, body.errno]).toEqual([what, 160]);
    }
    const { authPW } = await stretch(account.email, account.password);
    const change = { email: account.email, oldAuthPW: authPW };
    const started = post(server, 'password/change/start', change, account.authorization);
    expect((await started.expect(400)).body.errno).toBe(160);
    const end = { email: account.email, authPW };
    for (const by of [account.authorization, undefined]) {
      expect((await post(server, 'account/destroy', end, by).expect(400)).body.errno).toBe(160);
    }
  });

  it('goes on when both were given again', async () => {
    const account = await signUpTwoStep(server);
    server.clock.advance(360);
    await reauth(account);
    await give(account.authorization, nextCode(server, account.secret)).expect(200);
    await post(server, 'totp/destroy', {}, account.authorization).expect(200, {});
    expect(await factors(account.authorization)).toEqual({
      totp: false,
      passkeys: 0,
      backupCodes: 0,
    });
    expect(await mailsTo(account.uid)).toContain('Subject: Your authenticator was removed');
    expect(await halfSignIn(server, account)).toMatchObject({ verified: true });
  });

  it('is refused in a session from before there was a factor, which otherwise goes on', async () => {
    const account = await signUp(server);
    const old = await halfSignIn(server, account);
    const { secret } = await addTotp(server, account.authorization);
    await get(server, 'account/sessions', old.authorization).expect(200);
    const { body } = await post(server, 'totp/destroy', {}, old.authorization).expect(400);
    expect(body.errno).toBe(160);
    // Nor does it get keys by the password, before it gives the factor.
    const { authPW } = await stretch(account.email, account.password);
    const again = { email: account.email, authPW };
    const given = await post(server, 'session/reauth?keys=true', again, old.authorization).expect(
      200,
    );
    const by = typedBearer('keyFetchToken', given.body.keyFetchToken);
    expect((await get(server, 'account/keys', by).expect(400)).body.errno).toBe(138);
    await give(old.authorization, nextCode(server, secret)).expect(200);
    await get(server, 'account/keys', by).expect(200);
  });

  it('ends the half sign-ins of others when the last factor goes', async () => {
    const account = await signUpTwoStep(server);
    const half = await halfSignIn(server, account);
    await post(server, 'totp/destroy', {}, account.authorization).expect(200);
    await get(server, 'session/status', half.authorization).expect(401);
  });

  it('keeps a change of the password whole: the new session has the factor', async () => {
    const account = await signUpTwoStep(server);
    const { email, authorization } = account;
    const { authPW } = await stretch(email, account.password);
    const begun = await post(
      server,
      'password/change/start',
      { email, oldAuthPW: authPW },
      authorization,
    ).expect(200);
    const next = await stretch(email, 'another');
    const finish = { authPW: next.authPW, wrapKb: toHex(xor(account.kB, next.unwrap)) };
    const by = typedBearer('passwordChangeToken', begun.body.passwordChangeToken);
    const { body } = await post(server, 'password/change/finish', finish, by).expect(200);
    expect(body).toMatchObject({ verified: true });
  });
});

describe('a reset of the password', () => {
  it('needs the second factor, too, and gives a session that has it', async () => {
    const account = await signUpTwoStep(server);
    const by = typedBearer('accountResetToken', await forget(server, account));
    const { authPW } = await stretch(account.email, 'another');
    for (const [path, body] of [
      ['account/reset', { authPW, sessionToken: true }],
      ['recoveryKey/exists', {}],
    ] as const) {
      expect((await post(server, path, body, by).expect(400)).body.errno).toBe(160);
    }
    expect((await get(server, `recoveryKey/${'ab'.repeat(16)}`, by).expect(400)).body.errno).toBe(
      160,
    );
    await get(server, 'totp/verify', by).expect(200, { totp: true, passkeys: 0, backupCodes: 10 });
    const wrong = wrongCode(server, account.secret);
    expect((await post(server, 'totp/verify', { code: wrong }, by).expect(400)).body.errno).toBe(
      183,
    );
    await post(server, 'totp/verify', { code: nextCode(server, account.secret) }, by).expect(200);
    const reset = { authPW, sessionToken: true };
    const { body } = await post(server, 'account/reset', reset, by).expect(200);
    expect(body.verified).toBe(true);
    expect(await factors(typedBearer('sessionToken', body.sessionToken))).toMatchObject({
      totp: true,
    });
  });

  it('takes a backup code in its place', async () => {
    const account = await signUpTwoStep(server);
    const by = typedBearer('accountResetToken', await forget(server, account));
    const [code = ''] = account.backupCodes;
    const given = post(server, 'totp/verify/recoveryCode', { code }, by);
    await given.expect(200, { remaining: 9 });
    const { authPW } = await stretch(account.email, 'another');
    await post(server, 'account/reset', { authPW }, by).expect(200, {});
  });

  it('asks for nothing of who has no second factor', async () => {
    const account = await signUp(server);
    const by = typedBearer('accountResetToken', await forget(server, account));
    const { body } = await post(server, 'totp/verify', { code: '123456' }, by).expect(400);
    expect(body.errno).toBe(155);
    const { authPW } = await stretch(account.email, 'another');
    await post(server, 'account/reset', { authPW }, by).expect(200, {});
  });
});
