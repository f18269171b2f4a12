import { randomBytes, toBase64Url } from '#lib/crypto';
import { App, type SavedApp } from './app.ts';
import { type AppRequest, type PendingRedirect, prepareRedirect } from './app-request.ts';
import { type AppStore, MemoryAppStore } from './app-store.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { type DevicePrompt, startOnDevice } from './device-grant.ts';
import { DpopKey } from './dpop.ts';
import type { PlatformOptions } from './platform.ts';
import { Server } from './server.ts';
import type { TokenKeeper } from './tokens.ts';

/** As much of `sessionStorage` as is needed. */
export type SessionStore = Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>;

/** Which app this is, at which server. */
export interface LockstepOptions extends AppRequest, PlatformOptions {
  /** The server's address: its issuer. */
  server: string;
  /** Where the sign-in is kept; left out, it ends with the program. */
  store?: AppStore | undefined;
  /** Where a sign-in by redirect waits for the answer: `sessionStorage` in a page; left out, in memory. */
  session?: SessionStore | undefined;
  /** False for tokens that are good without the app's key; by default they are bound to it (DPoP). */
  dpop?: boolean | undefined;
}

/** The sign-in that is kept. */
interface Kept {
  /** Another at every sign-in. */
  id: string;
  saved: SavedApp;
}

const PENDING = 'lockstep:pending:';

/**
 * The entry for an app: signs people in by redirect or on a device without a browser, keeps the sign-in, and
 * takes it up again. What the person signed in to is an {@link App}.
 *
 * @see docs/sdk.md
 */
export class Lockstep {
  readonly #options: LockstepOptions;
  readonly #store: AppStore;
  readonly #session: SessionStore;

  constructor(options: LockstepOptions) {
    this.#options = options;
    this.#store = options.store ?? new MemoryAppStore();
    this.#session = options.session ?? new MemorySession();
  }

  /** The app, when somebody is signed in to it: a sign-in to another app in the same store is none. */
  async app(): Promise<App | undefined> {
    const kept = await this.#kept();
    return kept?.saved.clientId === this.#options.clientId ? this.#restore(kept) : undefined;
  }

  async #restore(kept: Kept): Promise<App> {
    const pair = (await this.#store.get('dpop')) as CryptoKeyPair | undefined;
    const dpop = pair && new DpopKey(pair);
    return App.restore(kept.saved, this.#options, this.#keeper(kept.id), dpop);
  }

  /**
   * Begins a sign-in by redirect.
   *
   * @param redirectUri - one that the app is registered with
   * @returns where to send the browser
   */
  async startRedirect(redirectUri: string): Promise<string> {
    const { pending, url } = await prepareRedirect(await this.#meet(), {
      ...this.#options,
      redirectUri,
    });
    this.#session.setItem(PENDING + pending.state, JSON.stringify(pending));
    return url;
  }

  /** Tells whether an address is the answer to a sign-in that began here. */
  expects(url: string): boolean {
    return this.#session.getItem(PENDING + stateIn(url)) !== null;
  }

  /**
   * Ends a sign-in by redirect, once.
   *
   * @param url - where the browser came back to
   * @returns undefined when it is no answer
   * @throws IntegrityError `STATE_MISMATCH`, `ISSUER_MISMATCH`, `KEYS_REPLACED`, `SCOPES_ADDED`,
   * `TOKEN_NOT_BOUND`
   * @throws ClientError the OAuth error when the person or the server refused
   */
  async finishRedirect(url: string): Promise<App | undefined> {
    const { searchParams } = new URL(url);
    if (!searchParams.has('code') && !searchParams.has('error')) return undefined;
    const name = PENDING + stateIn(url);
    const text = this.#session.getItem(name);
    if (text === null) {
      const detail = 'No sign-in began here that this is the answer to.';
      throw new IntegrityError('STATE_MISMATCH', detail);
    }
    this.#session.removeItem(name);
    const pending = JSON.parse(text) as PendingRedirect;
    const dpop = await this.#makeKey();
    return this.#keep(await App.finish(await this.#meet(), pending, url, dpop), dpop);
  }

  /**
   * Signs in on a device that has no browser, or lends none.
   *
   * @param show - shows the code and the address to the person
   * @throws ClientError `access_denied`, `expired_token`, `aborted`
   * @throws IntegrityError as `finishRedirect`
   */
  async signInOnDevice(
    show: (prompt: DevicePrompt) => void,
    { signal }: { signal?: AbortSignal } = {},
  ): Promise<App> {
    const dpop = await this.#makeKey();
    const started = await startOnDevice(await this.#meet(), this.#options, dpop);
    show(started.prompt);
    return this.#keep(await started.finish(signal), dpop);
  }

  /** Ends the sign-in: here, and, when the server can be reached, there. */
  async signOut(): Promise<void> {
    const app = await this.#store.locked(async () => {
      const kept = await this.#kept();
      const signedIn = kept && (await this.#restore(kept));
      await this.#forget();
      return signedIn;
    });
    await app?.tokens.revoke().catch((error: unknown) => {
      const isOver =
        error instanceof ClientError && ['invalid_client', 'invalid_grant'].includes(error.code);
      if (!isOver) throw error; // an app that was removed has no sign-in any more
    });
  }

  #meet(): Promise<Server> {
    return Server.at(this.#options.server, this.#options);
  }

  async #makeKey(): Promise<DpopKey | undefined> {
    if (this.#options.dpop === false) return undefined;
    return DpopKey.make({ extractable: this.#store.isText });
  }

  async #kept(): Promise<Kept | undefined> {
    return (await this.#store.get('app')) as Kept | undefined;
  }

  async #keep(app: App, dpop: DpopKey | undefined): Promise<App> {
    const id = toBase64Url(randomBytes(16));
    await this.#store.locked(async () => {
      await this.#store.set('dpop', dpop?.pair);
      await this.#store.set('app', { id, saved: app.export() } satisfies Kept);
    });
    return App.restore(app.export(), this.#options, this.#keeper(id), dpop);
  }

  async #forget(): Promise<void> {
    await this.#store.set('app', undefined);
    await this.#store.set('dpop', undefined);
  }

  /** Of several tabs or processes one refreshes, and the others take what it got. */
  #keeper(id: string): TokenKeeper {
    return {
      update: (change) =>
        this.#store.locked(async () => {
          const kept = await this.#kept();
          if (kept?.id !== id) {
            throw new ClientError('signed-out', 0, 'This sign-in was ended elsewhere.');
          }
          const { saved } = kept;
          try {
            const tokens = await change(saved.tokens);
            await this.#store.set('app', { id, saved: { ...saved, tokens } } satisfies Kept);
            return tokens;
          } catch (error) {
            const isOver = error instanceof ClientError && error.code === 'invalid_grant';
            if (isOver) await this.#forget();
            throw error;
          }
        }),
    };
  }
}

const stateIn = (url: string) => new URL(url).searchParams.get('state') ?? '';

/** For a program that stays until the person is back. */
class MemorySession implements SessionStore {
  readonly #values = new Map<string, string>();
  getItem(name: string): string | null {
    return this.#values.get(name) ?? null;
  }
  setItem(name: string, value: string): void {
    this.#values.set(name, value);
  }
  removeItem(name: string): void {
    this.#values.delete(name);
  }
}
