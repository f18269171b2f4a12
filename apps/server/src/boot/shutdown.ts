import { performance } from 'node:perf_hooks';

/**
 * Ends the process in order: what was opened last is closed first. Nest's own shutdown hooks are
 * not used, because they raise the signal again when Nest is done and would cut PostgreSQL off.
 */
export class Shutdown {
  private readonly steps: (() => void | Promise<void>)[] = [];
  private begunAt: number | undefined;

  constructor() {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => {
        this.onSignal();
      });
    }
  }

  get hasBegun(): boolean {
    return this.begunAt !== undefined;
  }

  /** Adds what has to be done at the end, before everything that was added earlier. */
  first(step: () => void | Promise<void>): void {
    this.steps.unshift(step);
  }

  /** Does every step, also when one fails, and ends the process. A second call changes nothing. */
  async run(exitCode: number): Promise<void> {
    if (this.begunAt !== undefined) return;
    this.begunAt = performance.now();
    let code = exitCode;
    for (const step of this.steps) {
      try {
        await step();
      } catch (error) {
        process.stderr.write(`lockstep: while stopping: ${String(error)}\n`);
        code = 1;
      }
    }
    process.exit(code);
  }

  private onSignal(): void {
    if (this.begunAt === undefined) {
      void this.run(0);
      // npm passes Ctrl-C on to a process that the terminal has told already: that is one, not two.
    } else if (performance.now() - this.begunAt > 500) {
      // The kernel, or the next start, stops an embedded PostgreSQL that is left behind.
      process.exit(130);
    }
  }
}
