import { type KeyWithId, recordKeyId } from '#lib/crypto';
import type { Bso } from '#lib/protocol';
import { IntegrityError, isOvertaken } from './client-error.ts';
import type { RefusedRecord, Storage } from './storage.ts';

/** How often a collection is read anew when another device wrote meanwhile. */
const TRIES = 10;
const CHUNK_RECORDS = 50;
const CHUNK_CHARACTERS = 1_000_000;

/**
 * Puts the records of a collection that are under an earlier kBr under the one now. What another device writes
 * meanwhile is left alone. It can be cut off at any time, and done again.
 *
 * @param storage - with that `former`
 * @param moved - called with how many were put under the new key just now
 * @returns those that do not open, which stay as they are
 * @throws ClientError with status 412 when others never cease to write
 */
export async function reseal(
  storage: Storage,
  { collection, former }: { collection: string; former: KeyWithId },
  moved: (count: number) => void,
): Promise<RefusedRecord[]> {
  for (let tries = 1; ; tries++) {
    const { records, modified } = await storage.raw(collection);
    const stale = records.filter(({ payload }) => recordKeyId(payload) === former.kid);
    const refused: RefusedRecord[] = [];
    let since = modified;
    try {
      for (const chunk of chunksOf(stale)) {
        const opened: Record<string, object> = {};
        for (const { id, payload } of chunk) {
          try {
            opened[id] = await storage.open({ collection, id }, payload);
          } catch (error) {
            if (!(error instanceof IntegrityError)) throw error;
            refused.push({ id, error });
          }
        }
        const count = Object.keys(opened).length;
        if (count === 0) continue;
        since = await storage.post(collection, opened, { ifUnmodified: since });
        moved(count);
      }
      return refused;
    } catch (error) {
      if (!isOvertaken(error) || tries === TRIES) throw error;
    }
  }
}

function* chunksOf(records: readonly Bso[]): Generator<Bso[]> {
  let chunk: Bso[] = [];
  let characters = 0;
  for (const record of records) {
    const isFull = characters + record.payload.length > CHUNK_CHARACTERS;
    if (chunk.length > 0 && (isFull || chunk.length === CHUNK_RECORDS)) {
      yield chunk;
      chunk = [];
      characters = 0;
    }
    chunk.push(record);
    characters += record.payload.length;
  }
  if (chunk.length > 0) yield chunk;
}
