import { type Ready, SyncClient } from './sync-client.ts';
import { SyncStop } from './sync-stop.ts';

/**
 * A client that uses keys and manages none. It never writes to `crypto`: what it needs is there, or it gives up
 * and tries again later, when a tier 1 client has been here. It does not set up, reset or upgrade a store.
 *
 * It may begin a collection: it enters it into `meta/global` and encrypts it with the key that `crypto/keys`
 * gives every collection without one of its own, the default.
 *
 * @see sync.md §7.1; docs/protocol/sync-format.md, "Tier 2"
 */
export class Tier2Client extends SyncClient {
  protected missingMeta(): Promise<never> {
    const detail = 'Nobody has set up this store yet. Try again when a tier 1 client has.';
    return Promise.reject(new SyncStop('not-set-up', detail));
  }

  protected missingKeys(): Promise<never> {
    const detail = 'There are no keys in this store. Try again when a tier 1 client has been here.';
    return Promise.reject(new SyncStop('keys-missing', detail));
  }

  protected provideKeys(_: unknown, ready: Ready): Promise<Ready> {
    return Promise.resolve(ready);
  }

  protected replaceOlder(): Promise<boolean> {
    return Promise.resolve(false);
  }

  protected resume(_: unknown, ready: Ready): Promise<Ready> {
    return Promise.resolve(ready);
  }
}
