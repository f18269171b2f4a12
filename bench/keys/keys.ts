import { machine, median, print, ratio, say } from '../sync/report.ts';
import { atMost } from '../accounts/verdict.ts';
import { BareServer } from '../sync/bare-server.ts';
import { ServerUnderTest } from '../sync/server-under-test.ts';
import { Asker, type Ask } from './asker.ts';
import { readOptions } from './options.ts';
import {
  addAccounts,
  addMembers,
  giveTokens,
  makePublication,
  type Publication,
  uidOf,
} from './people.ts';
import { benchVerification } from './verification.ts';

const CLIENTS = 8;
const MEMBERS = 1000;
/** Before them only the clients themselves; those that publish come after the last. */
const FIRST_PUBLISHER = 2_000_000;
/** Times as long as a measurement. */
const WARM_UP = 3;
/** More than any machine takes within a second. */
const PUBLICATIONS_PER_SECOND = 2000;

/** `npm run bench -- keys`: the Key Service in numbers. docs/benchmarks.md says what they mean. */
export async function keys(rest: readonly string[]): Promise<void> {
  const options = readOptions(rest);
  if (!options) return;
  say(machine(), '');
  say(
    `${CLIENTS} requests at a time; each ${options.rounds} times for ${options.seconds} s, in turns;`,
  );
  say('requests per second', '');
  await benchVerification(options);
  const server = await ServerUnderTest.start({ SIGN_UP: 'open', BUDGETS: 'all=none' });
  const bare = await BareServer.start(
    server.databaseUrl,
    new URL('./bare-route.main.js', import.meta.url),
  );
  const [ours, beside] = [new Asker(server.origin), new Asker(bare.origin)];
  try {
    const { realm } = JSON.parse(
      (await ours.ask({ method: 'GET', path: '/keys/v1/config' })).text,
    ) as { realm: string };
    const { skl } = await makePublication(realm, uidOf(1));
    await addMembers(server, 0, MEMBERS, skl);
    const tokens = await giveTokens(
      server,
      Array.from({ length: CLIENTS }, (_, i) => uidOf(i)),
    );
    const calls = callsOf({ server, ours, beside, tokens });
    const publications = await makePublications({ server, realm }, options);
    const sides: Record<string, (client: number) => Promise<unknown>> = {
      'bare read': (i) => beside.ask(calls.bareRead(i, MEMBERS)),
      'look-up, counted': (i) => ours.ask(calls.counted(i, MEMBERS)),
      'bare insert': () => beside.ask({ method: 'GET', path: '/insert' }),
      'look-up, first': (i) => ours.ask(calls.first(i)),
      '100 look-ups': (i) => ours.ask(calls.batch(i)),
      'bare signed insert': (i) =>
        beside.ask({ method: 'PUT', path: '/signed', body: publications.body(i) }),
      publish: () => ours.ask(publications.next()),
    };
    await calls.count(MEMBERS);
    const rates = await measure(sides, options);
    const of = (name: string) => rates.get(name) ?? 0;
    const row = (name: string, than: string, target: number) => [
      ...[name, than, of(than).toFixed(0), of(name).toFixed(0)],
      ...ratio(of(name) / of(than), target),
    ];
    print([
      ['', 'beside', 'bare', 'ours', 'ratio', 'target', ''],
      row('look-up, counted', 'bare read', 0.6),
      row('look-up, first', 'bare insert', 0.6),
      row('publish', 'bare signed insert', 0.5),
    ]);
    print([
      ['', 'one', 'all', 'times', 'target', ''],
      [
        ...['100 look-ups', of('look-up, counted').toFixed(0), of('100 look-ups').toFixed(0)],
        ...atMost(of('look-up, counted') / of('100 look-ups'), 6),
      ],
    ]);
    if (options.members > MEMBERS) {
      await addMembers(server, MEMBERS, options.members, skl);
      await calls.count(options.members);
      const many = await measure(
        {
          few: (i) => ours.ask(calls.counted(i, MEMBERS)),
          many: (i) => ours.ask(calls.counted(i, options.members)),
        },
        options,
      );
      const few = of('look-up, counted');
      const all = many.get('many') ?? 0;
      print([
        ['members', 'look-ups', 'ratio', 'target', ''],
        [String(MEMBERS), few.toFixed(0), '', '', ''],
        [String(options.members), all.toFixed(0), ...ratio(all / few, 0.9)],
        ['of them the first', (many.get('few') ?? 0).toFixed(0), '', '', ''],
      ]);
    }
  } finally {
    ours.close();
    beside.close();
    await bare.stop();
    await server.stop();
  }
}

/** People who were counted for each client, spread over all members. */
const SPREAD = 500;

function callsOf(parts: {
  server: ServerUnderTest;
  ours: Asker;
  beside: Asker;
  tokens: readonly string[];
}) {
  const { ours, tokens } = parts;
  let turn = 0;
  let fresh = 0;
  const spread = (among: number) => uidOf(Math.floor(((turn++ % SPREAD) * among) / SPREAD));
  const token = (i: number) => tokens[i] ?? '';
  return {
    bareRead: (_: number, among: number): Ask => ({
      method: 'GET',
      path: `/list/${spread(among)}`,
    }),
    counted: (i: number, among: number): Ask => ({
      ...{ method: 'GET', path: `/keys/v1/users/${spread(among)}`, token: token(i) },
    }),
    /** Of nobody: written like somebody, and never twice the same. */
    first: (i: number): Ask => ({
      ...{ method: 'GET', token: token(i), isMissing: true },
      path: `/keys/v1/users/${uidOf(1_000_000_000 + fresh++)}`,
    }),
    batch: (i: number): Ask => ({
      ...{ method: 'POST', path: '/keys/v1/lookups', token: token(i) },
      body: { uids: Array.from({ length: 100 }, () => spread(MEMBERS)) },
    }),
    /** Has everybody whom the measurement asks for counted beforehand. */
    count: async (among: number) => {
      for (let i = 0; i < tokens.length; i++) {
        for (let from = 0; from < SPREAD; from += 100) {
          const uids = Array.from({ length: 100 }, (_, n) =>
            uidOf(Math.floor(((from + n) * among) / SPREAD)),
          );
          await ours.ask({
            method: 'POST',
            path: '/keys/v1/lookups',
            token: token(i),
            body: { uids },
          });
        }
      }
    },
  };
}

async function makePublications(
  { server, realm }: { server: ServerUnderTest; realm: string },
  { rounds, seconds }: { rounds: number; seconds: number },
) {
  const length = PUBLICATIONS_PER_SECOND * seconds * (rounds + WARM_UP);
  const uids = Array.from({ length }, (_, n) => uidOf(FIRST_PUBLISHER + n));
  await addAccounts(server, FIRST_PUBLISHER, FIRST_PUBLISHER + length);
  const tokens = await giveTokens(server, uids);
  const made: Publication[] = [];
  for (const uid of uids) made.push(await makePublication(realm, uid));
  let at = 0;
  return {
    body: (i: number) => ({ skl: made[i]?.skl ?? '', wrapped: made[i]?.wrapped ?? {} }),
    next: (): Ask => {
      const [one, token] = [made[at], tokens[at]];
      at++;
      if (!one || token === undefined)
        throw new Error('There are no more publications: fewer rounds.');
      const { skl, wrapped } = one;
      return { method: 'PUT', path: '/keys/v1/me', token, isFirst: true, body: { skl, wrapped } };
    },
  };
}

/** @returns requests per second, the median of all rounds */
async function measure(
  sides: Record<string, (client: number) => Promise<unknown>>,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<Map<string, number>> {
  const rates = new Map<string, number[]>();
  for (let round = 0; round <= rounds; round++) {
    const order = Object.entries(sides);
    for (const [name, ask] of round % 2 === 0 ? order : order.toReversed()) {
      // The first round is for both servers' compilers: ours has more to do.
      const rate = await rateOf(ask, round === 0 ? WARM_UP * seconds : seconds);
      if (round > 0) rates.set(name, [...(rates.get(name) ?? []), rate]);
    }
  }
  return new Map([...rates].map(([name, all]) => [name, median(all)]));
}

async function rateOf(ask: (client: number) => Promise<unknown>, seconds: number): Promise<number> {
  const started = performance.now();
  let count = 0;
  const client = async (i: number) => {
    while (performance.now() < started + seconds * 1000) {
      await ask(i);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  return count / ((performance.now() - started) / 1000);
}
