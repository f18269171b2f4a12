import { deriveIdentity } from '#lib/crypto';
import {
  KEY_LIST_TYPE,
  KEY_SETTINGS_TYPE,
  type KeyHistory,
  type OwnKeys,
  type PublishedKey,
} from '#lib/protocol';
import { caller, digestOf } from '../support/caller.ts';
import { ended, KeyHolder, type NextList } from '../support/key-holder.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: KeyHolder;
beforeAll(async () => {
  server = await TestServer.start();
});
afterAll(() => server.stop());
beforeEach(async () => {
  alice = await KeyHolder.join(server, await caller(server));
});

const own = async () => (await alice.get('me')).body as OwnKeys;
const now = () => server.clock.seconds();

describe('the next list', () => {
  it('takes the place of the one before, which stays in the history with its private halves', async () => {
    const [first, old] = [alice.skl, alice.active()];
    const answer = await alice.put(await alice.rotated());
    expect([answer.status, answer.body.skl]).toEqual([200, alice.skl]);
    expect(answer.headers.etag).toMatch(/^"2-/);
    const mine = await own();
    expect(mine.skl).toBe(alice.skl);
    // What was sent to the old key is still opened with it.
    expect(Object.keys(mine.wrapped).sort()).toEqual([old.kid, alice.active().kid].sort());
    const history = (await alice.get('me/history')).body as KeyHistory;
    expect(history.lists.map(({ ver, skl }) => [ver, skl])).toEqual([
      [1, first],
      [2, alice.skl],
    ]);
    expect(Object.keys(history.lists[0]?.wrapped ?? {})).toEqual([old.kid]);
    expect(history.next).toBeUndefined();
  });

  it('is read in pages', async () => {
    await alice.put(alice.next());
    await alice.put(alice.next());
    const page = (await alice.get('me/history?limit=2')).body as KeyHistory;
    expect([page.lists.map(({ ver }) => ver), page.next]).toEqual([[1, 2], 2]);
    const rest = (await alice.get('me/history?limit=2&after=2')).body as KeyHistory;
    expect([rest.lists.map(({ ver }) => ver), rest.next]).toEqual([[3], undefined]);
    for (const query of ['after=-1', 'after=x', 'limit=0', 'limit=51', 'after=99999999999']) {
      expect((await alice.get(`me/history?${query}`)).status).toBe(400);
    }
  });

  it('is read in smaller pages when the lists are large', async () => {
    for (let ver = 2; ver <= 13; ver++) await alice.put(alice.next());
    await server.db.query(
      `UPDATE key_list SET wrapped = jsonb_build_object('x', repeat('A', 100000)) WHERE uid = $1`,
      [alice.who.uid],
    );
    const page = (await alice.get('me/history')).body as KeyHistory;
    expect([page.lists.length, page.next]).toEqual([11, 11]);
    const rest = (await alice.get('me/history?after=11')).body as KeyHistory;
    expect([rest.lists.map(({ ver }) => ver), rest.next]).toEqual([[12, 13], undefined]);
    await server.db.query(
      `UPDATE key_list SET wrapped = jsonb_build_object('x', repeat('A', 2000000)) WHERE uid = $1`,
      [alice.who.uid],
    );
    const one = (await alice.get('me/history?after=4')).body as KeyHistory;
    expect([one.lists.map(({ ver }) => ver), one.next]).toEqual([[5], 5]);
  });

  it('may bring a hybrid key beside the other', async () => {
    const next = alice.next();
    const { key, text } = await alice.makeKey(2, 'HPKE-11-KE');
    next.list.keys.push(key);
    next.wrapped = { [key.kid]: text };
    expect((await alice.put(next)).status).toBe(200);
    expect((await own()).wrapped[key.kid]).toBe(text);
  });

  it('is one of 50 that were made at once', async () => {
    const nexts = await Promise.all(Array.from({ length: 50 }, () => alice.rotated()));
    const { etag } = alice;
    const answers = await Promise.all(nexts.map((next) => alice.put(next, { 'if-match': etag })));
    expect(answers.map(({ status }) => status).sort()).toEqual([
      200,
      ...Array.from({ length: 49 }, () => 412),
    ]);
    const winner = answers.find(({ status }) => status === 200);
    expect((await own()).skl).toBe(winner?.body.skl);
  });

  it('names what it replaces', async () => {
    expect((await alice.put(alice.next(), {})).status).toBe(428);
    expect((await alice.put(alice.next(), { 'if-match': '"1-x"' })).status).toBe(412);
    expect((await alice.put(alice.next(), { 'if-match': `W/${alice.etag}` })).status).toBe(412);
    const both = { 'if-match': alice.etag, 'if-none-match': '*' };
    expect((await alice.put(alice.next(), both)).status).toBe(412);
    expect((await alice.put(alice.next(), { 'if-none-match': '*' })).status).toBe(422);
    const nobody = await caller(server);
    Object.assign(alice, { who: nobody });
    const list = { ...alice.next().list, sub: nobody.uid };
    expect((await alice.put({ ...alice.next(), list })).status).toBe(412);
  });

  type Spoil = (next: NextList) => unknown;
  it.each<[string, Spoil]>([
    ['of the same version', ({ list }) => (list.ver = 1)],
    ['that skips a version', ({ list }) => (list.ver = 3)],
    ['of a huge version', ({ list }) => (list.ver = 2 ** 31 - 1)],
    ['of a version beyond all numbers', ({ list }) => (list.ver = 2 ** 53)],
    ['that follows nothing', ({ list }) => (list.prev = null)],
    ['that follows another list', ({ list }) => (list.prev = digestOf('x'))],
    [
      'of another kBr and the same identity',
      ({ list }) => (list.kbr = `1790000009-${'A'.repeat(22)}`),
    ],
    ['without the key that was active', ({ list }) => (list.keys = list.keys.slice(0, 1))],
    [
      'that says since when otherwise',
      ({ list }) => Object.assign(list.keys[1] ?? {}, { since: 2 }),
    ],
    [
      'that wraps a key anew',
      ({ list }) => Object.assign(list.keys[1] ?? {}, { wsha: digestOf('x') }),
    ],
    [
      'with a new key of an earlier version',
      ({ list }) => Object.assign(list.keys[0] ?? {}, { since: 1 }),
    ],
    [
      'with a new key of a later version',
      ({ list }) => Object.assign(list.keys[0] ?? {}, { since: 3 }),
    ],
    [
      'with a key that ended before it began',
      ({ list }) =>
        list.keys.push({ ...ended(list.keys[0] as never, 'retired', 1), kid: digestOf('x') }),
    ],
    [
      'with a key in its public part',
      ({ list }) => Object.assign(list.keys[1] ?? {}, { x: digestOf('x') }),
    ],
    ['with a private key', ({ list }) => Object.assign(list.keys[1] ?? {}, { d: digestOf('x') })],
    [
      'with another algorithm of a key',
      ({ list }) => Object.assign(list.keys[1] ?? {}, { alg: 'HPKE-11-KE' }),
    ],
    ['with a reset of the past', ({ list }) => (list.reset = { ver: 1, at: 1 })],
    ['with a reset by the same identity', ({ list }) => (list.reset = { ver: 2, at: 1 })],
    ['without the wrapped key', (next) => (next.wrapped = {})],
    ['with a wrapped key of none', (next) => (next.wrapped[digestOf('x')] = '{}')],
  ])('is refused %s', async (_, spoil) => {
    const next = await alice.rotated();
    spoil(next);
    const before = await own();
    const answer = await alice.put(next);
    expect([answer.status, answer.body.type]).toEqual([422, '/problems/invalid-key-list']);
    expect(await own()).toEqual(before);
  });

  it('does not let two keys of one algorithm be active', async () => {
    const next = alice.next();
    const { key, text } = await alice.makeKey(2);
    next.list.keys.push(key);
    expect((await alice.put({ ...next, wrapped: { [key.kid]: text } })).status).toBe(422);
  });

  it.each<[string, 'retired' | 'revoked', (next: NextList) => void]>([
    [
      'becomes active again',
      'retired',
      ({ list }) =>
        Object.assign(list, {
          keys: [list.keys[1], list.keys[0]].map((k, i) => (i === 0 ? { ...k, st: 'active' } : k)),
        }),
    ],
    [
      'is retired after it was revoked',
      'revoked',
      ({ list }) => (list.keys[1] = ended(list.keys[1] as never, 'retired', now())),
    ],
    [
      'ended at another time',
      'retired',
      ({ list }) => Object.assign(list.keys[1] ?? {}, { rev: 1 }),
    ],
  ])('is refused when a key that ended %s', async (_, st, spoil) => {
    await alice.put(await alice.rotated(st));
    const next = alice.next();
    spoil(next);
    expect((await alice.put(next)).status).toBe(422);
  });

  it('comes once a minute, and 50 times a day', async () => {
    const strict = await TestServer.start({ BUDGETS: 'key-change.account=3/86400' });
    const bob = await KeyHolder.join(strict, await caller(strict));
    const refused = await bob.put(bob.next());
    expect([refused.status, Number(refused.headers['retry-after'])]).toEqual([
      429,
      expect.any(Number),
    ]);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(60);
    for (let n = 0; n < 2; n++) {
      strict.clock.advance(61);
      expect((await bob.put(bob.next())).status).toBe(200);
    }
    strict.clock.advance(61);
    const spent = await bob.put(bob.next());
    expect([spent.status, Number(spent.headers['retry-after']) > 80_000]).toEqual([429, true]);
    strict.clock.advance(86_400);
    Object.assign(bob.list, { exp: now() + 10 * 86_400 });
    expect((await bob.put(bob.next())).status).toBe(200);
    await strict.stop();
  });
});

it('is never the next one where the operator allows none', async () => {
  const strict = await TestServer.start({ BUDGETS: 'key-change.account=0/86400' });
  const bob = await KeyHolder.join(strict, await caller(strict));
  strict.clock.advance(61);
  expect((await bob.put(bob.next())).status).toBe(429);
  await strict.stop();
});

describe('the identity', () => {
  it('is not replaced by whoever has a token alone', async () => {
    const thief = await deriveIdentity(Buffer.alloc(32, 7));
    const next = await alice.rotated();
    const before = await own();
    const answer = await alice.put({ ...next, by: thief });
    expect([answer.status, answer.body.type]).toEqual([403, '/problems/signature-required']);
    const list = { ...next.list, kbr: `1790000999-${'A'.repeat(22)}` };
    expect((await alice.put({ ...next, list, by: thief })).status).toBe(403);
    expect(await own()).toEqual(before);
  });

  it('changes by a link that the old one signed, and again', async () => {
    expect((await alice.put(await alice.linked())).status).toBe(200);
    expect((await alice.put(await alice.linked(1_790_000_101))).status).toBe(200);
    expect((await alice.put(await alice.rotated())).status).toBe(200);
    expect(alice.list.links).toHaveLength(2);
  });

  it('does not change to one of the far future, after which no other could come', async () => {
    const answers = [
      await alice.put(await alice.linked(now() + 3600)),
      await alice.put(
        await alice.anew(999_999_999_999),
        { 'if-match': alice.etag },
        { auth_time: now() },
      ),
    ];
    for (const { status, body } of answers) {
      expect([status, body.type]).toEqual([422, '/problems/invalid-key-list']);
    }
    expect((await alice.put(await alice.linked(now()))).status).toBe(200);
  });

  it('is not changed by a link that somebody else signed, or that was made for another version', async () => {
    const next = await alice.linked();
    const other = await alice.linked();
    const [link] = next.list.links ?? [];
    if (!link) throw new Error('There is no link.');
    for (const change of [{ sig: other.list.links?.[0]?.sig ?? '' }, { sig: 'A'.repeat(86) }]) {
      const list = { ...next.list, links: [{ ...link, ...change }] };
      const answer = await alice.put({ ...next, list });
      expect([answer.status, answer.body.type]).toEqual([403, '/problems/signature-required']);
    }
    const list = { ...next.list, links: [{ ...link, ver: 1 }] };
    expect((await alice.put({ ...next, list })).status).toBe(422);
  });

  it.each<[string, (next: NextList) => unknown]>([
    ['forgets a link', ({ list }) => (list.links = list.links?.slice(1) ?? [])],
    ['changes a link', ({ list }) => Object.assign(list.links?.[0] ?? {}, { sig: 'A'.repeat(86) })],
    ['leads elsewhere', ({ list }) => Object.assign(list.links?.[1] ?? {}, { new: digestOf('x') })],
    [
      'breaks the chain',
      ({ list }) => Object.assign(list.links?.[1] ?? {}, { old: digestOf('x') }),
    ],
    [
      'leaves a key under the old kBr',
      ({ list, wrapped }) => {
        const [old] = alice.list.keys;
        if (!old) throw new Error('There is no key.');
        list.keys = [old];
        Reflect.deleteProperty(wrapped, old.kid);
      },
    ],
    [
      'says of a key under the old kBr that it is under the new one',
      ({ list, wrapped }) => {
        const [old] = alice.list.keys;
        if (!old) throw new Error('There is no key.');
        list.keys = [{ ...old, since: list.ver }];
        Reflect.deleteProperty(wrapped, old.kid);
      },
    ],
  ])('does not change by a list that %s', async (_, spoil) => {
    await alice.put(await alice.linked());
    const next = await alice.linked(1_790_000_101);
    spoil(next);
    const answer = await alice.put(next);
    expect([answer.status >= 400, answer.status < 500]).toEqual([true, true]);
    expect((await own()).skl).toBe(alice.skl);
  });

  it('is made anew after a sign-in of at most five minutes ago', async () => {
    const next = await alice.anew();
    const attempts: [number, Record<string, unknown> | undefined][] = [
      [401, undefined],
      [401, { auth_time: now() - 301 }],
      [200, { auth_time: now() - 200 }],
    ];
    for (const [status, extra] of attempts) {
      const answer = await alice.put(next, { 'if-match': alice.etag }, extra);
      expect([status, answer.status]).toEqual([status, status]);
      if (status === 401) {
        expect(answer.body.type).toBe('/problems/step-up-required');
        expect(answer.headers['www-authenticate']).toContain(
          'error="insufficient_user_authentication", max_age="300"',
        );
      }
    }
    // Carried on, so that whoever missed the version sees it.
    expect((await alice.put({ ...alice.next(), list: withoutReset(alice) })).status).toBe(422);
    expect((await alice.put(alice.next())).status).toBe(200);
  });

  it('once made anew, the old one never returns', async () => {
    const old = { kBr: alice.kBr, identity: alice.identity };
    await alice.put(await alice.anew(), { 'if-match': alice.etag }, { auth_time: now() });
    const next = await alice.rotated();
    const list = { ...next.list, kbr: old.kBr.kid };
    const answer = await alice.put({ ...next, list, by: old.identity });
    expect([answer.status, answer.body.type]).toEqual([409, '/problems/stale-key-generation']);
    const back = await alice.anew(1_790_000_100);
    const older = await alice.put(back, { 'if-match': alice.etag }, { auth_time: now() });
    expect(older.status).toBe(409);
  });

  it('made anew keeps no key', async () => {
    const [old] = alice.list.keys;
    const next = await alice.anew();
    if (old) (next.list.keys as PublishedKey[]).push(ended(old, 'revoked', now()));
    const answer = await alice.put(next, { 'if-match': alice.etag }, { auth_time: now() });
    expect(answer.status).toBe(422);
  });
});

const withoutReset = (holder: KeyHolder) => {
  const { list } = holder.next();
  delete list.reset;
  return list;
};

describe('a revocation by token', () => {
  it('needs nothing else, and is shown to everybody', async () => {
    const bob = await KeyHolder.join(server, await caller(server));
    const { kid, sig } = await alice.revocation();
    const before = await bob.get(`users/${alice.who.uid}`);
    expect((await alice.revoke(await alice.revocation())).status).toBe(204);
    const after = await bob.get(`users/${alice.who.uid}`, {
      'if-none-match': before.headers.etag ?? '',
    });
    expect([after.status, after.body.revocations]).toEqual([200, [{ kid, sig }]]);
    expect((await own()).revocations).toEqual([{ kid, sig }]);
    expect((await alice.revoke(await alice.revocation())).status).toBe(204);
    expect((await own()).revocations).toEqual([{ kid, sig }]);
  });

  it('is taken over by the next list, or that is refused', async () => {
    await alice.revoke(await alice.revocation());
    expect((await alice.put(await alice.rotated('revoked'))).status).toBe(412);
    alice.etag = (await alice.get('me')).headers.etag ?? '';
    expect((await alice.put(await alice.rotated('retired'))).status).toBe(422);
    expect((await alice.put(await alice.rotated('revoked'))).status).toBe(200);
    expect((await own()).revocations).toBeUndefined();
    expect((await alice.revoke(await alice.revocation(alice.list.keys[1]?.kid))).status).toBe(204);
    expect((await own()).revocations).toBeUndefined();
  });

  it('is refused in the same words whatever is wrong with it', async () => {
    const good = await alice.revocation();
    const thief = await deriveIdentity(Buffer.alloc(32, 7));
    const oldIdentity = alice.identity;
    const wrong = [
      { ...good, sig: 'A'.repeat(86) },
      { ...good, kid: digestOf('x') },
      { ...good, uid: '0'.repeat(32) },
      { ...good, clientId: 'other-app' },
      await alice.revocation(undefined, thief),
      await alice.revocation(digestOf('x')),
    ];
    const texts = new Set<string>();
    for (const one of wrong) {
      const answer = await alice.revoke(one);
      expect(answer.status).toBe(422);
      texts.add(answer.text);
    }
    await alice.put(await alice.linked());
    texts.add((await alice.revoke(await alice.revocation(undefined, oldIdentity))).text);
    expect([...texts]).toEqual([expect.stringContaining('/problems/invalid-revocation')]);
    expect((await own()).revocations).toBeUndefined();
  });

  it.each<[string, object]>([
    ['nothing', {}],
    ['numbers', { uid: 1, cid: 1, kid: 1, sig: 1 }],
    ['a NUL', { uid: '0'.repeat(32), cid: 'a\u0000', kid: digestOf('x'), sig: 'A'.repeat(86) }],
  ])('is refused when it is %s', async (_, body) => {
    expect((await server.request().post('/keys/v1/revocations').send(body)).status).toBe(400);
  });

  it('is not tried for ever by one client', async () => {
    const strict = await TestServer.start({ BUDGETS: 'revocation.client=2/60' });
    const good = await alice.revocation();
    const { clientId: cid, ...rest } = good;
    const send = () =>
      strict
        .request()
        .post('/keys/v1/revocations')
        .send({ ...rest, cid });
    const statuses = [await send(), await send(), await send()].map(({ status }) => status);
    expect(statuses).toEqual([422, 422, 429]);
    await strict.stop();
  });
});

describe('settings', () => {
  const sign = (change: object, by = alice.identity) => {
    const { realm: iss, uid: sub, clientId: cid } = alice.place;
    const payload = { v: 1, iss, sub, cid, iat: now(), discoverable: 'nobody', ...change };
    return by.sign(KEY_SETTINGS_TYPE, payload);
  };
  const change = async (settings: string) => alice.send('put', 'me/settings', { settings });

  it('are changed by the identity alone, and not back by what was said before', async () => {
    const before = await sign({ iat: now() - 60, discoverable: 'app' });
    expect((await change(await sign({}))).body).toEqual({ discoverable: 'nobody' });
    expect((await own()).settings).toEqual({ discoverable: 'nobody' });
    expect((await change(before)).status).toBe(409);
    const thief = await deriveIdentity(Buffer.alloc(32, 7));
    const answer = await change(await sign({ discoverable: 'app' }, thief));
    expect([answer.status, answer.body.type]).toEqual([403, '/problems/signature-required']);
    expect((await own()).settings).toEqual({ discoverable: 'nobody' });
    expect((await change(await sign({ discoverable: 'app' }))).status).toBe(200);
  });

  it.each<[string, object]>([
    ['of another user', { sub: '0'.repeat(32) }],
    ['of another app', { cid: 'other-app' }],
    ['of another realm', { iss: 'A'.repeat(22) }],
    ['of the future', { iat: 2 ** 39 }],
    ['of no kind', { discoverable: 'contacts' }],
  ])('are refused %s', async (_, wrong) => {
    expect((await change(await sign(wrong))).status).toBe(422);
  });

  it('are seen by a device that knows the list, and change nothing of what it replaces', async () => {
    const before = (await alice.get('me')).headers.etag ?? '';
    expect((await change(await sign({}))).status).toBe(200);
    const seen = await alice.get('me', { 'if-none-match': before });
    expect([seen.status, (seen.body as OwnKeys).settings]).toEqual([
      200,
      { discoverable: 'nobody' },
    ]);
    const after = seen.headers.etag ?? '';
    expect((await alice.get('me', { 'if-none-match': after })).status).toBe(304);
    expect((await alice.put(alice.next(), { 'if-match': after })).status).toBe(200);
    expect((await alice.put(alice.next())).status).toBe(200);
  });

  it('are no list, and a list is no settings', async () => {
    expect((await change(alice.skl)).status).toBe(422);
    const skl = await sign({});
    const answer = await server
      .request()
      .put('/keys/v1/me')
      .set('authorization', await alice.who.authorization('keys'))
      .set('if-match', alice.etag)
      .send({ skl, wrapped: {} });
    expect(answer.status).toBe(422);
    expect(KEY_LIST_TYPE).not.toBe(KEY_SETTINGS_TYPE);
  });

  it('wait for the first list', async () => {
    const nobody = await caller(server);
    Object.assign(alice, { who: nobody });
    expect((await change(await sign({ sub: nobody.uid }))).status).toBe(404);
  });
});
