import type { Account } from './account.ts';
import type { App } from './app.ts';
import { appKeysOf, forgetFormerKey, rotateAppKey, type RotatedKeys } from './app-keys.ts';
import { ClientError, ifThere, IntegrityError } from './client-error.ts';
import { Keys } from './keys.ts';
import type { OwnPair } from './own-keys.ts';
import { MemoryPinStore, type PinStore } from './pin-store.ts';
import { reseal } from './reseal.ts';
import { type RefusedRecord, Storage } from './storage.ts';
import { SyncedPinStore } from './synced-pins.ts';

/** The app whose key a lost device has. */
export interface LostDevice {
  clientId: string;
  /** Lets the app in anew, as on a new device: with the scopes `keys:write` and `storage`. */
  signIn: (account: Account) => Promise<App>;
  /** Whom this device met. */
  pins?: PinStore;
  /** Called as records are put under the new key. */
  onProgress?: (progress: { collection: string; moved: number }) => void;
}

/** What became of the key. */
export interface Replaced {
  app: App;
  /** One's own keys; undefined when none were published. */
  own: OwnPair | undefined;
  /** When the key was replaced, in milliseconds since 1970. */
  rotatedAt: number;
  /** Whether it had been replaced before this call, which only went on with the rest. */
  wasBegun: boolean;
  /** How many records were put under the new key. */
  moved: number;
  /** Records that did not open under the old one; they stay as they are. */
  refused: RefusedRecord[];
}

/** Whom one met comes first: another device that signs in meanwhile would begin that record anew. */
const FIRST = 'people';

/**
 * Locks out a device that was lost or stolen, with the account's password alone: the app gets another kBr, every
 * token it was granted ends, the old identity hands over to the new one, keys in use are revoked and replaced, and
 * what the app stored is put under the new kBr. What was encrypted before the device was lost, and fetched by who has
 * it, it opens still.
 *
 * A call that was cut off is made again: the server keeps what the old kBr is derived from until all is done, and
 * every record is under the one or the other.
 *
 * @throws IntegrityError `KEY_GENERATION_MISMATCH` when the server gives no new key, or says that another was the old
 * one; `KEYS_REPLACED`; as `Keys.takeOver`
 * @throws ClientError `errno-164` when the password was given too long ago
 * @see keys.md §3.8, T18; docs/protocol/keys.md
 */
export async function replaceAppKey(account: Account, lost: LostDevice): Promise<Replaced> {
  const { clientId, onProgress } = lost;
  const { keys, wasBegun } = await begin(account, clientId);
  const { former, rotatedAt } = keys;
  const app = await lost.signIn(account);
  if (app.clientId !== clientId || app.uid !== account.uid || !app.holds(keys.current)) {
    const detail = 'The app was let in with another key than the new one.';
    throw new IntegrityError('KEY_GENERATION_MISMATCH', detail);
  }
  const storage = new Storage(app, { former });
  const pins = new SyncedPinStore(lost.pins ?? new MemoryPinStore(), app, storage);
  const own = await ifThere(new Keys(app, pins).takeOver(former));
  const names = (await storage.collections()).sort((a, b) => rank(a) - rank(b));
  const refused: RefusedRecord[] = [];
  let moved = 0;
  for (const collection of names) {
    const left = await reseal(storage, { collection, former }, (count) => {
      moved += count;
      onProgress?.({ collection, moved });
    });
    refused.push(...left);
  }
  await forgetFormerKey(account, clientId, keys);
  return { app, own, rotatedAt, wasBegun, moved, refused };
}

/** Of several devices one rotates, and the others go on with what it began. */
async function begin(
  account: Account,
  clientId: string,
): Promise<{ keys: RotatedKeys; wasBegun: boolean }> {
  const underWay = async () => {
    const { former, ...rest } = await appKeysOf(account, clientId);
    return former && { keys: { ...rest, former }, wasBegun: true };
  };
  const begun = await underWay();
  if (begun) return begun;
  try {
    return { keys: await rotateAppKey(account, clientId), wasBegun: false };
  } catch (error) {
    const isRace = error instanceof ClientError && error.status === 409;
    const other = isRace ? await underWay() : undefined;
    if (!other) throw error;
    return other;
  }
}

const rank = (collection: string) => (collection === FIRST ? 0 : 1);
