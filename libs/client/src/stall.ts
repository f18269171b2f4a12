/** Ends a transfer in which nothing has moved for a while; a slow one may take as long as it needs. */
export class Stall {
  readonly #ended = new AbortController();
  readonly #patienceMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(patienceMs = 60_000) {
    this.#patienceMs = patienceMs;
    this.moved();
  }

  /** Aborted when the patience is over. */
  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  /** Notes that something moved. */
  moved(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#ended.abort();
    }, this.#patienceMs);
  }

  /** Stops watching; must be called however the transfer ends. */
  done(): void {
    clearTimeout(this.#timer);
  }
}
