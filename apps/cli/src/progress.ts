import { printable } from './printable.ts';

const WIDTH = 30;
const EVERY_MS = 100;

/** Tells how far a transfer is: a bar on a terminal's stderr, nothing elsewhere. */
export function progress(
  title: string,
  total: number,
): { advance(bytes: number): void; done(): void } {
  const { stderr } = process;
  const label = printable(title);
  if (!stderr.isTTY || total === 0) return { advance: () => undefined, done: () => undefined };
  let bytes = 0;
  let drawn = 0;
  const draw = () => {
    const share = Math.min(1, bytes / total);
    const filled = Math.round(share * WIDTH);
    const bar = '█'.repeat(filled) + '░'.repeat(WIDTH - filled);
    const size = `${mebibytes(bytes)} of ${mebibytes(total)} MiB`;
    stderr.write(`\r\u001b[K${label} ${bar} ${String(Math.round(share * 100))} % ${size}`);
  };
  return {
    advance(more) {
      bytes += more;
      const now = Date.now();
      if (now - drawn < EVERY_MS) return;
      drawn = now;
      draw();
    },
    done() {
      draw();
      stderr.write('\n');
    },
  };
}

const mebibytes = (bytes: number) => (bytes / 1_048_576).toFixed(1);
