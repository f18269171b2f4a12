import { useSignal } from '@preact/signals';
import { changePassword } from '../account/change.ts';
import { isErrno } from '../account/server.ts';
import { keepSession, type Session } from '../account/session.ts';
import { tellFirefox } from '../firefox/web-channel.ts';
import { NewPassword, newPasswordProblem } from '../pages/new-password.tsx';
import { useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Field, Form, Link, Note, Page, Problem } from '../ui/parts.tsx';

/** `/settings/password`: another password; the data stays as it is. */
export function Password({ session }: { session: Session }) {
  const words = strings.settings.password;
  const old = useSignal('');
  const next = useSignal('');
  const done = useSignal(false);
  const attempt = useAttempt((error) => (isErrno(error, 103) ? words.wrong : undefined));
  const proof = useProof(session);
  if (proof.page !== undefined) return <>{proof.page}</>;
  return (
    <Page name="password" title={words.change}>
      <p>{words.note}</p>
      <Form
        onSubmit={() => {
          done.value = false;
          const problem = newPasswordProblem(next.value);
          if (problem !== undefined) {
            attempt.refuse(problem);
            return;
          }
          attempt.run(async () => {
            const changed = await proof.around(() =>
              changePassword(session, { old: old.value, next: next.value }),
            );
            keepSession(changed);
            const { uid, email, sessionToken } = changed;
            tellFirefox('change_password', { uid, email, sessionToken, verified: true });
            old.value = next.value = '';
            done.value = true;
          });
        }}
      >
        <input type="hidden" name="username" autocomplete="username" value={session.email} />
        <Field
          id="password"
          label={words.old}
          kind="password"
          value={old.value}
          onValue={(value) => (old.value = value)}
          autocomplete="current-password"
          autofocus
        />
        <NewPassword value={next.value} onValue={(value) => (next.value = value)} />
        <Problem text={attempt.problem} />
        <Note text={done.value ? words.done : undefined} />
        <button id="save-password" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.change}
        </button>
      </Form>
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}
