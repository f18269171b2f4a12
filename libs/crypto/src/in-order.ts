/** Work that has been started. It is wrapped because an async generator waits for a promise it yields. */
export interface Started<T> {
  result: Promise<T>;
}

/** Starts work whose failure is reported where its result is awaited, and nowhere else. */
export function start<T>(result: Promise<T>): Started<T> {
  result.catch(() => undefined);
  return { result };
}

/**
 * Hands out results in the order their work was started, with up to `depth` under way. When starting more work
 * fails, or the reader stops, what is under way is waited for and dropped.
 */
export async function* inOrder<T>(
  work: AsyncIterable<Started<T>>,
  depth: number,
): AsyncGenerator<T, void, undefined> {
  const queue: Started<T>[] = [];
  try {
    for await (const started of work) {
      queue.push(started);
      const first = queue.length >= depth ? queue.shift() : undefined;
      if (first) yield await first.result;
    }
  } finally {
    await Promise.allSettled(queue.map(({ result }) => result));
  }
  for (const { result } of queue) yield await result;
}
