import { utf8 } from '#lib/crypto';
import { ClientError } from '../client-error.ts';
import type { NewBso, StoreLimits, SyncStore } from './sync-store.ts';

/** What became of an upload. */
export interface Uploaded {
  /** The collection's time afterwards, in seconds. */
  modified: number;
  /** Why single records were not taken, by id. */
  failed: Map<string, string>;
}

interface Upload {
  collection: string;
  /** The collection's time as far as it is known: the upload fails with status 412 when it is newer. */
  unmodifiedSince: number;
  /** Sealed when their turn comes. */
  records: AsyncIterable<NewBso>;
  /** What was stored, each time that something is there to stay. */
  onStored: (ids: readonly string[], modified: number) => Promise<void>;
}

/** The `{"id":…,"payload":…,…}` around a payload, at most. */
const OVERHEAD_BYTES = 256;

/**
 * Uploads records in batches, each of which is stored as a whole or not at all. A server without batches
 * stores each request by itself.
 *
 * @throws ClientError with status 412 when the collection is newer than is known
 * @see sync.md §1.3.9
 */
export async function upload(
  store: SyncStore,
  { collection, unmodifiedSince, records, onStored }: Upload,
): Promise<Uploaded> {
  const limits = await store.limits();
  const done: Uploaded = { modified: unmodifiedSince, failed: new Map() };
  let batch: string | number | undefined;
  let inBatch = { ids: [] as string[], records: 0, bytes: 0 };

  const send = async (post: NewBso[], { isLast }: { isLast: boolean }) => {
    const query = {
      batch: batch === undefined ? 'true' : String(batch),
      ...(isLast && { commit: 'true' }),
    };
    const known = { unmodifiedSince: done.modified, query };
    const answer = await store.post(collection, post, known);
    for (const [id, why] of Object.entries(answer.failed)) done.failed.set(id, String(why));
    inBatch.ids.push(...post.map(({ id }) => id).filter((id) => !(id in answer.failed)));
    inBatch.records += post.length;
    inBatch.bytes += sizeOf(post);
    batch = isLast ? undefined : answer.batch;
    if (batch !== undefined) return;
    if (answer.modified === undefined) {
      throw new ClientError('malformed-answer', 0, 'The server does not say when it stored.');
    }
    done.modified = answer.modified;
    await onStored(inBatch.ids, answer.modified);
    inBatch = { ids: [], records: 0, bytes: 0 };
  };

  let waiting: NewBso[] | undefined;
  for await (const post of posts(records, limits)) {
    if (waiting) {
      const isFull =
        inBatch.records + waiting.length + post.length > limits.max_total_records ||
        inBatch.bytes + sizeOf(waiting) + sizeOf(post) > limits.max_total_bytes;
      await send(waiting, { isLast: isFull });
    }
    waiting = post;
  }
  if (waiting) await send(waiting, { isLast: true });
  return done;
}

/** Cuts a row of records into requests. */
async function* posts(
  records: AsyncIterable<NewBso>,
  { max_post_records, max_post_bytes }: StoreLimits,
): AsyncGenerator<NewBso[]> {
  let post: NewBso[] = [];
  let bytes = 0;
  for await (const record of records) {
    const size = sizeOf([record]);
    if (post.length > 0 && (post.length === max_post_records || bytes + size > max_post_bytes)) {
      yield post;
      post = [];
      bytes = 0;
    }
    post.push(record);
    bytes += size;
  }
  if (post.length > 0) yield post;
}

const sizeOf = (records: readonly NewBso[]) =>
  records.reduce((sum, { payload }) => sum + utf8(payload).length + OVERHEAD_BYTES, 0);
