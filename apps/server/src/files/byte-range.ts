import type { ByteRange } from './blobs/blob-store.ts';

/**
 * Which bytes a Range header asks for. Several ranges, other units and malformed ones are answered
 * with the whole, as if the header were absent.
 *
 * @param size - of the whole, in bytes
 * @returns undefined for the whole; `unsatisfiable` when no byte of it is asked for
 * @see RFC 9110 §14.1.2, §14.2
 */
export function readRange(
  header: string | undefined,
  size: number,
): ByteRange | 'unsatisfiable' | undefined {
  const [, from, to] = /^bytes=[ \t]*(\d{0,15})-(\d{0,15})[ \t]*$/i.exec(header ?? '') ?? [];
  if (from === undefined || to === undefined || (from === '' && to === '')) return undefined;
  if (from === '') {
    const length = Number(to);
    if (length === 0 || size === 0) return 'unsatisfiable';
    return { start: Math.max(size - length, 0), end: size - 1 };
  }
  const start = Number(from);
  const end = to === '' ? Infinity : Number(to);
  if (end < start) return undefined; // malformed, not unsatisfiable
  return start < size ? { start, end: Math.min(end, size - 1) } : 'unsatisfiable';
}
