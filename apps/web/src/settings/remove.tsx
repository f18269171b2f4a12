import { useSignal } from '@preact/signals';
import { deleteAccount } from '../account/change.ts';
import { isErrno } from '../account/server.ts';
import { forgetSession, type Session } from '../account/session.ts';
import { tellFirefox } from '../firefox/web-channel.ts';
import { useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Check, Field, Form, Link, Page, Problem } from '../ui/parts.tsx';
import { goTo } from '../ui/route.ts';

/** `/settings/delete`: the end of the account and of everything in it. */
export function Remove({ session }: { session: Session }) {
  const words = strings.settings.remove;
  const password = useSignal('');
  const isSure = useSignal(false);
  const attempt = useAttempt((error) =>
    isErrno(error, 103) ? strings.settings.password.wrong : undefined,
  );
  const proof = useProof(session);
  if (proof.page !== undefined) return <>{proof.page}</>;
  return (
    <Page name="delete" title={words.title}>
      <p>{words.account(session.email)}</p>
      <p>{words.what}</p>
      <Form
        onSubmit={() => {
          if (!isSure.value) {
            attempt.refuse(words.notSure);
            return;
          }
          attempt.run(async () => {
            await proof.around(() => deleteAccount(session, password.value));
            tellFirefox('delete', { uid: session.uid });
            goTo('/deleted');
            forgetSession();
          });
        }}
      >
        <Field
          id="password"
          label={strings.fields.password}
          kind="password"
          value={password.value}
          onValue={(value) => (password.value = value)}
          autocomplete="current-password"
        />
        <Check
          id="sure"
          label={words.sure}
          checked={isSure.value}
          onChecked={(checked) => (isSure.value = checked)}
        />
        <Problem text={attempt.problem} />
        <button id="delete" type="submit" class="danger" aria-disabled={attempt.busy}>
          {words.button}
        </button>
      </Form>
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}
