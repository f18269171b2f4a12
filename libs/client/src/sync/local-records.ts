import { sha256, toBase64Url, utf8 } from '#lib/crypto';

/** A record in clear: what the owner sees, and its id. */
export type SyncRecord = Readonly<Record<string, unknown>> & { readonly id: string };

/** What a device has of a collection. */
export interface LocalList {
  /** {@link recordDigest} of each record, by id. */
  digests: Map<string, string>;
  /** Why others cannot be read, by id. They are left alone: what cannot be read is not deleted. */
  unreadable: Map<string, string>;
}

/** A collection on this device, wherever it is kept. */
export interface LocalRecords {
  /** The collection's name on the server. */
  readonly name: string;
  /** The version of the records; left out when any will do. */
  readonly version?: number;
  list(): Promise<LocalList>;
  /** Undefined when it is gone by now. */
  read(id: string): Promise<SyncRecord | undefined>;
  /**
   * Takes the server's version, undefined for a deletion. What is here but is not `expected` any more is set
   * aside first.
   *
   * @param expected - the digest of what is here as far as is known; null for nothing
   * @returns whether something was set aside
   */
  write(id: string, record: SyncRecord | undefined, expected: string | null): Promise<boolean>;
  /** Takes a record out of the collection and keeps it elsewhere on this device. */
  setAside(id: string, why: 'conflict' | 'wiped'): Promise<void>;
}

/**
 * Tells contents apart, whatever the order of their fields: base64url of SHA-256 of the JSON with its fields
 * in order, its first 16 bytes.
 */
export function recordDigest(record: SyncRecord): string {
  return toBase64Url(sha256(utf8(JSON.stringify(inOrder(record)))).subarray(0, 16));
}

function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(inOrder);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([name, member]) => [name, inOrder(member)]));
}
