import { BareServer } from '../sync/bare-server.ts';
import { median, print, ratio, say } from '../sync/report.ts';
import { AccountApi, signerOf } from './account-api.ts';
import type { Bench } from './bench.ts';

const TARGET = 0.6;
const CLIENTS = 8;
const PATH = '/auth/v1/session/status';

/** The same load on a call with a session and on a bare route, in turns, on one database. */
export async function benchSession({ server, api, options }: Bench): Promise<void> {
  const { rounds, seconds = 2 } = options;
  say(`A call with a session beside a bare route: ${CLIENTS} requests at a time,`);
  say(`each ${rounds} times for ${seconds} s, in turns; requests per second`, '');
  const bare = await BareServer.start(
    server.databaseUrl,
    new URL('./bare-route.main.js', import.meta.url),
  );
  const bareApi = new AccountApi(bare.origin);
  try {
    const people = await api.signUp(CLIENTS);
    const ids = await server.query<{ id: string }>('SELECT id FROM session');
    const signers = people.map(({ sessionToken }) => signerOf(sessionToken));
    const bearers = people.map(({ sessionToken }) => api.bearer(sessionToken));
    // All of them sign, so that the generator takes the same part of the machine.
    const hawk = (i: number) => api.hawk(signers[i] ?? { id: EMPTY, reqHMACkey: EMPTY }, PATH);
    const sides = {
      bare: async (i: number) => {
        await hawk(i);
        return bareApi.call({ method: 'GET', path: `/session/${ids[i]?.id ?? ''}` });
      },
      bearer: async (i: number) => {
        await hawk(i);
        return api.call({ method: 'GET', path: PATH, authorization: bearers[i] ?? '' });
      },
      hawk: async (i: number) =>
        api.call({ method: 'GET', path: PATH, authorization: await hawk(i) }),
    };
    const rates: Record<keyof typeof sides, number[]> = { bare: [], bearer: [], hawk: [] };
    for (let round = 0; round < rounds; round++) {
      const order = Object.keys(sides) as (keyof typeof sides)[];
      for (const side of round % 2 === 0 ? order : order.toReversed()) {
        rates[side].push(await rateOf(sides[side], seconds));
      }
    }
    const of = (side: keyof typeof sides) => median(rates[side]);
    const row = (side: keyof typeof sides) => [
      ...[side, of('bare').toFixed(0), of(side).toFixed(0)],
      ...ratio(of(side) / of('bare'), TARGET),
    ];
    print([['session by', 'bare', 'ours', 'ratio', 'target', ''], row('bearer'), row('hawk')]);
  } finally {
    bareApi.close();
    await bare.stop();
  }
}

const EMPTY = new Uint8Array(32);

async function rateOf(
  ask: (client: number) => Promise<{ status: number; text: string }>,
  seconds: number,
): Promise<number> {
  const started = performance.now();
  let count = 0;
  const client = async (i: number) => {
    while (performance.now() < started + seconds * 1000) {
      const { status, text } = await ask(i);
      if (status !== 200) throw new Error(`${status} ${text}`);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  return count / ((performance.now() - started) / 1000);
}
