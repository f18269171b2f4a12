import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  concat,
  deriveAuthPW,
  deriveToken,
  deriveUnwrapBKey,
  fromHex,
  openKeysBundle,
  quickStretch,
  toHex,
  xor,
} from '#lib/crypto';
import { bearerOf, mailedCode, mails, signUp } from '../support/account.ts';
import { anAddress, credentials, get, hawk, post } from '../support/account-api.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const create = (body: object) => post(server, 'account/create?keys=true', body);
const login = (body: object) => post(server, 'account/login?keys=true', body);
const fxk = (token: string) =>
  `Bearer fxk_${toHex(deriveToken(fromHex(token), 'keyFetchToken').id)}`;

/** 0x20, 0x21 … as the published vectors count. */
const from = (first: number) => Uint8Array.from({ length: 32 }, (_, i) => first + i);

describe('onepw', () => {
  it('answers the published vectors, from the password to kB', async () => {
    const [email, password] = ['andré@example.org', 'pässwörd'];
    const uid = randomBytes(16).toString('hex');
    const now = server.clock.now();
    const insert = `INSERT INTO account (uid, email, normal_email, auth_salt, verify_hash,
        wrap_wrap_kb, ka, keys_changed_at, verifier_set_at, verified_at, created_at)
      VALUES ($1, $2, $2, $3, $4, $5, $6, $7, $7, $8, $8)`;
    await server.db.query(insert, [
      uid,
      email,
      Buffer.from(`00f0${'00'.repeat(30)}`, 'hex'),
      Buffer.from('a4765bf103dc057f4cf4bc2c131ddb6716e8a4333cc55e1d3c449f31f0eec4f1', 'hex'),
      Buffer.from(from(0x40)),
      Buffer.from(from(0x20)),
      now.getTime(),
      now,
    ]);
    const stretched = await quickStretch(email, password);
    const { body } = await login({ email, authPW: toHex(deriveAuthPW(stretched)) }).expect(200);
    expect(body).toMatchObject({ uid, verified: true });

    const { bundleKey } = deriveToken(fromHex(body.keyFetchToken), 'keyFetchToken');
    const authorization = await hawk(server, {
      token: body.keyFetchToken,
      kind: 'keyFetchToken',
      path: 'account/keys',
    });
    const keys = await get(server, 'account/keys', authorization).expect(200);
    const { kA, wrapKb } = openKeysBundle(bundleKey, fromHex(keys.body.bundle));
    expect(toHex(concat(kA, xor(wrapKb, deriveUnwrapBKey(stretched))))).toBe(
      toHex(from(0x20)) + 'a095c51c1c6e384e8d5777d97e3c487a4fc2128a00ab395a73d57fedf41631f0',
    );
  });

  it('gives every device of an account the same kB', async () => {
    const { email, password, kB } = await signUp(server);
    const stretched = await quickStretch(email, password);
    const { body } = await login({ email, authPW: toHex(deriveAuthPW(stretched)) });
    const { bundleKey } = deriveToken(fromHex(body.keyFetchToken), 'keyFetchToken');
    const keys = await get(server, 'account/keys', fxk(body.keyFetchToken)).expect(200);
    const { wrapKb } = openKeysBundle(bundleKey, fromHex(keys.body.bundle));
    expect(toHex(xor(wrapKb, deriveUnwrapBKey(stretched)))).toBe(toHex(kB));
  });

  it('makes no keyFetchToken unless asked', async () => {
    const { body } = await post(server, 'account/create', credentials(anAddress())).expect(200);
    expect(Object.keys(body).sort()).toEqual(['authAt', 'sessionToken', 'uid', 'verified']);
  });
});

describe('signing in', () => {
  it('refuses a wrong password', async () => {
    const { email } = await signUp(server);
    const { body } = await login(credentials(email)).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 103, email });
  });

  it('refuses an unknown address with the same answer', async () => {
    const email = anAddress();
    const { body } = await login(credentials(email)).expect(400);
    expect(body).toMatchObject({ code: 400, errno: 103, email });
  });

  it('refuses the password of an account that went away while it was checked', async () => {
    const body = credentials(anAddress());
    const { uid } = (await create(body).expect(200)).body;
    const other = server.db.createQueryRunner();
    await other.startTransaction();
    await other.query(`DELETE FROM account WHERE uid = $1`, [uid]);
    const done = { answer: false };
    const answer = login(body).then((reply) => {
      done.answer = true;
      return reply;
    });
    const waiting = `SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid IS NOT NULL`;
    while (!done.answer && (await server.db.query<unknown[]>(waiting)).length === 0);
    await other.commitTransaction();
    await other.release();
    expect(await answer).toMatchObject({ status: 400, body: { errno: 103 } });
  });

  it('says how an address is spelled, when the password does not fit another spelling', async () => {
    const local = `Mixed-${randomBytes(4).toString('hex')}`;
    const known = credentials(`${local}@example.org`);
    await create(known).expect(200);
    const email = known.email.toLowerCase();
    const { body } = await login(credentials(email)).expect(400);
    expect(body).toMatchObject({ errno: 120, email: known.email });
    await login({ ...known, email }).expect(200);
  });

  it('tells those beyond the queue when to come back', async () => {
    const narrow = await TestServer.start({ SCRYPT_CONCURRENCY: '1', SCRYPT_WAITING_MAX: '8' });
    const all = await Promise.all(
      Array.from({ length: 40 }, () =>
        post(narrow, 'account/login', credentials('nobody@example.org')),
      ),
    );
    const refused = all.filter(({ status }) => status === 503);
    // One is checked and 8 wait; those that are done while the last arrive make room for some.
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(40 - 9);
    const { body, headers } = refused[0] ?? {};
    expect(body).toMatchObject({ errno: 201, retryAfter: expect.any(Number) });
    expect(headers).toMatchObject({ 'retry-after': String(body.retryAfter) });
    expect(body.retryAfter).toBeGreaterThanOrEqual(1);
    await narrow.stop();
  });

  it('serves a hundred at once, each in its turn', async () => {
    const all = await Promise.all(
      Array.from({ length: 100 }, () =>
        post(server, 'account/login', credentials('nobody@example.org')),
      ),
    );
    expect(new Set(all.map(({ status, body }) => `${status} ${body.errno}`))).toEqual(
      new Set(['400 103']),
    );
  });
});

describe('signing up', () => {
  it('refuses an address that has a verified account, in any spelling', async () => {
    const { email } = await signUp(server);
    const { body } = await create(credentials(email.toUpperCase())).expect(400);
    expect(body).toMatchObject({ errno: 101, email });
  });

  it('replaces an account whose address was never verified', async () => {
    const first = credentials(anAddress());
    const before = await create(first).expect(200);
    const second = credentials(first.email);
    await create(second).expect(200);
    expect((await login(first).expect(400)).body.errno).toBe(103);
    await get(server, 'session/status', bearerOf(before.body.sessionToken)).expect(401);
    const { body } = await login(second).expect(200);
    // The owner of the mailbox must not prove a password that somebody else chose.
    const mailed = async (uid: string) =>
      (await mails(server)).filter((mail) => mail.includes(`X-Uid: ${uid}`)).join();
    expect(await mailed(before.body.uid)).not.toContain('signed up once only');
    expect(await mailed(body.uid)).toContain('signed up once only');
  });

  it('makes one account when several sign up with one address at once', async () => {
    const email = anAddress();
    const all = await Promise.all(
      Array.from({ length: 6 }, () => post(server, 'account/create', credentials(email))),
    );
    expect(all.every(({ status, body }) => status === 200 || body.errno === 101)).toBe(true);
    const rows = await server.db.query(`SELECT 1 FROM account WHERE email = $1`, [email]);
    expect(rows).toHaveLength(1);
  });

  it.each([
    ['an address with a line feed', { ...credentials('a\nBcc: b@example.org'), email: 'a\n@b.c' }],
    ['an address without a host', credentials('somebody')],
    ['an address that is mailed at another', credentials('<a@example.org>')],
    ['an address with a name', credentials('a<a@example.org>')],
    ['several addresses', credentials('a@example.org,b')],
    ['an address with a quote', credentials('"a"@example.org')],
    ['a route', credentials('a@[127.0.0.1]')],
    ['a password proof of another length', { email: 'a@example.org', authPW: 'abcd' }],
    ['an address that is a number', { ...credentials('a@example.org'), email: 7 }],
  ])('refuses %s', async (_, body) => {
    const { body: said } = await create(body).expect(400);
    const key = 'authPW' in body && body.authPW === 'abcd' ? 'authPW' : 'email';
    expect(said).toMatchObject({ code: 400, errno: 107, validation: { keys: [key] } });
  });

  it('names what is missing', async () => {
    const { email, authPW } = credentials(anAddress());
    for (const [body, param] of [
      [{}, 'email'],
      [{ email }, 'authPW'],
      [{ authPW }, 'email'],
    ] as const) {
      const { body: said } = await login(body).expect(400);
      expect(said).toMatchObject({ code: 400, errno: 108, param });
    }
    expect((await create({}).expect(400)).body).toMatchObject({ errno: 108 });
  });

  // In lower case the Kelvin sign is a k, and the Angstrom sign an å.
  it.each([
    ['mi\u212ae@example.org', 'mike@example.org'],
    ['\u212bsa@example.org', 'åsa@example.org'],
    ['anna@e\uff38ample.org', 'anna@eXample.org'],
    ['rene\u0301@example.org', 'ren\u00e9@example.org'],
  ])('takes %s for no address, not for %s', async (lookalike, email) => {
    for (const path of ['account/create', 'account/login', 'account/status']) {
      const { body } = await post(server, path, { ...credentials(lookalike) }).expect(400);
      expect(body).toMatchObject({ errno: 107 });
    }
    expect((await post(server, 'account/status', { email })).body).toEqual({ exists: false });
    await create(credentials(email)).expect(200);
  });

  it('refuses malformed JSON in its own format', async () => {
    const request = server.request().post('/auth/v1/account/create');
    const { body } = await request.set('content-type', 'application/json').send('{').expect(400);
    expect(body).toMatchObject({ code: 400, errno: 106 });
    const empty = server.request().post('/auth/v1/account/create');
    const none = await empty.set('content-type', 'application/json').send().expect(400);
    expect(none.body).toMatchObject({ code: 400, errno: 106 });
    const list = server.request().post('/auth/v1/account/create');
    const other = await list.set('content-type', 'application/json').send('[]').expect(400);
    expect(other.body).toMatchObject({ code: 400, errno: 107 });
  });

  it('says whether there is an account', async () => {
    const { uid, email } = await signUp(server);
    expect((await post(server, 'account/status', { email })).body).toEqual({ exists: true });
    expect((await get(server, `account/status?uid=${uid}`)).body).toEqual({ exists: true });
    const none = { email: anAddress() };
    expect((await post(server, 'account/status', none)).body).toEqual({ exists: false });
    const nobody = await get(server, `account/status?uid=${'0'.repeat(32)}`);
    expect(nobody.body).toEqual({ exists: false });
    await get(server, 'account/status?uid=x').expect(400);
  });
});

describe('the keys', () => {
  it('wait for the address to be verified, and the token stays good', async () => {
    const { body } = await create(credentials(anAddress())).expect(200);
    expect(body.verified).toBe(false);
    const early = await get(server, 'account/keys', fxk(body.keyFetchToken)).expect(400);
    expect(early.body.errno).toBe(104);
    const code = await mailedCode(server, body.uid);
    await post(server, 'recovery_email/verify_code', { uid: body.uid, code }).expect(200);
    await get(server, 'account/keys', fxk(body.keyFetchToken)).expect(200);
  });

  it('are fetched once, also when ten ask at once', async () => {
    const { email, password } = await signUp(server);
    const authPW = toHex(deriveAuthPW(await quickStretch(email, password)));
    const { keyFetchToken } = (await login({ email, authPW })).body;
    const all = await Promise.all(
      Array.from({ length: 10 }, () => get(server, 'account/keys', fxk(keyFetchToken))),
    );
    expect(all.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(9).fill(401)]);
    const again = await get(server, 'account/keys', fxk(keyFetchToken)).expect(401);
    expect(again.body.errno).toBe(110);
  });

  it('are not fetched after a day, nor with a session', async () => {
    const { body } = await create(credentials(anAddress()));
    const code = await mailedCode(server, body.uid);
    await post(server, 'recovery_email/verify_code', { uid: body.uid, code }).expect(200);
    const session = bearerOf(body.sessionToken);
    await get(server, 'account/keys', session).expect(401);
    await get(server, 'account/keys', session.replace('fxs', 'fxk')).expect(401);
    server.clock.advance(86_401);
    await get(server, 'account/keys', fxk(body.keyFetchToken)).expect(401);
  });
});

describe('verifying an address', () => {
  it('takes the mailed code, twice as well as once', async () => {
    const { body } = await create(credentials(anAddress()));
    const status = () => get(server, 'recovery_email/status', bearerOf(body.sessionToken));
    expect((await status()).body).toMatchObject({ verified: false, emailVerified: false });
    const code = await mailedCode(server, body.uid);
    await post(server, 'recovery_email/verify_code', { uid: body.uid, code }).expect(200, {});
    await post(server, 'recovery_email/verify_code', { uid: body.uid, code }).expect(200, {});
    expect((await status()).body).toMatchObject({ verified: true, sessionVerified: true });
  });

  it('refuses a wrong code, another account’s, and one that is a week old', async () => {
    const { uid } = (await create(credentials(anAddress()))).body;
    const other = (await create(credentials(anAddress()))).body;
    const refused = async (code: string) => {
      const answer = await post(server, 'recovery_email/verify_code', { uid, code }).expect(400);
      expect(answer.body.errno).toBe(105);
    };
    await refused(randomBytes(16).toString('hex'));
    await refused(await mailedCode(server, other.uid));
    const code = await mailedCode(server, uid);
    server.clock.advance(7 * 86_400 + 1);
    await refused(code);
  });

  it('mails another code on request, up to five, and none when it is not needed', async () => {
    const { uid, sessionToken } = (await create(credentials(anAddress()))).body;
    const session = bearerOf(sessionToken);
    const first = await mailedCode(server, uid);
    for (let i = 0; i < 4; i++) {
      await post(server, 'recovery_email/resend_code', {}, session).expect(200);
    }
    const sixth = await post(server, 'recovery_email/resend_code', {}, session).expect(429);
    expect(sixth.body.errno).toBe(114);
    // The first may arrive last.
    await post(server, 'recovery_email/verify_code', { uid, code: first }).expect(200);
    const before = (await mails(server)).length;
    await post(server, 'recovery_email/resend_code', {}, session).expect(200);
    expect(await mails(server)).toHaveLength(before);
  });

  it('keeps mail to its owner, and addresses out of file names and headers of their own', async () => {
    const email = "bcc=x+y'z@example.org";
    const { uid } = (await create(credentials(email)).expect(200)).body;
    const folder = join(server.config.dataDir, 'mail');
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
    expect((await readdir(folder)).join()).not.toMatch(/@|example/);
    const mail = (await mails(server)).find((text) => text.includes(uid)) ?? '';
    const head = mail.slice(0, mail.indexOf('\r\n\r\n'));
    expect(head.match(/^(to|bcc|cc):/gim)).toHaveLength(1);
    expect(mail).toContain(`X-Uid: ${uid}`);
  });
});

describe('a session', () => {
  it('is known by Hawk and by its id, until it is ended', async () => {
    const { uid, sessionToken, authorization } = await signUp(server);
    const signed = await hawk(server, { token: sessionToken, path: 'session/status' });
    const status = await get(server, 'session/status', signed).expect(200);
    expect(status.body).toMatchObject({ state: 'verified', uid });
    await post(server, 'session/destroy', {}, authorization).expect(200, {});
    const ended = await get(server, 'session/status', authorization).expect(401);
    expect(ended.body.errno).toBe(110);
  });

  it('tells the time with every answer, refusals included', async () => {
    const { headers } = await get(server, 'session/status').expect(401);
    expect(Math.abs(Number(headers.timestamp) - server.clock.seconds())).toBeLessThan(5);
  });

  it('leaves no token in the database', async () => {
    const { body } = await create(credentials(anAddress()));
    const ids = [
      deriveToken(fromHex(body.sessionToken), 'sessionToken').id,
      deriveToken(fromHex(body.keyFetchToken), 'keyFetchToken').id,
    ];
    const secrets = [...ids, fromHex(body.sessionToken), fromHex(body.keyFetchToken)];
    for (const table of ['account', 'session', 'key_fetch_token', 'email_code']) {
      const rows = JSON.stringify(await server.db.query(`SELECT t::text FROM ${table} t`));
      for (const secret of secrets) {
        expect(rows).not.toContain(toHex(secret));
        expect(rows).not.toContain(Buffer.from(secret).toString('base64url'));
      }
    }
  });
});
