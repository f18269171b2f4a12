import { CryptoRefusal, type KeyBundle, openFormat5 } from '#lib/crypto';
import type { Bso } from '#lib/protocol';
import { z } from 'zod';
import { IntegrityError } from '../client-error.ts';
import type { SyncRecord } from './local-records.ts';
import type { Known } from './sync-memory.ts';

/** A record from the server that passed every check. */
export interface Opened {
  /** Undefined when it was deleted. */
  record: SyncRecord | undefined;
  /** See `Known.mac`. */
  mac: string;
}

const MAC_CHARACTERS = 16;
const Envelope = z.object({ hmac: z.string() });

/** The beginning of an envelope's HMAC, by which a version of a record is known again. */
export function macOf(payload: string): string {
  return Envelope.parse(JSON.parse(payload)).hmac.slice(0, MAC_CHARACTERS);
}

/**
 * Opens a record in its place.
 *
 * @param place - `collection/id`, for the message
 * @throws IntegrityError `SYNC_RECORD_FORGED` when its HMAC is wrong; `SYNC_RECORD_MISPLACED` when it was made
 * for another id
 */
export function openRecord(
  { id, payload }: Pick<Bso, 'id' | 'payload'>,
  { bundle, place }: { bundle: KeyBundle; place: string },
): Opened {
  try {
    const record = openFormat5(payload, { id, bundle });
    const isDeleted = record['deleted'] === true;
    return { record: isDeleted ? undefined : record, mac: macOf(payload) };
  } catch (cause) {
    if (!(cause instanceof CryptoRefusal)) throw cause;
    if (cause.code === 'sync-record-misplaced') {
      const detail = `${place} was made for another id.`;
      throw new IntegrityError('SYNC_RECORD_MISPLACED', detail, { cause });
    }
    const detail = `${place} is not under the key of its collection.`;
    throw new IntegrityError('SYNC_RECORD_FORGED', detail, { cause });
  }
}

/**
 * Holds a version of a record against what is known of it.
 *
 * @throws IntegrityError `SYNC_RECORD_REPLAYED` when this device saw it replaced, or knows a later one
 */
export function expectNews(
  { modified, mac, place }: { modified: number; mac: string; place: string },
  known: Known | undefined,
): void {
  if (!known || known.mac === mac) return;
  if (known.past.includes(mac) || modified < known.modified) {
    throw new IntegrityError(
      'SYNC_RECORD_REPLAYED',
      `${place} is older than what was here before.`,
    );
  }
}
