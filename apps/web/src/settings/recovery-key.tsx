import { useSignal } from '@preact/signals';
import { formatRecoveryKey, generateRecoveryKey } from '#lib/crypto';
import { hasRecoveryKey, openKB, removeRecoveryKey, storeRecoveryKey } from '../account/change.ts';
import type { Session } from '../account/session.ts';
import { type Proof, useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { download } from '../ui/download.ts';
import { Field, Form, Link, Page, Problem } from '../ui/parts.tsx';
import { PasswordForm } from '../ui/password-form.tsx';
import { goTo } from '../ui/route.ts';

/** A recovery key that was shown, and is not stored yet. */
interface Made {
  key: Uint8Array;
  kB: Uint8Array;
  text: string;
}

/** `/settings/recovery_key`: makes one, shows it once, and stores it when its owner has it on paper. */
export function RecoveryKey({ session }: { session: Session }) {
  const words = strings.settings.recovery;
  const made = useSignal<Made | undefined>(undefined);
  const isStored = useSignal(false);
  const exists = useLoaded(() => hasRecoveryKey(session));
  const proof = useProof(session);
  if (proof.page !== undefined) return <>{proof.page}</>;
  if (isStored.value) {
    return (
      <Page name="recovery-key-stored" title={words.stored}>
        <p>{words.storedText}</p>
        <Link to="/settings" class="button">
          {strings.back}
        </Link>
      </Page>
    );
  }
  if (made.value) {
    const store = (shown: Made) =>
      proof.around(() =>
        storeRecoveryKey(session, { ...shown, replaceKey: exists.value === true }),
      );
    return (
      <ShowKey
        made={made.value}
        email={session.email}
        onKept={async (shown) => {
          await store(shown);
          made.value = undefined;
          isStored.value = true;
        }}
      />
    );
  }
  return (
    <AskPassword
      session={session}
      exists={exists.value === true}
      proof={proof}
      onOpened={(kB) => {
        const key = generateRecoveryKey();
        made.value = { key, kB, text: formatRecoveryKey(key) };
      }}
    />
  );
}

function AskPassword(props: {
  session: Session;
  exists: boolean;
  proof: Proof;
  onOpened: (kB: Uint8Array) => void;
}) {
  const words = strings.settings.recovery;
  const { session, proof } = props;
  return (
    <Page name="recovery-key" title={props.exists ? words.replace : words.make}>
      <p>{words.what}</p>
      {props.exists && <p>{words.replaceNote}</p>}
      <PasswordForm
        session={session}
        button={{ id: 'make-key', label: words.makeIt }}
        onPassword={async (password) => {
          props.onOpened(await proof.around(() => openKB(session, password)));
        }}
      />
      {props.exists && <RemoveKey session={session} proof={proof} />}
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}

function RemoveKey({ session, proof }: { session: Session; proof: Proof }) {
  const attempt = useAttempt();
  return (
    <>
      <Problem text={attempt.problem} />
      <button
        id="remove-key"
        type="button"
        class="danger"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            await proof.around(() => removeRecoveryKey(session));
            goTo('/settings');
          });
        }}
      >
        {strings.settings.recovery.remove}
      </button>
    </>
  );
}

function ShowKey(props: { made: Made; email: string; onKept: (made: Made) => Promise<void> }) {
  const words = strings.settings.recovery;
  const { made, email } = props;
  const typed = useSignal('');
  const attempt = useAttempt();
  const lastGroup = made.text.slice(-4);
  return (
    <Page name="recovery-key-shown" title={words.yours}>
      <p>{words.keep}</p>
      <p class="key" data-key>
        {made.text}
      </p>
      <p class="print-only">{words.fileText(email, location.origin, '')}</p>
      <div class="row">
        <button
          id="download"
          type="button"
          onClick={() => {
            download(words.fileName, words.fileText(email, location.origin, made.text));
          }}
        >
          {words.download}
        </button>
        <button
          id="print"
          type="button"
          onClick={() => {
            window.print();
          }}
        >
          {words.print}
        </button>
      </div>
      <Form
        onSubmit={() => {
          if (typed.value.trim().toUpperCase() === lastGroup) {
            attempt.run(() => props.onKept(made));
          } else attempt.refuse(words.otherGroup);
        }}
      >
        <Field
          id="last-group"
          label={words.lastGroup}
          value={typed.value}
          onValue={(value) => (typed.value = value)}
          mono
        />
        <Problem text={attempt.problem} />
        <button id="keep-key" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.kept}
        </button>
      </Form>
    </Page>
  );
}
