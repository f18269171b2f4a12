/**
 * Where an app keeps its sign-in between two visits or runs. All of it is secret: whoever reads it reads the
 * app's data.
 */
export interface AppStore {
  /** Whether it can keep a key as text alone, as a file does; a database of a browser keeps the key itself. */
  readonly isText: boolean;
  /** What was kept under a name; undefined for nothing. */
  get(name: string): Promise<unknown>;
  /** Keeps a value, or with undefined forgets it. */
  set(name: string, value: unknown): Promise<void>;
  /** Runs something alone among all tabs or processes that have this store. */
  locked<T>(run: () => Promise<T>): Promise<T>;
}

/** Keeps the sign-in until the program ends. */
export class MemoryAppStore implements AppStore {
  readonly isText = false;
  readonly #values = new Map<string, unknown>();
  #turn: Promise<unknown> = Promise.resolve();

  get(name: string): Promise<unknown> {
    return Promise.resolve(this.#values.get(name));
  }

  set(name: string, value: unknown): Promise<void> {
    this.#values.set(name, value);
    return Promise.resolve();
  }

  locked<T>(run: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(run);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}
