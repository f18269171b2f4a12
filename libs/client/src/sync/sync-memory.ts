import { randomBytes, toBase64Url } from '#lib/crypto';
import { z } from 'zod';

/** What is known of one record since it was last the same here and on the server. */
const Known = z.object({
  /** Of its content; null when it is deleted. */
  digest: z.string().nullable(),
  /** The server's time of that version, in seconds. */
  modified: z.number(),
  /** The beginning of its HMAC, which no other version shares; absent before it was met. */
  mac: z.string().optional(),
  /** The HMACs of versions that were replaced, newest last: they never come back honestly. */
  past: z.array(z.string()).default([]),
});
export type Known = z.infer<typeof Known>;

const EngineMemory = z.object({
  /** As in `meta/global`. */
  syncID: z.string(),
  /** Everything up to this time of the server is here; 0 for a start from nothing. */
  time: z.number(),
  records: z.record(z.string(), Known),
  /** Records that could not be taken, and are asked for again. */
  refused: z.array(z.string()),
});
/** What is known of one collection. */
export type EngineMemory = z.infer<typeof EngineMemory>;

const Seen = z.object({ time: z.number(), payload: z.string() });

/**
 * What a device remembers of a store from one sync to the next. Nothing in it is secret: keys are in it as the
 * server has them, sealed. Without it everything is compared anew and nothing is lost, but replays of what
 * this device saw replaced are no longer noticed.
 */
export const SyncMemory = z.object({
  v: z.literal(1),
  /** This device, in the collection `clients`. */
  clientId: z.string(),
  syncID: z.string().optional(),
  /** `meta/global` and `crypto/keys` as they were last read. */
  meta: Seen.optional(),
  keys: Seen.optional(),
  /** What was replaced, and never comes back honestly: syncIDs, and names of key bundles. */
  retired: z.object({ syncIDs: z.array(z.string()), bundles: z.array(z.string()) }),
  engines: z.record(z.string(), EngineMemory),
  /** The flowIDs of commands that were carried out here. */
  commandsDone: z.array(z.string()),
  /** Until when the server asked to be left alone, in milliseconds since 1970 on this device. */
  pauseUntil: z.number().optional(),
  /** New keys on their way: both payloads of `crypto/keys`, until every record is under the new ones. */
  rotation: z.object({ from: z.string(), to: z.string() }).optional(),
});
export type SyncMemory = z.infer<typeof SyncMemory>;

/** Where a device keeps its memory. */
export interface SyncMemoryKeeper {
  load(): Promise<SyncMemory | undefined>;
  /** Called often: after each page and each batch, so that an interrupted sync goes on where it was. */
  save(memory: SyncMemory): Promise<void>;
}

/** A device that knows nothing yet. */
export function newSyncMemory(): SyncMemory {
  return {
    v: 1,
    clientId: toBase64Url(randomBytes(9)),
    retired: { syncIDs: [], bundles: [] },
    engines: {},
    commandsDone: [],
  };
}

/** A collection of which nothing is known. */
export const newEngineMemory = (syncID: string): EngineMemory => ({
  syncID,
  time: 0,
  records: {},
  refused: [],
});

const RETIRED_MAX = 200;
const PAST_MAX = 8;

/** Adds to a list of what was replaced; the oldest are forgotten. */
export function retire(list: string[], ...items: readonly string[]): void {
  list.push(...items.filter((item) => !list.includes(item)));
  list.splice(0, list.length - RETIRED_MAX);
}

/** The next state of what is known of a record, when another version of it stands. */
export function knownAfter(
  before: Known | undefined,
  now: { digest: string | null; modified: number; mac: string },
): Known {
  const past = [...(before?.past ?? [])];
  if (before?.mac !== undefined && before.mac !== now.mac) past.push(before.mac);
  return { ...now, past: past.slice(-PAST_MAX) };
}
