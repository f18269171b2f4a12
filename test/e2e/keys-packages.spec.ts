import { deriveIdentity, generateEncryptionKey, generateHybridKey } from '#lib/crypto';
import { type ClaimedPackage, KEY_LIST_TYPE, KEY_PACKAGE_TYPE } from '#lib/protocol';
import { caller, digestOf, randomId } from '../support/caller.ts';
import { KeyHolder } from '../support/key-holder.ts';
import { TestServer } from '../support/test-server.ts';
import { until } from '../support/until.ts';

let server: TestServer;
let alice: KeyHolder;
let bob: KeyHolder;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await KeyHolder.join(server, await caller(server));
  bob = await KeyHolder.join(server, await caller(server));
});

const make = async (change: object = {}, by = alice.identity): Promise<string> => {
  const { realm: iss, uid: sub, clientId: cid } = alice.place;
  const iat = server.clock.seconds();
  const { publicJwk } = await generateEncryptionKey();
  const payload = { v: 1, iss, sub, cid, id: randomId(), iat, exp: iat + 3600, key: publicJwk };
  return by.sign(KEY_PACKAGE_TYPE, { ...payload, ...change });
};
const publish = (packages: string[]) => alice.send('post', 'packages', { packages });
const claim = async (who = bob) =>
  (await who.send('post', 'packages/claims', { uid: alice.who.uid })).body as ClaimedPackage;
const several = (count: number, change: object = {}) =>
  Promise.all(Array.from({ length: count }, () => make(change)));

describe('key packages', () => {
  it('are each given to one of 50 who claim at once', async () => {
    const packages = await several(30);
    expect((await publish(packages)).body).toEqual({ waiting: 30, hasLast: false });
    const claimants = await Promise.all(
      Array.from({ length: 50 }, async () => KeyHolder.join(server, await caller(server))),
    );
    const claimed = await Promise.all(claimants.map((one) => claim(one)));
    const given = claimed.flatMap((one) => (one.found ? [one.package] : []));
    expect(given.sort()).toEqual(packages.sort());
    expect((await publish([])).body).toEqual({ waiting: 0, hasLast: false });
  });

  it('end with the last resort, which stays', async () => {
    const [ordinary, last, newer] = [
      await make(),
      await make({ last: true }),
      await make({ last: true }),
    ];
    expect((await publish([ordinary, last])).body).toEqual({ waiting: 1, hasLast: true });
    expect(await claim()).toEqual({ found: true, package: ordinary });
    expect(await claim()).toEqual({ found: true, package: last });
    expect(await claim()).toEqual({ found: true, package: last });
    await publish([newer]);
    expect(await claim()).toEqual({ found: true, package: newer });
  });

  it('are not found for whoever has none, or is not there', async () => {
    expect(await claim()).toEqual({ found: false });
    const uid = '0'.repeat(32);
    expect((await bob.send('post', 'packages/claims', { uid })).body).toEqual({ found: false });
  });

  it('may hold a hybrid key', async () => {
    const { publicJwk } = generateHybridKey();
    expect((await publish([await make({ key: publicJwk })])).status).toBe(200);
  });

  it('are not published again once they were claimed, as by whoever has a token', async () => {
    const once = await make();
    await publish([once]);
    expect(await claim()).toEqual({ found: true, package: once });
    expect((await publish([once])).status).toBe(409);
    expect(await claim()).toEqual({ found: false });
    expect((await publish([])).body).toEqual({ waiting: 0, hasLast: false });
  });

  it('do not end with an older last resort again, as by whoever has a token', async () => {
    const iat = server.clock.seconds();
    const [older, newer] = [
      await make({ last: true, iat: iat - 1 }),
      await make({ last: true, iat }),
    ];
    expect((await publish([older])).status).toBe(200);
    expect((await publish([newer])).status).toBe(200);
    expect((await publish([older])).status).toBe(409);
    expect(await claim()).toEqual({ found: true, package: newer });
  });

  it('leave no rows once they have expired, however many come', async () => {
    const rows = () =>
      server.db.query<object[]>(`SELECT FROM key_package WHERE uid = $1`, [alice.who.uid]);
    await publish(await several(50, { exp: server.clock.seconds() + 60 }));
    await server.db.query(`UPDATE key_package SET expires_at = now() - interval '1 minute'`);
    await publish([await make()]);
    expect(await rows()).toHaveLength(1);
  });

  it('of an identity that is replaced while they come do not take the place of the new one’s', async () => {
    const old = await make();
    await publish([await make()]);
    const { by, list } = await alice.linked();
    const skl = await by.sign(KEY_LIST_TYPE, list);
    const answer = await server.db.transaction(async (tx) => {
      const who = [alice.who.uid, alice.who.clientId];
      await tx.query(`SELECT FROM key_member WHERE uid = $1 AND client_id = $2 FOR UPDATE`, who);
      const sent = publish([old]);
      await until(async () => {
        const waiting = await tx.query<object[]>(
          `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
        );
        return waiting.length > 0;
      });
      await tx.query(
        `INSERT INTO key_list (uid, client_id, ver, skl, wrapped, published_at)
         VALUES ($1, $2, 2, $3, '{}', now())`,
        [...who, skl],
      );
      await tx.query(`UPDATE key_member SET ver = 2 WHERE uid = $1 AND client_id = $2`, who);
      return { sent };
    });
    expect((await answer.sent).status).toBe(403);
    const rows = await server.db.query(`SELECT signer FROM key_package WHERE uid = $1`, [
      alice.who.uid,
    ]);
    expect(rows).toEqual([{ signer: alice.identity.publicJwk.x }]);
  });

  it('expire', async () => {
    await publish([await make({ exp: server.clock.seconds() + 60 })]);
    await server.db.query(`UPDATE key_package SET expires_at = now() - interval '1 minute'`);
    expect(await claim()).toEqual({ found: false });
  });

  it('are gone with the identity that signed them', async () => {
    await publish([await make(), await make({ last: true })]);
    expect((await alice.put(await alice.linked())).status).toBe(200);
    expect(await claim()).toEqual({ found: false });
    expect((await publish([])).body).toEqual({ waiting: 0, hasLast: false });
  });

  it('wait 100 at most, and come whole or not at all', async () => {
    expect((await publish(await several(50))).status).toBe(200);
    expect((await publish(await several(49))).status).toBe(200);
    expect((await publish(await several(2))).status).toBe(507);
    expect((await publish([])).body).toEqual({ waiting: 99, hasLast: false });
    expect((await publish(await several(51))).status).toBe(400);
    const id = randomId();
    expect((await publish([await make({ id })])).status).toBe(200);
    expect((await publish([await make({ id })])).status).toBe(409);
  });

  it.each<[string, () => Promise<object>]>([
    ['of another user', () => Promise.resolve({ sub: '0'.repeat(32) })],
    ['of another app', () => Promise.resolve({ cid: 'other-app' })],
    ['of another realm', () => Promise.resolve({ iss: 'A'.repeat(22) })],
    ['that has expired', () => Promise.resolve({ exp: server.clock.seconds() - 1 })],
    ['that lives 91 days', () => Promise.resolve({ exp: server.clock.seconds() + 91 * 86_400 })],
    ['of the future', () => Promise.resolve({ iat: 2 ** 39, exp: 2 ** 39 + 1 })],
    ['with no key', () => Promise.resolve({ key: {} })],
    ['with a private key', async () => ({ key: (await generateEncryptionKey()).privateJwk })],
    [
      'with a key under another name',
      async () => ({ key: { ...(await generateEncryptionKey()).publicJwk, kid: digestOf('x') } }),
    ],
  ])('are refused %s', async (_, change) => {
    const answer = await publish([await make(), await make(await change())]);
    expect([answer.status, answer.body.type]).toEqual([422, '/problems/invalid-package']);
    expect(await claim()).toEqual({ found: false });
  });

  it('are refused when another identity signed them, and when two are the last', async () => {
    const thief = await deriveIdentity(Buffer.alloc(32, 7));
    expect((await publish([await make({}, thief)])).status).toBe(403);
    expect((await publish(await several(2, { last: true }))).status).toBe(422);
    expect((await publish([alice.skl])).status).toBe(422);
  });

  it('are not drained by one who claims again and again', async () => {
    const strict = await TestServer.start({ BUDGETS: 'all=1000000/60,package-claim.pair=2/60' });
    const [a, b] = [
      await KeyHolder.join(strict, await caller(strict)),
      await KeyHolder.join(strict, await caller(strict)),
    ];
    const statuses: number[] = [];
    for (let n = 0; n < 3; n++) {
      statuses.push((await b.send('post', 'packages/claims', { uid: a.who.uid })).status);
    }
    expect(statuses).toEqual([200, 200, 429]);
    await strict.stop();
  });
});
