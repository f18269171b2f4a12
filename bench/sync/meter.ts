import { percentile } from './report.ts';

/** A reply that is not what it has to be. */
export class Mismatch extends Error {}

/** What became of the requests of one measurement. */
export class Meter {
  private readonly milliseconds: number[] = [];
  private readonly failures = new Map<string, number>();

  get requests(): number {
    return this.milliseconds.length;
  }

  /** Takes down one request, from its signature to the last byte of its reply. */
  took(milliseconds: number): void {
    this.milliseconds.push(milliseconds);
  }

  /** @param kind - what was asked for, and what was wrong with the reply */
  failed(kind: string): void {
    this.failures.set(kind, (this.failures.get(kind) ?? 0) + 1);
  }

  /** p50, p95 and p99 in milliseconds. */
  get latencies(): string[] {
    return [0.5, 0.95, 0.99].map((share) => percentile(this.milliseconds, share).toFixed(1));
  }

  get failureCount(): number {
    return [...this.failures.values()].reduce((sum, count) => sum + count, 0);
  }

  /** One line for each kind of failure, the most frequent first. */
  get failureLines(): string[] {
    const kinds = [...this.failures].toSorted(([, a], [, b]) => b - a);
    return kinds.map(([kind, count]) => `    ${count} × ${kind}`);
  }
}
