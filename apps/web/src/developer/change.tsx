import { useSignal } from '@preact/signals';
import { ClientError } from '#lib/client';
import { endSession, forgetSession, type Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { type Attempt, useAttempt } from '../ui/attempt.ts';
import { Problem } from '../ui/parts.tsx';
import { refusedField } from './calls.ts';

/** An attempt to change an app, which may want the password first. */
export interface Change extends Attempt {
  readonly wantsPassword: boolean;
}

/** Remembers one for a component. */
export function useChange(): Change {
  const wantsPassword = useSignal(false);
  const attempt = useAttempt((error) => {
    wantsPassword.value = error instanceof ClientError && PROVE.has(error.code);
    if (wantsPassword.value) return strings.apps.prove;
    if (error instanceof ClientError && error.code === 'over-quota') return strings.apps.tooMany;
    if (error instanceof ClientError && error.code === 'not-found') return strings.apps.gone;
    return strings.apps.wrong[refusedField(error) ?? ''];
  });
  return { ...attempt, wantsPassword: wantsPassword.value };
}

/** What the server says to a session in which nothing was proved lately. */
const PROVE: ReadonlySet<string> = new Set(['stale-auth', 'factor-required', 'unverified-session']);

/** Why a change did not work out, and what to do about it. */
export function Refusal({ session, change }: { session: Session; change: Change }) {
  return (
    <>
      <Problem text={change.problem} />
      {change.problem !== undefined && change.wantsPassword && (
        <button
          id="sign-in-again"
          type="button"
          onClick={() => {
            // Nothing is lost when the server does not hear of it.
            endSession(session).catch(() => undefined);
            forgetSession();
          }}
        >
          {strings.apps.signInAgain}
        </button>
      )}
    </>
  );
}
