import {
  type CollectionKeys,
  CryptoRefusal,
  type KeyBundle,
  keyBundleId,
  keyBundleOf,
  openCollectionKeys,
} from '#lib/crypto';
import { IntegrityError } from '../client-error.ts';
import { engineIn, type MetaGlobal, readMetaGlobal } from './meta-global.ts';
import { newEngineMemory, retire, type SyncMemory } from './sync-memory.ts';

/** A record of the store's own, as it came. */
export interface Seen {
  /** The server's, in seconds. */
  time: number;
  payload: string;
}

/**
 * Takes up what `meta/global` says. Another syncID means that somebody began the store anew: everything that
 * was known of its records is forgotten. Another syncID of an engine means the same for that collection.
 *
 * @throws SyncStop as `readMetaGlobal`
 * @throws IntegrityError `SYNC_META_ROLLBACK` when it was replaced before, as far as can be told: the record is
 * not authenticated
 */
export function takeMeta(memory: SyncMemory, seen: Seen, syncKey: KeyBundle): MetaGlobal {
  const meta = readMetaGlobal(seen.payload);
  const { retired } = memory;
  const syncIDs = [meta.syncID, ...Object.values(meta.engines).map(({ syncID }) => syncID)];
  const isSameStore = memory.syncID === meta.syncID;
  const wentBack =
    isSameStore &&
    memory.meta !== undefined &&
    seen.time < memory.meta.time &&
    seen.payload !== memory.meta.payload;
  if (wentBack || syncIDs.some((id) => retired.syncIDs.includes(id))) {
    const detail = 'The server shows a meta/global that was replaced before.';
    throw new IntegrityError('SYNC_META_ROLLBACK', detail);
  }
  if (!isSameStore) forgetStore(memory, syncKey);
  memory.syncID = meta.syncID;
  memory.meta = { time: seen.time, payload: seen.payload };
  for (const [name, engine] of Object.entries(memory.engines)) {
    const now = engineIn(meta, name)?.syncID;
    if (now === undefined || now === engine.syncID) continue;
    retire(retired.syncIDs, engine.syncID);
    memory.engines[name] = newEngineMemory(now);
  }
  return meta;
}

/** Forgets a store that was begun anew, but not that what it had is never to come back. */
export function forgetStore(memory: SyncMemory, syncKey: KeyBundle): void {
  const engines = Object.values(memory.engines).map(({ syncID }) => syncID);
  retire(
    memory.retired.syncIDs,
    ...(memory.syncID === undefined ? [] : [memory.syncID]),
    ...engines,
  );
  const keys = memory.keys && openKeys(memory.keys.payload, syncKey);
  if (keys) retire(memory.retired.bundles, ...bundleIds(keys).values());
  memory.engines = {};
  memory.syncID = memory.meta = memory.keys = memory.rotation = undefined;
}

/**
 * Takes up what `crypto/keys` holds. A collection whose key changed is read anew.
 *
 * @throws IntegrityError `SYNC_KEYS_FORGED` when it does not open under the account's Sync key;
 * `SYNC_KEYS_ROLLBACK` when it holds keys that this device saw replaced
 */
export function takeKeys(memory: SyncMemory, seen: Seen, syncKey: KeyBundle): CollectionKeys {
  const keys = openKeys(seen.payload, syncKey);
  const now = bundleIds(keys);
  const before = memory.keys && openKeys(memory.keys.payload, syncKey);
  const isOlder =
    memory.keys && seen.time < memory.keys.time && seen.payload !== memory.keys.payload;
  if (isOlder || [...now.values()].some((id) => memory.retired.bundles.includes(id))) {
    const detail = 'The server shows keys that were replaced before.';
    throw new IntegrityError('SYNC_KEYS_ROLLBACK', detail);
  }
  if (before) {
    const stillUsed = new Set(now.values());
    const gone = [...bundleIds(before).values()].filter((id) => !stillUsed.has(id));
    retire(memory.retired.bundles, ...gone);
    for (const [name, engine] of Object.entries(memory.engines)) {
      const [old, current] = [keyBundleOf(before, name), keyBundleOf(keys, name)];
      if (keyBundleId(old) !== keyBundleId(current)) engine.time = 0;
    }
  }
  memory.keys = { time: seen.time, payload: seen.payload };
  return keys;
}

/** @throws IntegrityError `SYNC_KEYS_FORGED` */
export function openKeys(payload: string, syncKey: KeyBundle): CollectionKeys {
  try {
    return openCollectionKeys(payload, syncKey);
  } catch (cause) {
    if (!(cause instanceof CryptoRefusal)) throw cause;
    const detail = 'The keys of the store do not open under the Sync key of this account.';
    throw new IntegrityError('SYNC_KEYS_FORGED', detail, { cause });
  }
}

/** The names of the bundles, by collection; the default's is under the empty name. */
function bundleIds({ default: byDefault, collections }: CollectionKeys): Map<string, string> {
  const own = [...collections].map(([name, bundle]) => [name, keyBundleId(bundle)] as const);
  return new Map([['', keyBundleId(byDefault)] as const, ...own]);
}
