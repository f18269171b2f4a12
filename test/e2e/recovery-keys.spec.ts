import { randomBytes } from 'node:crypto';
import {
  deriveRecoveryKeyId,
  fromHex,
  generateRecoveryKey,
  openRecoveryData,
  sealRecoveryData,
  toHex,
  xor,
} from '#lib/crypto';
import { type Account, signUp } from '../support/account.ts';
import { anAddress, credentials, get, post } from '../support/account-api.ts';
import {
  changePassword,
  forget,
  signInForKeys,
  stretch,
  typedBearer,
} from '../support/passwords.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());

const bearer = (token: string) => typedBearer('accountResetToken', token);

/** What a page makes of a new recovery key. */
async function recoveryKeyOf({ uid, kB }: Account) {
  const of = { key: generateRecoveryKey(), uid: fromHex(uid) };
  const recoveryKeyId = deriveRecoveryKeyId(of);
  return { of, body: { recoveryKeyId, recoveryData: await sealRecoveryData(of, kB) } };
}
async function withRecoveryKey(more: object = {}) {
  const account = await signUp(server);
  const { of, body } = await recoveryKeyOf(account);
  const asked = { ...body, ...more };
  await post(server, 'recoveryKey', asked, account.authorization).expect(200, {});
  return { account, of, ...body };
}
const exists = async (authorization: string) =>
  (await post(server, 'recoveryKey/exists', {}, authorization).expect(200)).body.exists as boolean;

describe('a recovery key', () => {
  it('brings kB back when the password is forgotten, and is used up', async () => {
    const { account, of, recoveryKeyId } = await withRecoveryKey();
    const before = await server.db.query(`SELECT keys_changed_at FROM account WHERE uid = $1`, [
      account.uid,
    ]);
    const token = await forget(server, account);
    expect(await exists(bearer(token))).toBe(true);
    const { body } = await get(server, `recoveryKey/${recoveryKeyId}`, bearer(token)).expect(200);
    const kB = await openRecoveryData(of, body.recoveryData);
    expect(toHex(kB)).toBe(toHex(account.kB));
    const { authPW, unwrap } = await stretch(account.email, 'another');
    const asked = { authPW, wrapKb: toHex(xor(kB, unwrap)), recoveryKeyId };
    await post(server, 'account/reset', asked, bearer(token)).expect(200, {});
    const signedIn = await signInForKeys(server, account.email, 'another');
    expect(toHex(signedIn.kB)).toBe(toHex(account.kB));
    expect(
      await server.db.query(`SELECT keys_changed_at FROM account WHERE uid = $1`, [account.uid]),
    ).toEqual(before);
    await get(server, 'session/status', account.authorization).expect(401);
    const session = typedBearer('sessionToken', signedIn.sessionToken);
    expect(await exists(session)).toBe(false);
    const second = await forget(server, account);
    const refused = await get(server, `recoveryKey/${recoveryKeyId}`, bearer(second)).expect(400);
    expect(refused.body.errno).toBe(158);
    await post(server, 'account/reset', asked, bearer(second)).expect(400);
  });

  it('gives its data to nobody but who may reset the account, and shows the key', async () => {
    const { account, recoveryKeyId } = await withRecoveryKey();
    await get(server, `recoveryKey/${recoveryKeyId}`, account.authorization).expect(401);
    await get(server, `recoveryKey/${recoveryKeyId}`).expect(401);
    const token = await forget(server, account);
    const other = randomBytes(16).toString('hex');
    const wrong = await get(server, `recoveryKey/${other}`, bearer(token)).expect(400);
    expect(wrong.body.errno).toBe(159);
    expect((await get(server, 'recoveryKey/xyz', bearer(token)).expect(400)).body.errno).toBe(107);
    const stranger = await forget(server, await signUp(server));
    const theirs = await get(server, `recoveryKey/${recoveryKeyId}`, bearer(stranger)).expect(400);
    expect(theirs.body.errno).toBe(158);
  });

  it('is not kept when a reset, while it was on its way, made another kB', async () => {
    const account = await signUp(server);
    const { body } = await recoveryKeyOf(account);
    const reset = server.db.createQueryRunner();
    await reset.startTransaction();
    await reset.query(`SELECT 1 FROM account WHERE uid = $1 FOR UPDATE`, [account.uid]);
    const answer = post(server, 'recoveryKey', body, account.authorization).then(
      ({ body }) => body,
    );
    await until(async () => {
      const waiting = await server.db.query<unknown[]>(
        `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ 'recovery_key|JOIN session'`,
      );
      return waiting.length > 0;
    });
    await reset.query(`DELETE FROM session WHERE uid = $1`, [account.uid]);
    await reset.commitTransaction();
    await reset.release();
    expect(await answer).toMatchObject({ errno: 110 });
    const token = await forget(server, account);
    expect(await exists(bearer(token))).toBe(false);
  });

  it('that is not the account’s resets nothing', async () => {
    const { account } = await withRecoveryKey();
    const token = await forget(server, account);
    const recoveryKeyId = randomBytes(16).toString('hex');
    const asked = { ...credentials(''), wrapKb: 'a'.repeat(64), recoveryKeyId };
    const { body } = await post(server, 'account/reset', asked, bearer(token)).expect(400);
    expect(body.errno).toBe(159);
    const half = { ...credentials(''), recoveryKeyId };
    expect((await post(server, 'account/reset', half, bearer(token))).body.errno).toBe(107);
    await signInForKeys(server, account.email, account.password);
    await get(server, 'session/status', account.authorization).expect(200);
  });

  it('survives a change of the password, and goes with a reset without it', async () => {
    const { account, of, recoveryKeyId } = await withRecoveryKey();
    await changePassword(server, account, 'another');
    const token = await forget(server, account);
    const { body } = await get(server, `recoveryKey/${recoveryKeyId}`, bearer(token)).expect(200);
    expect(toHex(await openRecoveryData(of, body.recoveryData))).toBe(toHex(account.kB));
    const { authPW } = await stretch(account.email, 'third');
    await post(server, 'account/reset', { authPW }, bearer(token)).expect(200);
    expect(await exists(bearer(await forget(server, account)))).toBe(false);
  });

  it('is one per account, and replaced only on demand', async () => {
    const { account } = await withRecoveryKey();
    const { body: second } = await recoveryKeyOf(account);
    const ask = (more: object) =>
      post(server, 'recoveryKey', { ...second, ...more }, account.authorization);
    expect((await ask({}).expect(400)).body.errno).toBe(161);
    expect((await ask({ enabled: false, replaceKey: true }).expect(400)).body.errno).toBe(107);
    await ask({ replaceKey: true }).expect(200);
    const token = await forget(server, account);
    await get(server, `recoveryKey/${second.recoveryKeyId}`, bearer(token)).expect(200);
  });

  it('waits to be enabled by who has it, when it was asked to', async () => {
    const { account, recoveryKeyId } = await withRecoveryKey({ enabled: false });
    const { authorization } = account;
    const verify = (id: string) =>
      post(server, 'recoveryKey/verify', { recoveryKeyId: id }, authorization);
    expect(await exists(authorization)).toBe(false);
    const early = await forget(server, account);
    await get(server, `recoveryKey/${recoveryKeyId}`, bearer(early)).expect(400);
    expect((await verify('0'.repeat(32)).expect(400)).body.errno).toBe(159);
    await verify(recoveryKeyId).expect(200, {});
    await verify(recoveryKeyId).expect(200, {});
    expect(await exists(authorization)).toBe(true);
    // One that was never enabled makes way without a word.
    const other = await withRecoveryKey({ enabled: false });
    const { body: next } = await recoveryKeyOf(other.account);
    await post(server, 'recoveryKey', next, other.account.authorization).expect(200);
  });

  it('has a hint, which who resets the account sees, too', async () => {
    const { account } = await withRecoveryKey();
    const { authorization } = account;
    const hint = (as: string) => get(server, 'recoveryKey/hint', as);
    expect((await hint(authorization).expect(200)).body).toEqual({ hint: null });
    const said = { hint: 'In the blue folder' };
    await post(server, 'recoveryKey/hint', said, authorization).expect(200);
    expect((await hint(bearer(await forget(server, account))).expect(200)).body).toEqual(said);
    for (const bad of ['x'.repeat(256), 'a\nb', 7]) {
      await post(server, 'recoveryKey/hint', { hint: bad }, authorization).expect(400);
    }
    await hint('Bearer nothing').expect(401);
  });

  it('is removed by its owner', async () => {
    const { account } = await withRecoveryKey();
    const { authorization } = account;
    const remove = () =>
      server.request().delete('/auth/v1/recoveryKey').set('authorization', authorization);
    await remove().expect(200, {});
    await remove().expect(200, {});
    expect(await exists(authorization)).toBe(false);
    const hint = await get(server, 'recoveryKey/hint', authorization).expect(400);
    expect(hint.body.errno).toBe(158);
    await post(server, 'recoveryKey/hint', { hint: 'x' }, authorization).expect(400);
  });

  it.each([
    ['no data', { recoveryData: undefined }],
    ['data that is no JWE', { recoveryData: 'abc' }],
    ['too much data', { recoveryData: `${'a'.repeat(1020)}.a.a.a.a` }],
    ['an id of another length', { recoveryKeyId: 'ab' }],
  ])('is refused with %s', async (_, wrong) => {
    const account = await signUp(server);
    const { body } = await recoveryKeyOf(account);
    const asked = { ...body, ...wrong };
    await post(server, 'recoveryKey', asked, account.authorization).expect(400);
    expect(await exists(account.authorization)).toBe(false);
  });

  it('is for verified accounts', async () => {
    const { body } = await post(server, 'account/create', credentials(anAddress())).expect(200);
    const session = typedBearer('sessionToken', body.sessionToken);
    const asked = { recoveryKeyId: '0'.repeat(32), recoveryData: 'a.b.c.d.e' };
    expect((await post(server, 'recoveryKey', asked, session).expect(400)).body.errno).toBe(104);
  });
});

describe('account/destroy', () => {
  const proofOf = async ({ email, password }: Account) => ({
    email,
    authPW: (await stretch(email, password)).authPW,
  });

  it.each([true, false])('ends the account, with a session (%s) or without', async (isSignedIn) => {
    const { account } = await withRecoveryKey();
    const { uid, authorization } = account;
    const proof = await proofOf(account);
    const as = isSignedIn ? authorization : undefined;
    await post(server, 'account/destroy', proof, as).expect(200, {});
    expect((await get(server, 'session/status', authorization).expect(401)).body.errno).toBe(110);
    expect((await get(server, `account/status?uid=${uid}`)).body).toEqual({ exists: false });
    for (const table of ['account', 'session', 'recovery_key', 'password_token', 'email_code']) {
      expect(await server.db.query(`SELECT 1 FROM ${table} WHERE uid = $1`, [uid])).toEqual([]);
    }
    await post(server, 'account/destroy', proof).expect(400);
    await signUp(server, { email: account.email });
  });

  it('refuses a wrong password, another account’s session, and a session that is over', async () => {
    const [alice, bob] = [await signUp(server), await signUp(server)];
    const proof = await proofOf(alice);
    const wrong = credentials(alice.email);
    for (const as of [alice.authorization, undefined]) {
      expect((await post(server, 'account/destroy', wrong, as).expect(400)).body.errno).toBe(103);
    }
    const other = await post(server, 'account/destroy', proof, bob.authorization).expect(400);
    expect(other.body.errno).toBe(103);
    await post(server, 'account/destroy', proof, `Bearer fxs_${'0'.repeat(64)}`).expect(401);
    await signInForKeys(server, alice.email, alice.password);
  });

  it('ends the account once, when four ask at once', async () => {
    const alice = await signUp(server);
    const proof = await proofOf(alice);
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => post(server, 'account/destroy', proof)),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400]);
  });
});
