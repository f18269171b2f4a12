import { randomBytes } from 'node:crypto';
import { makeClientSalt, toHex, xor } from '#lib/crypto';
import { SignedIn } from '#lib/protocol';
import { type Account, bearerOf, mails, signUp, tokenFor } from '../support/account.ts';
import { anAddress, credentials, get, hawk, post } from '../support/account-api.ts';
import {
  changePassword,
  fetchWrapKb,
  forget,
  mailedResetCode,
  signInForKeys,
  startChange,
  stretch,
  tokenIdOf,
  typedBearer,
} from '../support/passwords.ts';
import { countingStatements } from '../support/statements.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const hex32 = () => randomBytes(32).toString('hex');
const isAlive = async (authorization: string) =>
  (await get(server, 'session/status', authorization)).status === 200;
const another = async ({ email, password }: Account) =>
  (await signInForKeys(server, email, password)).sessionToken;

interface Stored {
  authSalt: string;
  verifyHash: string;
  wrapWrapKb: string;
  keysChangedAt: number;
  generation: number;
  clientSalt: string | null;
}
const storedOf = async (uid: string): Promise<Stored> => {
  const [row] = await server.db.query<[Stored]>(
    `SELECT encode(auth_salt, 'hex') AS "authSalt", encode(verify_hash, 'hex') AS "verifyHash",
            encode(wrap_wrap_kb, 'hex') AS "wrapWrapKb", keys_changed_at AS "keysChangedAt",
            verifier_set_at AS generation, client_salt AS "clientSalt"
       FROM account WHERE uid = $1`,
    [uid],
  );
  return row;
};

describe('a changed password', () => {
  it('keeps kB and keysChangedAt, and has another salt, wrapping and generation', async () => {
    const alice = await signUp(server);
    const before = await storedOf(alice.uid);
    const answer = await changePassword(server, alice, 'another');
    const { unwrap } = await stretch(alice.email, 'another');
    const wrapKb = await fetchWrapKb(server, answer.keyFetchToken);
    expect(toHex(xor(wrapKb, unwrap))).toBe(toHex(alice.kB));
    expect(await isAlive(bearerOf(answer.sessionToken))).toBe(true);
    const after = await storedOf(alice.uid);
    expect(after.keysChangedAt).toBe(before.keysChangedAt);
    expect(after.generation).toBeGreaterThan(before.generation);
    for (const name of ['authSalt', 'verifyHash', 'wrapWrapKb'] as const) {
      expect(after[name]).not.toBe(before[name]);
    }
    expect(toHex((await signInForKeys(server, alice.email, 'another')).kB)).toBe(toHex(alice.kB));
    const { authPW } = await stretch(alice.email, alice.password);
    const old = await post(server, 'account/login', { email: alice.email, authPW }).expect(400);
    expect(old.body.errno).toBe(103);
  });

  it('ends every session but the one that is named, and what is granted in them', async () => {
    const alice = await signUp(server);
    const kept = await another(alice);
    const app = { clientId: 'demo-app', scope: 'offline_access files' };
    const lost = await tokenFor(server, alice, app);
    const stays = await tokenFor(server, { ...alice, authorization: bearerOf(kept) }, app);
    await changePassword(server, alice, 'another', {
      sessionToken: tokenIdOf('sessionToken', kept),
    });
    expect(await isAlive(alice.authorization)).toBe(false);
    expect(await isAlive(bearerOf(kept))).toBe(true);
    const refresh = (token = '') =>
      server.request().post('/oauth2/token').type('form').send({
        grant_type: 'refresh_token',
        client_id: 'demo-app',
        refresh_token: token,
      });
    await refresh(lost.refresh_token).expect(400);
    await refresh(stays.refresh_token).expect(200);
  });

  it('ends the session that was named, too, once a device registers over the new one', async () => {
    const alice = await signUp(server);
    const record = { name: 'mine', type: 'desktop' };
    await post(server, 'account/device', record, alice.authorization).expect(200);
    const named = { sessionToken: tokenIdOf('sessionToken', alice.sessionToken) };
    const changed = await changePassword(server, alice, 'another', named);
    const next = bearerOf(changed.sessionToken);
    expect(await isAlive(alice.authorization)).toBe(true);
    await post(server, 'account/device', record, next).expect(200);
    expect(await isAlive(alice.authorization)).toBe(false);
    const { body } = await get(server, 'account/devices', next).expect(200);
    expect(body).toHaveLength(1);
  });

  it('ends fetches of the keys and every other change or reset that is under way', async () => {
    const alice = await signUp(server);
    const reset = await forget(server, alice);
    const other = await startChange(server, alice);
    const { keyFetchToken } = await (async () => {
      const { email, password } = alice;
      const { authPW } = await stretch(email, password);
      return SignedIn.parse(
        (await post(server, 'account/login?keys=true', { email, authPW })).body,
      );
    })();
    await changePassword(server, alice, 'another');
    await get(server, 'account/keys', typedBearer('keyFetchToken', keyFetchToken ?? '')).expect(
      401,
    );
    const body = { authPW: hex32(), wrapKb: hex32() };
    const change = typedBearer('passwordChangeToken', other.passwordChangeToken);
    await post(server, 'password/change/finish', body, change).expect(401);
    const again = typedBearer('accountResetToken', reset);
    await post(server, 'account/reset', { authPW: hex32() }, again).expect(401);
    await signInForKeys(server, alice.email, 'another');
  });

  it('is set once by each token, also when four set it at once', async () => {
    const alice = await signUp(server);
    const { passwordChangeToken } = await startChange(server, alice);
    const authorization = typedBearer('passwordChangeToken', passwordChangeToken);
    const bodies = Array.from({ length: 4 }, () => ({ authPW: hex32(), wrapKb: hex32() }));
    const answers = await Promise.all(
      bodies.map((body) => post(server, 'password/change/finish', body, authorization)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 401, 401, 401]);
    const right = bodies[answers.findIndex(({ status }) => status === 200)];
    const login = { email: alice.email, authPW: right?.authPW };
    await post(server, 'account/login', login).expect(200);
  });

  it('leaves no session of the old one to those who sign in meanwhile', async () => {
    const alice = await signUp(server);
    const { email } = alice;
    const { authPW } = await stretch(email, alice.password);
    const { passwordChangeToken, kB } = await startChange(server, alice);
    const { authPW: next, unwrap } = await stretch(email, 'another');
    const [changed, ...logins] = await Promise.all([
      post(
        server,
        'password/change/finish',
        { authPW: next, wrapKb: toHex(xor(kB, unwrap)) },
        typedBearer('passwordChangeToken', passwordChangeToken),
      ),
      ...Array.from({ length: 6 }, () => post(server, 'account/login', { email, authPW })),
    ]);
    expect(changed.status).toBe(200);
    for (const { status, body } of logins) {
      if (status === 200) expect(await isAlive(bearerOf(body.sessionToken))).toBe(false);
      else expect(body.errno).toBe(103);
    }
  });

  it('needs the old one, of the session’s own account', async () => {
    const [alice, bob] = [await signUp(server), await signUp(server)];
    const { email } = bob;
    const { authPW } = await stretch(email, bob.password);
    const wrong = { email: alice.email, oldAuthPW: hex32() };
    for (const asked of [wrong, { email, oldAuthPW: authPW }]) {
      const refused = await post(server, 'password/change/start', asked, alice.authorization);
      expect(refused).toMatchObject({ status: 400, body: { errno: 103, email: asked.email } });
    }
    await post(server, 'password/change/start', wrong).expect(401);
  });

  it('names no session of another account as one that stays, and is then not set', async () => {
    const [alice, bob] = [await signUp(server), await signUp(server)];
    const { passwordChangeToken } = await startChange(server, alice);
    const sessionToken = tokenIdOf('sessionToken', bob.sessionToken);
    const body = { authPW: hex32(), wrapKb: hex32(), sessionToken };
    const authorization = typedBearer('passwordChangeToken', passwordChangeToken);
    await post(server, 'password/change/finish', body, authorization).expect(401);
    await signInForKeys(server, alice.email, alice.password);
    expect(await isAlive(alice.authorization)).toBe(true);
  });

  it('waits a quarter of an hour, takes Hawk, and no token of another kind', async () => {
    const alice = await signUp(server);
    const body = { authPW: hex32(), wrapKb: hex32() };
    const path = 'password/change/finish';
    const late = await startChange(server, alice);
    server.clock.advance(901);
    const bearer = typedBearer('passwordChangeToken', late.passwordChangeToken);
    await post(server, path, body, bearer).expect(401);
    const { passwordChangeToken: token } = await startChange(server, alice);
    const id = tokenIdOf('passwordChangeToken', token);
    for (const prefix of ['fxs', 'fxk', 'fxar', 'fxpf']) {
      await post(server, path, body, `Bearer ${prefix}_${id}`).expect(401);
    }
    await post(server, 'account/reset', { authPW: hex32() }, `Bearer fxar_${id}`).expect(401);
    const signing = { token, kind: 'passwordChangeToken' as const, method: 'POST', path, body };
    await post(server, path, body, await hawk(server, signing)).expect(200);
  });

  it.each([
    ['no wrapKb', { authPW: hex32() }],
    ['half of v2', { authPW: hex32(), wrapKb: hex32(), authPWVersion2: hex32() }],
    ['a wrapKb of another length', { authPW: hex32(), wrapKb: '00' }],
  ])('is refused with %s', async (_, body) => {
    const alice = await signUp(server);
    const { passwordChangeToken } = await startChange(server, alice);
    const authorization = typedBearer('passwordChangeToken', passwordChangeToken);
    const answer = await post(server, 'password/change/finish', body, authorization).expect(400);
    expect([107, 108]).toContain(answer.body.errno);
    await signInForKeys(server, alice.email, alice.password);
  });

  it('is told to the owner', async () => {
    const alice = await signUp(server);
    await changePassword(server, alice, 'another');
    const told = (await mails(server)).filter((mail) => mail.includes(`X-Uid: ${alice.uid}`));
    expect(told.some((mail) => /^Subject: .*password/im.test(mail))).toBe(true);
  });
});

describe('the same password, now by v2, too', () => {
  const v2Of = (kB: Uint8Array) => {
    const unwrap = randomBytes(32);
    const authPWVersion2 = hex32();
    const wrapKbVersion2 = toHex(xor(kB, unwrap));
    return { unwrap, body: { authPWVersion2, wrapKbVersion2, clientSalt: makeClientSalt() } };
  };

  it('opens the same kB, and ends no session', async () => {
    const alice = await signUp(server);
    const before = await storedOf(alice.uid);
    const { unwrap, body } = v2Of(alice.kB);
    await changePassword(server, alice, alice.password, body);
    expect(await isAlive(alice.authorization)).toBe(true);
    const { email } = alice;
    const login = { email, authPW: body.authPWVersion2 };
    const signedIn = (await post(server, 'account/login?keys=true', login).expect(200)).body;
    const wrapKb = await fetchWrapKb(server, signedIn.keyFetchTokenVersion2);
    expect(toHex(xor(wrapKb, unwrap))).toBe(toHex(alice.kB));
    expect(toHex((await signInForKeys(server, email, alice.password)).kB)).toBe(toHex(alice.kB));
    const after = await storedOf(alice.uid);
    expect(after.keysChangedAt).toBe(before.keysChangedAt);
    expect(after.authSalt).not.toBe(before.authSalt);
  });

  it('is gone from the account when the next password is of v1 alone', async () => {
    const alice = await signUp(server);
    const { body } = v2Of(alice.kB);
    await changePassword(server, alice, alice.password, body);
    await changePassword(server, alice, 'another');
    expect(await storedOf(alice.uid)).toMatchObject({ clientSalt: null });
    const login = { email: alice.email, authPW: body.authPWVersion2 };
    await post(server, 'account/login', login).expect(400);
  });

  it('ends sessions when the password is another', async () => {
    const alice = await signUp(server);
    await changePassword(server, alice, 'another', v2Of(alice.kB).body);
    expect(await isAlive(alice.authorization)).toBe(false);
  });
});

describe('a forgotten password', () => {
  const guess = (email: string, code: string) =>
    post(server, 'password/forgot/verify_otp', { email, code });

  it('is replaced: kB is another, keysChangedAt later, and nobody is signed in', async () => {
    const alice = await signUp(server);
    const { refresh_token } = await tokenFor(server, alice, { scope: 'offline_access files' });
    const record = { name: 'mine', type: 'desktop' };
    await post(server, 'account/device', record, alice.authorization).expect(200);
    const before = await storedOf(alice.uid);
    const token = await forget(server, alice);
    const { authPW } = await stretch(alice.email, 'another');
    const authorization = typedBearer('accountResetToken', token);
    await post(server, 'account/reset', { authPW }, authorization).expect(200, {});
    const after = await storedOf(alice.uid);
    expect(after.keysChangedAt).toBeGreaterThan(before.keysChangedAt);
    expect(after.generation).toBe(after.keysChangedAt);
    expect(await isAlive(alice.authorization)).toBe(false);
    const refresh = { grant_type: 'refresh_token', client_id: 'demo-app', refresh_token };
    await server.request().post('/oauth2/token').type('form').send(refresh).expect(400);
    const left = `SELECT 1 FROM device WHERE uid = $1`;
    expect(await server.db.query(left, [alice.uid])).toEqual([]);
    const { kB } = await signInForKeys(server, alice.email, 'another');
    expect(toHex(kB)).not.toBe(toHex(alice.kB));
    await post(server, 'account/reset', { authPW }, authorization).expect(401);
  });

  it('signs in, with keys, when asked to', async () => {
    const alice = await signUp(server);
    const { authPW, unwrap } = await stretch(alice.email, 'another');
    const { body } = await post(
      server,
      'account/reset?keys=true',
      { authPW, sessionToken: true },
      typedBearer('accountResetToken', await forget(server, alice)),
    ).expect(200);
    expect(await isAlive(bearerOf(body.sessionToken))).toBe(true);
    const kB = toHex(xor(await fetchWrapKb(server, body.keyFetchToken), unwrap));
    expect(toHex((await signInForKeys(server, alice.email, 'another')).kB)).toBe(kB);
  });

  it('may be replaced by one of v2, and a kB of the client’s making', async () => {
    const alice = await signUp(server);
    const { authPW, unwrap } = await stretch(alice.email, 'another');
    const [kB, unwrapV2] = [randomBytes(32), randomBytes(32)];
    const v2 = {
      ...{ authPWVersion2: hex32(), clientSalt: makeClientSalt() },
      wrapKb: toHex(xor(kB, unwrap)),
      wrapKbVersion2: toHex(xor(kB, unwrapV2)),
    };
    const before = await storedOf(alice.uid);
    const authorization = typedBearer('accountResetToken', await forget(server, alice));
    await post(server, 'account/reset', { authPW, ...v2 }, authorization).expect(200);
    expect(toHex((await signInForKeys(server, alice.email, 'another')).kB)).toBe(toHex(kB));
    expect((await storedOf(alice.uid)).keysChangedAt).toBeGreaterThan(before.keysChangedAt);
  });

  it('is not replaced by a wrapKb alone', async () => {
    const alice = await signUp(server);
    const authorization = typedBearer('accountResetToken', await forget(server, alice));
    const body = { authPW: hex32(), wrapKb: hex32() };
    expect((await post(server, 'account/reset', body, authorization).expect(400)).body.errno).toBe(
      107,
    );
    await signInForKeys(server, alice.email, alice.password);
  });

  it('keeps keysChangedAt and the generation rising when the clock stands', async () => {
    const alice = await signUp(server);
    const future = server.clock.now().getTime() + 3_600_000;
    await server.db.query(
      `UPDATE account SET keys_changed_at = $2, verifier_set_at = $3 WHERE uid = $1`,
      [alice.uid, future, future + 5],
    );
    const authorization = typedBearer('accountResetToken', await forget(server, alice));
    await post(server, 'account/reset', { authPW: hex32() }, authorization).expect(200);
    const { keysChangedAt, generation } = await storedOf(alice.uid);
    expect([keysChangedAt, generation]).toEqual([future + 6, future + 6]);
  });

  it('takes the mailed digits once, the newest alone, for ten minutes, and five guesses', async () => {
    const alice = await signUp(server);
    const { email, uid } = alice;
    const ask = () => post(server, 'password/forgot/send_otp', { email }).expect(200, {});
    const refused = async (code: string) => {
      expect((await guess(email, code).expect(400)).body).toMatchObject({ errno: 105 });
    };
    await ask();
    const first = await mailedResetCode(server, uid);
    await ask();
    const second = await mailedResetCode(server, uid);
    if (first !== second) await refused(first);
    const { body } = await guess(email.toUpperCase(), second).expect(200);
    expect(body).toMatchObject({ uid, emailToHashWith: email });
    await refused(second);
    await ask();
    const late = await mailedResetCode(server, uid);
    server.clock.advance(601);
    await refused(late);
    await ask();
    const spent = await mailedResetCode(server, uid);
    const wrong = spent === '12345678' ? '87654321' : '12345678';
    for (let i = 0; i < 5; i++) await refused(wrong);
    await refused(spent);
  });

  it('forgets mailed digits when the password changes', async () => {
    const alice = await signUp(server);
    await post(server, 'password/forgot/send_otp', { email: alice.email }).expect(200);
    const code = await mailedResetCode(server, alice.uid);
    await changePassword(server, alice, 'another');
    expect((await guess(alice.email, code).expect(400)).body).toMatchObject({ errno: 105 });
  });

  it('gives one token for the digits, also when five give them at once', async () => {
    const { email, uid } = await signUp(server);
    await post(server, 'password/forgot/send_otp', { email }).expect(200);
    const code = await mailedResetCode(server, uid);
    const answers = await Promise.all(Array.from({ length: 5 }, () => guess(email, code)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('runs the same statements for an address that is known as for one that is not', async () => {
    const { email } = await signUp(server);
    const unknown = anAddress();
    const asks = ['password/forgot/send_otp', 'password/forgot/send_code'] as const;
    for (const path of asks) {
      await post(server, path, { email }).expect(200);
      await mails(server);
      const hit = await countingStatements(server, () => post(server, path, { email }).expect(200));
      await mails(server);
      const miss = await countingStatements(server, () =>
        post(server, path, { email: unknown }).expect(200),
      );
      expect(miss).toEqual(hit);
    }
    const wrong = { code: '00000000' };
    const hit = await countingStatements(server, () => guess(email, wrong.code).expect(400));
    const miss = await countingStatements(server, () => guess(unknown, wrong.code).expect(400));
    expect(miss).toEqual(hit);
  });

  it('mails nothing to an address that was not verified', async () => {
    const body = credentials(anAddress());
    await post(server, 'account/create', body).expect(200);
    await mails(server);
    const before = (await mails(server)).length;
    await post(server, 'password/forgot/send_otp', { email: body.email }).expect(200, {});
    expect(await mails(server)).toHaveLength(before);
  });

  describe('by the older calls', () => {
    const sendCode = async (email: string) =>
      (await post(server, 'password/forgot/send_code', { email }).expect(200)).body;
    const verify = (token: string, code: string) =>
      post(
        server,
        'password/forgot/verify_code',
        { code },
        typedBearer('passwordForgotToken', token),
      );

    it('takes the mailed code, or another one that was mailed later', async () => {
      const { email, uid } = await signUp(server);
      const sent = await sendCode(email);
      expect(sent).toMatchObject({ ttl: 3600, codeLength: 16, tries: 3 });
      const bearer = typedBearer('passwordForgotToken', sent.passwordForgotToken);
      const first = await mailedResetCode(server, uid);
      await post(server, 'password/forgot/resend_code', { email }, bearer).expect(200);
      const second = await mailedResetCode(server, uid);
      const refused = await verify(sent.passwordForgotToken, first).expect(400);
      expect(refused.body).toMatchObject({ errno: 105, tries: 2, ttl: expect.any(Number) });
      const status = await get(server, 'password/forgot/status', bearer).expect(200);
      expect(status.body).toMatchObject({ tries: 2 });
      await verify(sent.passwordForgotToken, second).expect(200);
      await verify(sent.passwordForgotToken, second).expect(401);
    });

    it('gives no leave for a reset that another one, under way, has overtaken', async () => {
      const { email, uid } = await signUp(server);
      const { passwordForgotToken } = await sendCode(email);
      const code = await mailedResetCode(server, uid);
      const other = server.db.createQueryRunner();
      await other.startTransaction();
      await other.query(`SELECT 1 FROM account WHERE uid = $1 FOR UPDATE`, [uid]);
      const answer = verify(passwordForgotToken, code).then(({ status }) => status);
      await until(async () => {
        const waiting = await server.db.query<unknown[]>(
          `SELECT 1 FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND query ~ 'password_token|FROM account'`,
        );
        return waiting.length > 0;
      });
      await other.query(`DELETE FROM password_token WHERE uid = $1`, [uid]);
      await other.commitTransaction();
      await other.release();
      expect(await answer).toBe(401);
      const left = await server.db.query(`SELECT 1 FROM password_token WHERE uid = $1`, [uid]);
      expect(left).toEqual([]);
    });

    it('mails another code by the same statements, known address or not', async () => {
      const { email } = await signUp(server);
      const again = async (address: string) => {
        const { passwordForgotToken } = await sendCode(address);
        const bearer = typedBearer('passwordForgotToken', passwordForgotToken);
        await mails(server);
        const statements = await countingStatements(server, () =>
          post(server, 'password/forgot/resend_code', { email: address }, bearer).expect(200),
        );
        await mails(server);
        return statements.filter((one) => !/ mail (SET|WHERE)/.test(one));
      };
      const hit = await again(email);
      expect(hit.length).toBeGreaterThan(2);
      expect(await again(anAddress())).toEqual(hit);
    });

    it('ends the token with the third wrong code, known address or not', async () => {
      const { email } = await signUp(server);
      for (const address of [email, anAddress()]) {
        const { passwordForgotToken } = await sendCode(address);
        for (const tries of [2, 1, 0]) {
          const { body } = await verify(passwordForgotToken, '0'.repeat(32)).expect(400);
          expect(body).toMatchObject({ errno: 105, tries });
        }
        await verify(passwordForgotToken, '0'.repeat(32)).expect(401);
      }
    });
  });
});
