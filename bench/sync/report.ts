import { cpus, totalmem } from 'node:os';

/** Prints rows as a table, whose first column is text and whose others are numbers. */
export function print(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]?.map((_, i) => Math.max(...rows.map((row) => row[i]?.length ?? 0))) ?? [];
  const pad = (cell: string, i: number) =>
    i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0);
  say(...rows.map((row) => row.map(pad).join('  ').trimEnd()), '');
}

/** Prints lines. */
export function say(...lines: readonly string[]): void {
  process.stdout.write(lines.map((line) => `${line}\n`).join(''));
}

/** What it ran on: no number means anything without it. */
export function machine(): string {
  const [cpu] = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const cores = `${cpus().length} × ${cpu?.model.trim() ?? 'unknown'}`;
  return `${cores}, ${memory} GiB, Node ${process.version}, ${process.platform}`;
}

/** The value below which a share of them lies; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

/** The middle one. */
export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** A ratio, and whether it reaches its target, where there is one. */
export function ratio(value: number, target: number | undefined): string[] {
  if (target === undefined) return [value.toFixed(2), '', ''];
  return [value.toFixed(2), `≥ ${target}`, value >= target ? 'met' : 'MISSED'];
}
