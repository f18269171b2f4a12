import { BareServer } from './bare-server.ts';
import { Load } from './load.ts';
import type { Options } from './options.ts';
import { newBso, newBsos } from './random.ts';
import { median, print, ratio, say } from './report.ts';
import { fill } from './seed.ts';
import { ServerUnderTest } from './server-under-test.ts';
import { Store } from './store.ts';

const TARGET = 0.6;
const RECORDS = 500;
const PER_APPEND = 80;
/** A batch takes 10,000 records. */
const APPENDS = 100;

interface Operation {
  label: string;
  /** Requests, until it is over. */
  run: (store: Store, isOver: () => boolean) => Promise<void>;
}

const operations: readonly Operation[] = [
  {
    label: 'collection read (newer=, full)',
    run: async (store, isOver) => {
      const last = store.times.get('history') ?? 0;
      while (!isOver()) {
        await store.list({
          kind: 'GET collection',
          collection: 'history',
          newer: last - LOOK_BACK,
        });
      }
    },
  },
  {
    label: 'batch append 80 BSOs',
    run: async (store, isOver) => {
      let batch: string | undefined;
      for (let i = 0; !isOver(); i++) {
        if (i % APPENDS === 0) batch = undefined;
        batch = await store.append('uploads', newBsos(PER_APPEND), batch);
      }
    },
  },
  {
    label: 'PUT 1 BSO',
    run: async (store, isOver) => {
      while (!isOver()) await store.put('singles', newBso());
    },
  },
];

/** So far back about ten of the records are, of those that lie over 100 hours. */
const LOOK_BACK = (36_000_000 * 10) / RECORDS;

/** The same requests to the server and to bare routes with its statements, in turns, on one database. */
export async function benchBeside(options: Options): Promise<void> {
  const { clients, rounds, seconds = 2 } = options;
  const server = await ServerUnderTest.start({});
  const bare = await BareServer.start(
    server.databaseUrl,
    new URL('./bare-route.main.js', import.meta.url),
  );
  try {
    say(`Beside a bare Fastify route: ${clients} requests at a time,`);
    say(`each side ${rounds} times for ${seconds} s, in turns; verified requests per second`, '');
    await fill(server, { uids: [1, 2 * clients], collection: 'history', records: RECORDS });
    await server.query('VACUUM ANALYZE');
    const loads = {
      ours: { load: new Load(server.origin, server.secret), uid: 1 },
      bare: { load: new Load(bare.origin, server.secret), uid: clients + 1 },
    };
    const rows = [['operation', 'bare', 'ours', 'ratio', 'target', '', 'failures']];
    for (const { label, run } of operations) {
      const rates = { ours: [] as number[], bare: [] as number[] };
      let failures = 0;
      for (let round = 0; round < rounds; round++) {
        for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
          const { load, uid } = loads[side];
          load.reset();
          const stores = await knownStores(server, load, uid, clients);
          const started = performance.now();
          const isOver = () => performance.now() >= started + seconds * 1000;
          await Promise.all(stores.map((store) => run(store, isOver)));
          const { requests, failureCount, failureLines } = load.meter;
          rates[side].push((requests - failureCount) / ((performance.now() - started) / 1000));
          failures += failureCount;
          say(...failureLines);
        }
      }
      const [ofBare, ofOurs] = [median(rates.bare), median(rates.ours)];
      const numbers = [ofBare.toFixed(0), ofOurs.toFixed(0), ...ratio(ofOurs / ofBare, TARGET)];
      rows.push([label, ...numbers, String(failures)]);
    }
    print(rows);
    for (const { load } of Object.values(loads)) load.close();
  } finally {
    await bare.stop();
    await server.stop();
  }
}

const SIDES = ['bare', 'ours'] as const;

/** The bare routes do not say what there is, so the stores learn it from the database. */
async function knownStores(
  server: ServerUnderTest,
  load: Load,
  uid: number,
  count: number,
): Promise<Store[]> {
  const rows = await server.query<{ uid: string; collection: string; modified: string }>(
    'SELECT uid, collection, modified FROM user_collection WHERE uid BETWEEN $1 AND $2',
    [uid, uid + count - 1],
  );
  const stores = Array.from({ length: count }, (_, i) => new Store(load, uid + i));
  for (const row of rows) {
    stores[Number(row.uid) - uid]?.times.set(row.collection, Number(row.modified));
  }
  return stores;
}
