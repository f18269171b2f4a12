import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { ClientError } from '#lib/client';
import { isErrno, wordsFor } from '../account/server.ts';
import { forgetSession } from '../account/session.ts';

/** What to say about a failure; a session that is over is forgotten, so that the page asks for a new one. */
function noticed(error: unknown): string {
  const isOver = error instanceof ClientError && error.code === 'unauthenticated';
  if (isOver || isErrno(error, 110)) forgetSession();
  return wordsFor(error);
}

/** One thing at a time that a page does: whether it is at work, and why it did not work out. */
export interface Attempt {
  readonly busy: boolean;
  readonly problem: string | undefined;
  /** Says what went wrong without doing anything. */
  refuse(text: string | undefined): void;
  /** Does it, unless something is being done. Failures become `problem`. */
  run(work: () => Promise<void>): void;
}

/**
 * Remembers an attempt for a component.
 *
 * @param explain - the words for failures that mean something else here; undefined for the usual ones
 */
export function useAttempt(explain?: (error: unknown) => string | undefined): Attempt {
  const busy = useSignal(false);
  const problem = useSignal<string | undefined>(undefined);
  return {
    busy: busy.value,
    problem: problem.value,
    refuse: (text) => (problem.value = text),
    run(work) {
      if (busy.peek()) return;
      busy.value = true;
      problem.value = undefined;
      work()
        .catch((error: unknown) => {
          problem.value = explain?.(error) ?? noticed(error);
        })
        .finally(() => (busy.value = false));
    },
  };
}

/** What a page shows once the server answered. */
export interface Loaded<T> {
  readonly value: T | undefined;
  readonly problem: string | undefined;
  /** Asks again; what is there stays until then. */
  readonly reload: () => void;
}

/** Asks the server when the component appears. */
export function useLoaded<T>(ask: () => Promise<T>): Loaded<T> {
  const value = useSignal<T | undefined>(undefined);
  const problem = useSignal<string | undefined>(undefined);
  const reload = () => {
    ask().then(
      (found) => {
        value.value = found;
        problem.value = undefined;
      },
      (error: unknown) => (problem.value = noticed(error)),
    );
  };
  useEffect(reload, []);
  return { value: value.value, problem: problem.value, reload };
}
