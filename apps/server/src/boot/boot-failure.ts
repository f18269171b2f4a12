/** Why the server cannot start, in one line for whoever started it. The process ends with 1. */
export class BootFailure extends Error {
  override readonly name = 'BootFailure';
}

/**
 * The operating system's or PostgreSQL's reason in a few words, on one line.
 * Node's error for a name with two addresses has no message of its own, only a code.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code } = error as Error & { code?: unknown };
  const words = error.message || (typeof code === 'string' ? code : error.name);
  return words.split('\n', 1)[0] ?? words;
}
