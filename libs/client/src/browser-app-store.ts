import type { AppStore } from './app-store.ts';

const TABLE = 'kept';

/**
 * Keeps the sign-in of a page in IndexedDB, which keeps keys that nobody can read out, and lets its tabs take
 * turns by Web Locks. Both belong to the page's origin.
 */
export class BrowserAppStore implements AppStore {
  readonly isText = false;
  readonly #name: string;
  #database: Promise<IDBDatabase> | undefined;

  /** @param name - tells apps of one origin apart */
  constructor(name = 'lockstep') {
    this.#name = name;
  }

  get(name: string): Promise<unknown> {
    return this.#run('readonly', (table) => table.get(name));
  }

  async set(name: string, value: unknown): Promise<void> {
    await this.#run('readwrite', (table) =>
      value === undefined ? table.delete(name) : table.put(value, name),
    );
  }

  async locked<T>(run: () => Promise<T>): Promise<T> {
    return await navigator.locks.request(`lockstep:${this.#name}`, run);
  }

  async #run(
    mode: IDBTransactionMode,
    ask: (table: IDBObjectStore) => IDBRequest,
  ): Promise<unknown> {
    this.#database ??= this.#open();
    const transaction = (await this.#database).transaction(TABLE, mode);
    const request = ask(transaction.objectStore(TABLE));
    return new Promise((done, failed) => {
      transaction.oncomplete = () => {
        done(request.result);
      };
      transaction.onabort = () => {
        failed(new Error('The sign-in cannot be kept.', { cause: transaction.error }));
      };
    });
  }

  #open(): Promise<IDBDatabase> {
    const request = indexedDB.open(`lockstep:${this.#name}`, 1);
    return new Promise((done, failed) => {
      request.onupgradeneeded = () => {
        request.result.createObjectStore(TABLE);
      };
      request.onsuccess = () => {
        done(request.result);
      };
      request.onerror = () => {
        failed(new Error('The sign-in cannot be kept.', { cause: request.error }));
      };
    });
  }
}
