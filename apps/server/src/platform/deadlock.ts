const DEADLOCK = '40P01';
/** Of several that waited for each other, all but one go on: who comes again seldom meets the same. */
const TRIES = 4;

/** Whether PostgreSQL undid it, whole, because it and another one waited for each other. */
export const isDeadlock = (error: unknown): boolean =>
  error instanceof Error && (error as Error & { code?: unknown }).code === DEADLOCK;

/**
 * Runs it again when a deadlock undid it.
 *
 * @param work - one statement, or one transaction: of anything else a part would be done twice
 */
export async function retried<T>(work: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (!isDeadlock(error) || tries === TRIES) throw error;
    }
  }
}
