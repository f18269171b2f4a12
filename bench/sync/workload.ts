import { between, chance, draw, newBso, newBsos, pick } from './random.ts';
import type { Bso, Store } from './store.ts';

const COLLECTIONS = ['bookmarks', 'forms', 'passwords', 'history', 'prefs'] as const;

/**
 * One sync of one client with the distributions of Mozilla's own load test for this API: how many
 * requests of a kind, what they ask for, how many records of which size.
 *
 * @param store - used by nobody else at the same time
 */
export async function syncOnce(store: Store): Promise<void> {
  await store.configuration();
  await store.collections();
  await times(draw([40, 60]), async () => {
    const isMissing = (await store.get('meta', 'global')) === null;
    if (isMissing) await store.put('meta', { ...newBso(300), id: 'global' });
  });
  await times(draw([71, 15, 7, 4, 3]), async () => {
    const newer = Math.floor(Date.now() / 10) - between(3600, 360_000) * 100;
    await store.list({ kind: 'GET collection', collection: pick(COLLECTIONS), newer });
  });
  if (chance(0.1)) await store.list({ kind: 'GET clients', collection: 'clients' });
  if (chance(0.2)) {
    const id = `client${draw([80, 15, 4, 1])}`;
    await store.post('POST clients', 'clients', [{ ...newBso(300), id }]);
  }
  await upload(store, draw([67, 18, 9, 4, 2]));
  if (chance(0.01)) await store.deleteCollection(pick(COLLECTIONS));
  if (chance(0.01)) await store.clear();
}

/** Half of the uploads are batches; one of a single request is begun, and never committed. */
async function upload(store: Store, requests: number): Promise<void> {
  const collection = pick(COLLECTIONS);
  if (chance(0.5)) {
    await times(requests, async () => {
      await store.post('POST collection', collection, upTo100());
    });
    return;
  }
  let batch: string | undefined;
  const all: Bso[] = [];
  for (let i = 0; i < requests; i++) {
    const records = upTo100();
    all.push(...records);
    if (batch !== undefined && i === requests - 1) {
      await store.commit(collection, batch, { last: records, all });
      return;
    }
    batch = await store.append(collection, records, batch);
    if (batch === undefined) return;
  }
}

const upTo100 = () => newBsos(Math.min(between(20, 180), 100));

async function times(count: number, work: () => Promise<void>): Promise<void> {
  for (let i = 0; i < count; i++) await work();
}
