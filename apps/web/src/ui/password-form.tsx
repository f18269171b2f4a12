import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { isErrno } from '../account/server.ts';
import type { Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt } from './attempt.ts';
import { Field, Form, Problem } from './parts.tsx';

/** Asks who is signed in for the password once more, to go on with it. */
export function PasswordForm(props: {
  session: Session;
  button: { id: string; label: string; isDanger?: boolean };
  /** Goes on with the password; a wrong one that the server refuses is said here. */
  onPassword: (password: string) => Promise<void>;
  /** What to say instead of going on, if anything. */
  reasonToWait?: () => string | undefined;
  /** The words for failures that mean something else here; undefined for the usual ones. */
  explain?: (error: unknown) => string | undefined;
  /** What stands between the field and the button. */
  children?: ComponentChildren;
  /** More buttons, beside the one that goes on. */
  beside?: ComponentChildren;
}) {
  const { button } = props;
  const password = useSignal('');
  const attempt = useAttempt((error) =>
    isErrno(error, 103) ? strings.settings.password.wrong : props.explain?.(error),
  );
  return (
    <Form
      onSubmit={() => {
        const reason = props.reasonToWait?.();
        if (reason === undefined) attempt.run(() => props.onPassword(password.value));
        else attempt.refuse(reason);
      }}
    >
      {/* Tells password managers whose password it is. */}
      <input type="hidden" name="username" autocomplete="username" value={props.session.email} />
      <Field
        id="password"
        label={strings.fields.password}
        kind="password"
        value={password.value}
        onValue={(value) => (password.value = value)}
        autocomplete="current-password"
        autofocus
      />
      {props.children}
      <Problem text={attempt.problem} />
      <button
        id={button.id}
        type="submit"
        class={button.isDanger === true ? 'danger' : 'main'}
        aria-disabled={attempt.busy}
      >
        {button.label}
      </button>
      {props.beside}
    </Form>
  );
}
