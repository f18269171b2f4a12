import { z } from 'zod';

/** GET /token/1.0/sync/1.5: where an account's records are, and the Hawk credentials for them. */
export const StorageToken = z.object({
  id: z.string(),
  key: z.string(),
  uid: z.number().int(),
  api_endpoint: z.string(),
  /** Seconds. */
  duration: z.number().int(),
  hashalg: z.literal('sha256'),
  hashed_fxa_uid: z.string(),
  node_type: z.string(),
});
export type StorageToken = z.infer<typeof StorageToken>;

/**
 * What a storage token's `access` allows, beyond naming a uid. Absent: everything, as Mozilla's
 * tokens do. `app`: everything but writing to `inbox`. `deposit`: only writing to `inbox`. `read`:
 * only GET.
 */
export type StorageAccess = 'app' | 'deposit' | 'read';

/** The collection that other users' deposits arrive in. */
export const INBOX = 'inbox';

/** A Basic Storage Object, as a list with `full` returns it. */
export const Bso = z.object({
  id: z.string(),
  /** Seconds since 1970, two decimals. */
  modified: z.number(),
  payload: z.string(),
  sortindex: z.number().int().nullish(),
});
export type Bso = z.infer<typeof Bso>;
