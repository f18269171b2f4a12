import { Logger } from '@nestjs/common';
import { KEY_SETTINGS_TYPE, type LookedUp } from '#lib/protocol';
import { DeletionsService } from '../../apps/server/src/deletion/deletions.service.ts';
import { DISCOVER, LOOK_UP } from '../../apps/server/src/keys/look-ups.ts';
import { LookUpBudgetService } from '../../apps/server/src/keys/look-up-budget.service.ts';
import type { RepeatedJob } from '../../apps/server/src/platform/repeated-job.ts';
import { caller, type TestCaller } from '../support/caller.ts';
import { KeyHolder } from '../support/key-holder.ts';
import { countingStatements } from '../support/statements.ts';
import { TestServer } from '../support/test-server.ts';

let server: TestServer;
let alice: KeyHolder;
let bob: KeyHolder;
const start = async (budgets = '') => {
  server = await TestServer.start({ BUDGETS: budgets || 'all=1000000/86400' });
  alice = await KeyHolder.join(server, await caller(server));
  bob = await KeyHolder.join(server, await caller(server));
};
afterEach(() => server.stop());

const hide = async (who: KeyHolder, discoverable = 'nobody') => {
  const { realm: iss, uid: sub, clientId: cid } = who.place;
  const iat = server.clock.seconds();
  const payload = { v: 1, iss, sub, cid, iat, discoverable };
  const settings = await who.identity.sign(KEY_SETTINGS_TYPE, payload);
  return who.send('put', 'me/settings', { settings });
};
const members = async (count: number, change: Parameters<typeof caller>[1] = {}) =>
  Promise.all(
    Array.from({ length: count }, async () => KeyHolder.join(server, await caller(server, change))),
  );
const unknownUid = () => crypto.randomUUID().replaceAll('-', '');
const lookUp = (who: KeyHolder, uids: string[]) => who.send('post', 'lookups', { uids });
const discover = (who: KeyHolder, emails: string[]) => who.send('post', 'discoveries', { emails });

describe('whoever cannot be found', () => {
  it('is answered alike, by the same statements: absent, hidden, unverified, or in another app', async () => {
    await start();
    const [hidden] = await members(1);
    const [unverified] = await members(1, { verified: false });
    const [elsewhere] = await members(1, { clientId: 'other-app' });
    if (!hidden || !unverified || !elsewhere) throw new Error('There is nobody.');
    expect((await hide(hidden)).status).toBe(200);
    const unpublished = await caller(server);
    const targets: Pick<TestCaller, 'uid' | 'email'>[] = [
      { uid: unknownUid(), email: 'nobody@example.org' },
      ...[hidden.who, unverified.who, elsewhere.who, unpublished],
    ];
    await bob.get(`users/${alice.who.uid}`);
    await discover(bob, ['first@example.org']); // makes the key of the hashes
    const kinds: ((who: Pick<TestCaller, 'uid' | 'email'>) => Promise<Answer>)[] = [
      ({ uid }) => bob.get(`users/${uid}`),
      ({ uid }) => lookUp(bob, [uid]),
      ({ email }) => discover(bob, [email]),
    ];
    for (const ask of kinds) {
      const seen = new Set<string>();
      for (const target of targets) {
        const authorization = await bob.who.authorization('keys');
        bob.who.authorization = () => Promise.resolve(authorization);
        let answer: Answer = { status: 0, text: '' };
        const statements = await countingStatements(server, async () => {
          answer = await ask(target);
        });
        seen.add(JSON.stringify([answer.status, answer.text, statements]));
        // And again, when it was counted.
        const again = await countingStatements(server, () => ask(target));
        seen.add(JSON.stringify(['again', again.length]));
      }
      expect(seen.size).toBe(2);
    }
  });

  it('is found by no way when he wishes so, but by himself', async () => {
    await start();
    await bob.get(`users/${alice.who.uid}`);
    await hide(alice);
    expect((await bob.get(`users/${alice.who.uid}`)).status).toBe(404);
    expect((await lookUp(bob, [alice.who.uid])).body.results).toEqual([{ found: false }]);
    expect((await discover(bob, [alice.who.email])).body.results).toEqual([{ found: false }]);
    const watched = await bob.get(`events?uid=${alice.who.uid}`);
    expect(watched.body).toMatchObject({ events: [], unknown: [alice.who.uid] });
    expect((await bob.send('post', 'packages/claims', { uid: alice.who.uid })).body).toEqual({
      found: false,
    });
    expect((await alice.get(`users/${alice.who.uid}`)).status).toBe(200);
    server.clock.advance(1);
    await hide(alice, 'app');
    expect((await bob.get(`users/${alice.who.uid}`)).status).toBe(200);
  });
});

interface Answer {
  status: number;
  text: string;
}

describe('look-ups of many', () => {
  it('answer in the order of the question, as long whoever was found', async () => {
    await start();
    const nobody = unknownUid();
    const answer = await lookUp(bob, [nobody, alice.who.uid, bob.who.uid]);
    const { results } = answer.body as LookedUp;
    expect(results).toEqual([
      { found: false },
      { found: true, uid: alice.who.uid, skl: alice.skl },
      { found: true, uid: bob.who.uid, skl: bob.skl },
    ]);
    expect(answer.text).toHaveLength(32_768);
    expect((await lookUp(bob, [nobody])).text).toHaveLength(32_768);
  });

  it.each<[string, unknown]>([
    ['nobody', []],
    ['101 users', Array.from({ length: 101 }, () => '0'.repeat(32))],
    ['what is no uid', ['x']],
    ['no list', '0'.repeat(32)],
  ])('are refused for %s', async (_, uids) => {
    await start();
    expect((await bob.send('post', 'lookups', { uids })).status).toBe(400);
  });

  it('are for members alone', async () => {
    await start();
    Object.assign(bob, { who: await caller(server) });
    expect((await lookUp(bob, [alice.who.uid])).status).toBe(403);
    expect((await bob.get(`events?uid=${alice.who.uid}`)).status).toBe(403);
    expect((await bob.send('post', 'packages/claims', { uid: alice.who.uid })).status).toBe(403);
    expect((await bob.send('post', 'packages', { packages: [] })).status).toBe(403);
  });
});

it.each([
  ['by uid', LOOK_UP, `'', '', '{}'`, 'uid'],
  ['by address', DISCOVER, `'', '', '{}', '{}'`, 'normal_email'],
])(
  'finds accounts %s in their index, also by a plan from when there were few',
  async (_, text, values, key) => {
    await start();
    await server.db.query('ANALYZE account');
    const plan = await server.db.transaction(async (tx) => {
      await tx.query(`PREPARE look AS ${text}`);
      return tx.query<{ 'QUERY PLAN': string }[]>(`EXPLAIN EXECUTE look (${values})`);
    });
    const lines = plan.map((line) => line['QUERY PLAN'].trim());
    const at = lines.findIndex((line) => line.includes(' on account'));
    expect(lines[at + 1]).toMatch(new RegExp(`^Index Cond: \\(${key} = `));
  },
);

describe('budgets', () => {
  it('let a look-up of somebody who was counted today pass as one statement', async () => {
    await start();
    const authorization = await bob.who.authorization('keys');
    bob.who.authorization = () => Promise.resolve(authorization);
    await bob.get(`users/${alice.who.uid}`);
    await bob.get(`users/${alice.who.uid}`);
    const statements = await countingStatements(server, () => bob.get(`users/${alice.who.uid}`));
    expect(statements).toHaveLength(1);
  });

  it('count different people: the same ones are free', async () => {
    await start('all=1000000/60,look-up.account=3/86400');
    const others = await members(4);
    const [a, b, c, d] = others.map(({ who }) => who.uid);
    for (const uid of [a, b, c, a, b, c]) expect((await bob.get(`users/${uid}`)).status).toBe(200);
    const refused = await bob.get(`users/${d}`);
    expect([refused.status, refused.body.type]).toEqual([429, '/problems/too-many-requests']);
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await discover(bob, [others[3]?.who.email ?? ''])).status).toBe(429);
    expect((await bob.send('post', 'packages/claims', { uid: d })).status).toBe(429);
    expect((await bob.get(`users/${a}`)).status).toBe(200);
    expect((await alice.get(`users/${d}`)).status).toBe(200);
    server.clock.advance(86_400);
    const later = await caller(server, bob.who);
    bob.who.authorization = (api) => later.authorization(api);
    expect((await bob.get(`users/${d}`)).status).toBe(200);
  });

  it('stop who guesses: a miss costs five', async () => {
    await start('all=1000000/60,look-up.account=200/86400');
    const statuses: number[] = [];
    for (let n = 0; n < 10; n++) {
      const uids = Array.from({ length: 5 }, unknownUid);
      statuses.push((await lookUp(bob, uids)).status);
    }
    // Eight times five misses are 200.
    expect(statuses).toEqual([...Array.from({ length: 8 }, () => 200), 429, 429]);
    expect((await discover(bob, ['a@example.org'])).status).toBe(429);
  });

  it('say no before they say how many were found: what is refused depends on the number asked alone', async () => {
    await start('all=1000000/60,look-up.account=4/86400');
    const others = await members(5);
    const found = others.map(({ who }) => who.uid);
    const misses = Array.from({ length: 5 }, unknownUid);
    const [hit, miss] = [await lookUp(bob, found), await lookUp(alice, misses)];
    expect([hit.status, miss.status, hit.text]).toEqual([429, 429, miss.text]);
    // Nothing was counted by that.
    expect((await lookUp(bob, found.slice(0, 4))).status).toBe(200);
  });

  it('do not tell by whom they let pass which address is that of somebody known', async () => {
    await start('all=1000000/60,look-up.account=2/86400');
    const [known] = await members(1);
    const email = known?.who.email ?? '';
    expect((await lookUp(bob, [alice.who.uid, known?.who.uid ?? ''])).status).toBe(200);
    const [wrong, right] = [
      await discover(bob, ['nobody@example.org']),
      await discover(bob, [email]),
    ];
    expect([wrong.status, right.status, right.text]).toEqual([429, 429, wrong.text]);
  });

  it('count an address once, and whom it led to not again', async () => {
    await start('all=1000000/60,look-up.account=1/86400');
    for (let n = 0; n < 2; n++) {
      expect((await discover(bob, [alice.who.email])).status).toBe(200);
      expect((await bob.get(`users/${alice.who.uid}`)).status).toBe(200);
    }
    const events = await bob.get(`events?uid=${alice.who.uid}`);
    expect(events.body).toMatchObject({ events: [{ uid: alice.who.uid }], unknown: [] });
  });

  it.each<[string, (who: TestCaller) => Promise<Answer>]>([
    ['uid', ({ uid }) => bob.get(`users/${uid}`)],
    ['uid among others', ({ uid }) => lookUp(bob, [uid])],
    ['address', ({ email }) => discover(bob, [email])],
  ])('remember by %s who is found after he was looked for in vain', async (_, ask) => {
    await start('all=1000000/60,look-up.account=1/86400');
    const who = await caller(server);
    await ask(who);
    await KeyHolder.join(server, who);
    expect((await ask(who)).status).toBe(200);
    expect((await bob.get(`events?uid=${who.uid}`)).body).toMatchObject({ unknown: [] });
  });

  it('let ten new ones a minute pass, and more when they come at once, to be waited for', async () => {
    await start('all=1000000/86400,look-up-burst.account=10/60');
    const others = (await members(30)).map(({ who }) => who.uid);
    expect((await lookUp(bob, others.slice(0, 20))).status).toBe(200);
    const refused = await lookUp(bob, others.slice(20));
    expect([refused.status, Number(refused.headers['retry-after'])]).toEqual([
      429,
      expect.any(Number),
    ]);
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(66);
    server.clock.advance(67);
    expect((await lookUp(bob, others.slice(20))).status).toBe(200);
  });

  it('are for an app, too', async () => {
    await start('all=1000000/60,look-up.app=2/86400');
    const others = (await members(3)).map(({ who }) => who.uid);
    expect((await bob.get(`users/${others[0]}`)).status).toBe(200);
    expect((await alice.get(`users/${others[1]}`)).status).toBe(200);
    expect((await bob.get(`users/${others[2]}`)).status).toBe(429);
    expect((await alice.get(`users/${others[2]}`)).status).toBe(429);
  });

  it('let no more through when all come at once', async () => {
    await start('all=1000000/60,look-up.account=5/86400');
    const others = (await members(12)).map(({ who }) => who.uid);
    const answers = await Promise.all(others.map((uid) => bob.get(`users/${uid}`)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
  });

  it('let no more through of an app when all of its users come at once', async () => {
    await start('all=1000000/60,look-up.app=5/86400');
    const all = await members(12);
    const answers = await Promise.all(
      all.map((one, n) => one.get(`users/${all.at(n - 1)?.who.uid ?? ''}`)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    const [{ sum }] = await server.db.query(
      `SELECT sum(spent)::int FROM key_spending WHERE uid LIKE '#%'`,
    );
    expect(sum).toBe(5);
  });
});

it('writes no address into a URL, a log or a table of look-ups', async () => {
  await start();
  const lines: string[] = [];
  const write = (...words: unknown[]) => void lines.push(JSON.stringify(words));
  Logger.overrideLogger({
    ...{ log: write, error: write, warn: write, debug: write, verbose: write, fatal: write },
  });
  try {
    const known = alice.who.email;
    await discover(bob, ['secret-friend@example.org', known]);
    await discover(bob, ['secret-friend@example.org', 'not an address']); // refused
    const log = lines.join('\n');
    expect(log.split('/keys/v1/discoveries')).toHaveLength(3);
    const tables = await server.db.query<object[]>(`SELECT * FROM key_contact`);
    for (const address of ['secret-friend', known]) {
      for (const text of [log, JSON.stringify(tables)]) expect(text).not.toContain(address);
    }
  } finally {
    Logger.overrideLogger(false);
  }
});

it('forgets whom nobody found, and addresses, with the day, also when days were hours before', async () => {
  await start();
  await discover(bob, ['nobody@example.org', alice.who.email]);
  const now = Math.floor(server.clock.seconds() / 86_400);
  const old: [string, boolean, number][] = [
    ['of yesterday', false, now - 1],
    ['of an hour', false, now * 24],
    ['found', true, now - 399],
    ['found long ago', true, now - 401],
  ];
  for (const [target, isFound, window] of old) {
    await server.db.query(`INSERT INTO key_contact VALUES ('bob', 'demo-app', $1, $2, $3)`, [
      ...[target, isFound, window],
    ]);
  }
  const job = Reflect.get(server.app.get(LookUpBudgetService), 'job') as RepeatedJob;
  const left = async () => {
    job.hurry();
    await job.settled();
    const rows = await server.db.query<{ target: string }[]>(`SELECT target FROM key_contact`);
    return rows.map(({ target }) => target).sort();
  };
  const hash = expect.stringMatching(/^[\w-]{43}$/) as string;
  const today = (await left()).filter((target) => ![alice.who.uid, 'found'].includes(target));
  expect(today).toEqual([hash, hash]);
  server.clock.advance(86_400);
  expect(await left()).toEqual([alice.who.uid, 'found'].sort());
});

it('forgets all of it with the account', async () => {
  await start();
  await bob.get(`users/${alice.who.uid}`);
  await alice.get(`users/${bob.who.uid}`);
  const parts = Reflect.get(server.app.get(DeletionsService), 'parts') as Map<string, Erase>;
  await parts.get('keys')?.(alice.who.uid);
  for (const table of ['key_member', 'key_list', 'key_package', 'key_spending']) {
    const rows = await server.db.query<object[]>(`SELECT FROM ${table} WHERE uid = $1`, [
      alice.who.uid,
    ]);
    expect(rows).toEqual([]);
  }
  expect(
    await server.db.query(`SELECT FROM key_contact WHERE uid = $1 OR target = $1`, [alice.who.uid]),
  ).toEqual([]);
  expect((await bob.get(`users/${alice.who.uid}`)).status).toBe(404);
});

type Erase = (uid: string) => Promise<unknown>;
