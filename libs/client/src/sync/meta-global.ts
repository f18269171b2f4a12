import { randomBytes, toBase64Url } from '#lib/crypto';
import { z } from 'zod';
import { SyncStop } from './sync-stop.ts';

/** The format that these clients read and write. */
const STORAGE_VERSION = 5;

const Engine = z.looseObject({ version: z.number(), syncID: z.string() });

/**
 * `meta/global`, the one record that is not encrypted: anybody who can write to the store can write it. Fields
 * that this client does not know are kept.
 *
 * @see sync.md §6.4
 */
const MetaGlobal = z.looseObject({
  /** A change of it means: forget what you know of this store. */
  syncID: z.string().min(1),
  storageVersion: z.literal(STORAGE_VERSION),
  engines: z.record(z.string(), Engine).default({}),
  /** Engines that the person does not want anywhere. */
  declined: z.array(z.string()).default([]),
});
export type MetaGlobal = z.infer<typeof MetaGlobal>;

/** Old clients wrote the version as text. */
const Version = z.looseObject({ storageVersion: z.coerce.number() });

/** An engine that the store lists. Names come from others: `constructor` is one. */
export function engineIn({ engines }: MetaGlobal, name: string) {
  return Object.hasOwn(engines, name) ? engines[name] : undefined;
}

/** Draws a syncID: 9 bytes in base64url, 12 characters. */
export const newSyncId = (): string => toBase64Url(randomBytes(9));

/** What a new store begins with. */
export function newMetaGlobal(): MetaGlobal {
  return { syncID: newSyncId(), storageVersion: STORAGE_VERSION, engines: {}, declined: [] };
}

/**
 * Reads the payload of `meta/global`. Where an engine is both listed and declined, it is listed.
 *
 * @throws SyncStop `upgrade-required`, `format-older`, `meta-malformed`
 */
export function readMetaGlobal(payload: string): MetaGlobal {
  const unreadable = (cause?: unknown) =>
    new SyncStop('meta-malformed', 'The store does not say what it holds.', { cause });
  let value: unknown;
  try {
    value = JSON.parse(payload);
  } catch (cause) {
    throw unreadable(cause);
  }
  const version = Version.safeParse(value).data?.storageVersion;
  if (version !== undefined && version > STORAGE_VERSION) {
    throw new SyncStop(
      'upgrade-required',
      `The store is of format ${version}: use a newer client.`,
    );
  }
  if (version !== undefined && version < STORAGE_VERSION) {
    throw new SyncStop(
      'format-older',
      `The store is of format ${version}, which is not read here.`,
    );
  }
  const { success, data, error } = MetaGlobal.safeParse(value);
  if (!success) throw unreadable(error);
  return { ...data, declined: data.declined.filter((name) => !Object.hasOwn(data.engines, name)) };
}
