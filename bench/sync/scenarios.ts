import type { Load } from './load.ts';
import type { Options } from './options.ts';
import { between, newBso, newBsos, newId, text } from './random.ts';
import { fill } from './seed.ts';
import type { ServerUnderTest } from './server-under-test.ts';
import { type Bso, Store } from './store.ts';
import { syncOnce } from './workload.ts';

/** What a scenario works with. */
export interface Stage {
  server: ServerUnderTest;
  load: Load;
  options: Options;
  /** Whether the time of a scenario that has no end of its own is over. */
  isOver: () => boolean;
}

/** One row of the table. */
export interface Scenario {
  letter: string;
  label: string;
  /** What has to be there before the clock starts. */
  prepare?: (stage: Stage) => Promise<void>;
  /** @returns what there is to say besides the row */
  run: (stage: Stage) => Promise<string | undefined>;
}

/** Records of one who has used a browser for years. */
const MANY = 20_000;
const FIRST_SYNC = 10_000;
const PER_POST = 100;
const PER_PAGE = 1000;
/** Seconds: the server purges twice while a scenario runs. */
export const PURGE_SECONDS = 4;

/** Where stores begin that are not those of the usual users. */
const first = { tabs: 2e6, sync: 3e6, heavy: 4e6, shared: 5e6, huge: 6e6, upload: 7e6 };
let fresh = 0;

/** Everything of §7.3 of the study that the targets name. */
export const scenarios: readonly Scenario[] = [
  { letter: 'A', label: "mix of Mozilla's load test", run: mix },
  {
    letter: 'B',
    label: 'idle poll, half of them 304',
    run: (stage) =>
      eachWorker(stage, 1, async (store) => {
        await store.learn();
        for (let isPoll = false; !stage.isOver(); isPoll = !isPoll) {
          await store.collections({ isPoll });
        }
      }),
  },
  {
    letter: 'C',
    label: 'PUT of tabs',
    run: (stage) =>
      eachWorker(stage, first.tabs, async (store) => {
        for (let i = 0; !stage.isOver(); i++) {
          const id = `device${i % 3}`;
          await store.put('tabs', { id, payload: text(2000) });
          if (i % 10 === 0) await store.get('tabs', id);
        }
      }),
  },
  { letter: 'D', label: `first sync of ${FIRST_SYNC}`, run: firstSync },
  {
    letter: 'E',
    label: `download of ${MANY}, by ${PER_PAGE}`,
    prepare: fillHeavy,
    run: (stage) =>
      eachWorker(stage, first.heavy, async (store) => {
        await store.learn();
        while (!stage.isOver()) await download(stage, store, MANY);
      }),
  },
  { letter: 'F', label: '8 writers, 2 pollers', run: contention },
  { letter: 'H', label: `POST 10, ${MANY} there, quota`, prepare: fillHeavy, run: countQuota },
  {
    letter: 'I',
    label: 'A, while 5 % are purged',
    prepare: async ({ server, options }) => {
      const place = { uids: [1, options.users], collection: 'history' } as const;
      await fill(server, { ...place, records: 31, expiresIn: (options.seconds ?? 10) / 2 });
    },
    run: async (stage) => {
      const [before] = await stage.server.query<{ count: string }>(EXPIRING);
      await mix(stage);
      const [after] = await stage.server.query<{ count: string }>(EXPIRING);
      return `${Number(before?.count) - Number(after?.count)} of ${before?.count ?? 0} are gone`;
    },
  },
  {
    letter: 'M',
    label: 'a long download, 10 uploads',
    prepare: ({ server, options }) =>
      fill(server, {
        uids: [first.huge, first.huge],
        collection: 'history',
        records: options.download,
      }),
    run: async (stage) => {
      let isDone = false;
      const uploads = Array.from({ length: 10 }, async () => {
        const store = new Store(stage.load, first.upload + fresh++);
        while (!isDone) await uploadAll(store, newBsos(10 * PER_POST));
      });
      const store = new Store(stage.load, first.huge);
      await store.learn();
      await download(stage, store, stage.options.download);
      isDone = true;
      await Promise.all(uploads);
      return undefined;
    },
  },
];

const EXPIRING = `SELECT count(*) FROM bso WHERE id ~ '^x\\d{8}$'`;

/** Each worker has usual stores of its own, and takes any of them for each sync. */
async function mix({ load, options, isOver }: Stage): Promise<undefined> {
  const stores = Array.from({ length: options.users }, (_, i) => new Store(load, i + 1));
  const known = new Set<Store>();
  await Promise.all(
    Array.from({ length: options.clients }, async (_, worker) => {
      const own = stores.filter((_, i) => i % options.clients === worker);
      while (!isOver()) {
        const store = own[between(0, own.length - 1)];
        if (!store) return;
        if (!known.has(store)) await store.learn();
        known.add(store);
        await syncOnce(store);
      }
    }),
  );
}

async function firstSync(stage: Stage): Promise<string> {
  const seconds: number[] = [];
  await eachWorker(stage, first.sync, async () => {
    const store = new Store(stage.load, first.sync + fresh++);
    const records = newBsos(FIRST_SYNC);
    const started = performance.now();
    await uploadAll(store, records);
    seconds.push((performance.now() - started) / 1000);
    const counts = (await store.info('collection_counts')) as Record<string, number> | undefined;
    if (counts?.['history'] !== FIRST_SYNC) stage.load.meter.failed('D: another number of records');
    for (const { id } of records.slice(-20)) await store.get('history', id);
  });
  return `one takes ${seconds.map((s) => s.toFixed(1)).join(', ')} s, side by side`;
}

/** In one batch; the commit carries the last of them. */
async function uploadAll(store: Store, records: readonly Bso[]): Promise<void> {
  let batch: string | undefined;
  for (let i = 0; i < records.length; i += PER_POST) {
    const part = records.slice(i, i + PER_POST);
    if (batch !== undefined && i + PER_POST >= records.length) {
      await store.commit('history', batch, { last: part, all: records });
      return;
    }
    batch = await store.append('history', part, batch);
    if (batch === undefined) return;
  }
}

/** Page by page, and every record once. */
async function download({ load }: Stage, store: Store, expected: number): Promise<void> {
  const ids = new Set<string>();
  let offset: string | undefined;
  let read = 0;
  do {
    const kind = 'GET page';
    const page = await store.list({ kind, collection: 'history', limit: PER_PAGE, offset });
    if (!page) return;
    for (const { id } of page.records) ids.add(id);
    read += page.records.length;
    offset = page.next;
  } while (offset !== undefined);
  if (ids.size !== expected || read !== expected) load.meter.failed('download: another number');
}

/** All write one collection; one poller goes by X-Last-Modified, the other by X-Weave-Timestamp. */
async function contention(stage: Stage): Promise<string> {
  const { load, isOver } = stage;
  const uid = first.shared + fresh++;
  const written = new Set<string>();
  const times = new Set<number>();
  let isDone = false;

  const poll = async (cursorOf: (list: { modified: number; timestamp: number }) => number) => {
    const store = new Store(load, uid);
    const seen = new Set<string>();
    let newer = 0;
    for (let isLast = false; ; isLast = isDone) {
      const kind = 'GET newer=';
      const list = await store.list({ kind, collection: 'shared', newer, isShared: true });
      for (const { id } of list?.records ?? []) seen.add(id);
      if (list) newer = Math.max(newer, cursorOf(list));
      if (isLast) break;
    }
    for (const id of written) {
      if (!seen.has(id)) load.meter.failed('GET newer=: a record was never seen');
    }
  };
  const pollers = [poll(({ modified }) => modified), poll(({ timestamp }) => timestamp)];
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      const store = new Store(load, uid);
      while (!isOver()) {
        const bso = { ...newBso(), id: newId() };
        const modified = await store.put('shared', bso);
        if (modified === undefined) continue;
        if (times.has(modified)) load.meter.failed('PUT shared: two writes at one time');
        times.add(modified);
        written.add(bso.id);
      }
    }),
  );
  isDone = true;
  await Promise.all(pollers);
  return `${written.size} records written`;
}

async function fillHeavy({ server, options }: Stage): Promise<void> {
  const uids = [first.heavy, first.heavy + options.clients - 1] as const;
  const [row] = await server.query('SELECT 1 FROM bso WHERE uid = $1 LIMIT 1', [first.heavy]);
  if (!row) await fill(server, { uids, collection: 'history', records: MANY });
}

/** What `info/quota` says grows by what was written, to the byte. */
function countQuota(stage: Stage): Promise<undefined> {
  return eachWorker(stage, first.heavy, async (store) => {
    await store.learn();
    const bytesUsed = async () => ((await store.info('quota')) as number[] | undefined)?.[0] ?? 0;
    let expected = (await bytesUsed()) * 1024;
    for (let i = 0; !stage.isOver(); i++) {
      const records = newBsos(10);
      const modified = await store.post('POST 10', 'history', records);
      if (modified !== undefined) {
        expected += records.reduce((sum, { payload }) => sum + payload.length, 0);
      }
      if (i % 20 === 0 && Math.round((await bytesUsed()) * 1024) !== expected) {
        stage.load.meter.failed('GET info/quota: not what was written');
      }
    }
  });
}

/** @param uid - of the first worker's store; the others have those after it */
async function eachWorker(
  { load, options }: Stage,
  uid: number,
  work: (store: Store) => Promise<void>,
): Promise<undefined> {
  const stores = Array.from({ length: options.clients }, (_, i) => new Store(load, uid + i));
  await Promise.all(stores.map(work));
}
