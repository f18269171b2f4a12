/**
 * Work that a process does again and again, and sooner when it is asked to: never twice at a time, and
 * never put off for more than one run that is already waiting.
 */
export class RepeatedJob {
  private timer?: NodeJS.Timeout;
  private running: Promise<void> = Promise.resolve();
  private isWaiting = false;
  private readonly ending = new AbortController();

  /**
   * @param work - what it can look at to know that the process stops: {@link RepeatedJob.signal}
   * @param failed - hears why a run failed; the next one comes all the same
   */
  constructor(
    private readonly work: () => Promise<unknown>,
    private readonly failed: (error: unknown) => void,
  ) {}

  /** Aborted from when the process stops. */
  get signal(): AbortSignal {
    return this.ending.signal;
  }

  /** @param everyMs - milliseconds between two runs, at most 2^31 - 1 */
  start(everyMs: number): void {
    this.timer = setInterval(() => {
      this.hurry();
    }, everyMs).unref();
  }

  /** Begins now, or after the run that is under way. */
  hurry(): void {
    if (this.isWaiting || this.signal.aborted) return;
    this.isWaiting = true;
    this.running = this.running.then(async () => {
      this.isWaiting = false;
      if (this.signal.aborted) return;
      await this.work().catch(this.failed);
    });
  }

  /** Resolves when what was asked for until now has been done, or has failed. */
  settled(): Promise<void> {
    return this.running;
  }

  /** Begins no more runs. Resolves when the one that is under way has ended. */
  async stop(): Promise<void> {
    this.ending.abort();
    clearInterval(this.timer);
    await this.running;
  }
}
