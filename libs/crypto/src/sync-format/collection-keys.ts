/**
 * The cleartext of `crypto/keys`, the record of Storage Format 5 that holds the keys of all others, itself
 * sealed under the Sync Key Bundle:
 *
 *     {"id": "keys", "collection": "crypto", "default": pair, "collections": {name: pair}}
 *
 * A pair is `[base64(encryptionKey), base64(hmacKey)]`.
 *
 * @see sync.md §6.3.3
 * @module
 */
import { isObject } from '../checks.ts';
import { CryptoRefusal } from '../refusal.ts';
import { openFormat5, sealFormat5 } from './format-5.ts';
import { type KeyBundle, keyBundleFromPair, keyBundleToPair } from './key-bundle.ts';

/** The id of the record, in the collection `crypto`. */
export const KEYS_ID = 'keys';

/** The keys of a store. */
export interface CollectionKeys {
  /** For every collection that has none of its own. */
  default: KeyBundle;
  collections: ReadonlyMap<string, KeyBundle>;
}

/** The bundle of one collection: its own, else the default. */
export function keyBundleOf(keys: CollectionKeys, collection: string): KeyBundle {
  return keys.collections.get(collection) ?? keys.default;
}

/** Seals the keys. @returns the payload of `crypto/keys` */
export function sealCollectionKeys(keys: CollectionKeys, syncKey: KeyBundle): string {
  const pairs = [...keys.collections].map(([name, bundle]) => [name, keyBundleToPair(bundle)]);
  const record = {
    id: KEYS_ID,
    collection: 'crypto',
    default: keyBundleToPair(keys.default),
    collections: Object.fromEntries(pairs) as Record<string, [string, string]>,
  };
  return sealFormat5(record, syncKey);
}

/**
 * Opens `crypto/keys`.
 *
 * @throws CryptoRefusal `sync-record-forged`, `sync-record-misplaced` as `openFormat5`;
 * `sync-keys-malformed` without a default, with what is no key, or from another collection
 */
export function openCollectionKeys(payload: string, syncKey: KeyBundle): CollectionKeys {
  const record = openFormat5(payload, { id: KEYS_ID, bundle: syncKey });
  const { collection = 'crypto', collections = {} } = record;
  if (collection !== 'crypto' || !isObject(collections)) {
    throw new CryptoRefusal('sync-keys-malformed', 'This record holds no keys.');
  }
  return {
    default: keyBundleFromPair(record['default']),
    collections: new Map(
      Object.entries(collections).map(([name, pair]) => [name, keyBundleFromPair(pair)]),
    ),
  };
}
