import { useSignal } from '@preact/signals';
import { deleteAccount } from '../account/change.ts';
import { forgetSession, type Session } from '../account/session.ts';
import { tellFirefox } from '../firefox/web-channel.ts';
import { useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { Check, Link, Page } from '../ui/parts.tsx';
import { PasswordForm } from '../ui/password-form.tsx';
import { goTo } from '../ui/route.ts';

/** `/settings/delete`: the end of the account and of everything in it. */
export function Remove({ session }: { session: Session }) {
  const words = strings.settings.remove;
  const isSure = useSignal(false);
  const proof = useProof(session);
  if (proof.page !== undefined) return <>{proof.page}</>;
  return (
    <Page name="delete" title={words.title}>
      <p>{words.account(session.email)}</p>
      <p>{words.what}</p>
      <PasswordForm
        session={session}
        button={{ id: 'delete', label: words.button, isDanger: true }}
        reasonToWait={() => (isSure.value ? undefined : words.notSure)}
        onPassword={async (password) => {
          await proof.around(() => deleteAccount(session, password));
          tellFirefox('delete', { uid: session.uid });
          goTo('/deleted');
          forgetSession();
        }}
      >
        <Check
          id="sure"
          label={words.sure}
          checked={isSure.value}
          onChecked={(checked) => (isSure.value = checked)}
        />
      </PasswordForm>
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}
