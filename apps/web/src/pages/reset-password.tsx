import { useSignal } from '@preact/signals';
import { CryptoRefusal } from '#lib/crypto';
import {
  askResetCode,
  giveResetCode,
  type Leave,
  openReset,
  recoverKB,
  type Reset,
  resetPassword,
} from '../account/change.ts';
import { gateOfReset, wantsProof } from '../account/factors.ts';
import { isErrno } from '../account/server.ts';
import { keepSession } from '../account/session.ts';
import { isFirefoxFlow } from '../firefox/connect.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Check, Field, Form, Link, Note, Page, Problem } from '../ui/parts.tsx';
import { arrivedWith, goTo, here } from '../ui/route.ts';
import { typedAddress } from './enter.tsx';
import { NewPassword, newPasswordProblem } from './new-password.tsx';
import { SecondStep } from './second-step.tsx';

/** `/reset_password`: by a mailed code to another password, with the data if there is a recovery key. */
export function ResetPassword() {
  const email = useSignal(typedAddress.peek());
  const isAsked = useSignal(false);
  const leave = useSignal<Leave | undefined>(undefined);
  const reset = useSignal<Reset | undefined>(undefined);
  const open = async (given: Leave) => {
    try {
      reset.value = await openReset(given);
    } catch (error) {
      if (wantsProof(error) === undefined) throw error;
      leave.value = given;
    }
  };
  if (reset.value) return <SetPassword reset={reset.value} />;
  const given = leave.value;
  if (given) {
    return <SecondStep gate={gateOfReset(given.accountResetToken)} onGiven={() => open(given)} />;
  }
  if (isAsked.value) {
    return (
      <GiveCode email={email.value} onLeave={open} onAgain={() => askResetCode(email.value)} />
    );
  }
  return (
    <AskCode
      email={email.value}
      onEmail={(value) => (email.value = value)}
      onAsked={() => (isAsked.value = true)}
    />
  );
}

function AskCode(props: { email: string; onEmail: (email: string) => void; onAsked: () => void }) {
  const words = strings.reset;
  const attempt = useAttempt();
  return (
    <Page name="reset" title={words.title}>
      <p>{words.intro}</p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            await askResetCode(props.email);
            props.onAsked();
          });
        }}
      >
        <Field
          id="email"
          label={strings.fields.email}
          kind="email"
          value={props.email}
          onValue={props.onEmail}
          autocomplete="username"
          autofocus
        />
        <Problem text={attempt.problem} />
        <button id="send-code" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.send}
        </button>
      </Form>
      <p class="hint">
        <Link to={`/signin${here.value.search}`}>{strings.back}</Link>
      </p>
    </Page>
  );
}

function GiveCode(props: {
  email: string;
  onLeave: (leave: Leave) => Promise<void>;
  onAgain: () => Promise<unknown>;
}) {
  const words = strings.reset;
  const code = useSignal('');
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt((error) =>
    isErrno(error, 105) || isErrno(error, 107) || isErrno(error, 183)
      ? strings.errors['errno-105']
      : undefined,
  );
  return (
    <Page name="reset-code" title={words.codeTitle}>
      <p>{words.sent(props.email)}</p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            const leave = await giveResetCode(props.email, code.value.replaceAll(/\s/g, ''));
            await props.onLeave(leave);
          });
        }}
      >
        <Field
          id="code"
          label={strings.fields.code}
          value={code.value}
          onValue={(value) => (code.value = value)}
          autocomplete="one-time-code"
          autofocus
          mono
        />
        <Problem text={attempt.problem} />
        <Note text={note.value} />
        <button id="give-code" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.goOn}
        </button>
        <button
          id="again"
          type="button"
          onClick={() => {
            attempt.run(async () => {
              await props.onAgain();
              note.value = strings.confirm.sentAgain;
            });
          }}
        >
          {strings.confirm.again}
        </button>
      </Form>
    </Page>
  );
}

function SetPassword({ reset }: { reset: Reset }) {
  const words = strings.reset;
  const password = useSignal('');
  const recoveryKey = useSignal('');
  const withoutKey = useSignal(!reset.hasRecoveryKey);
  const knowsLoss = useSignal(false);
  const attempt = useAttempt((error) =>
    error instanceof CryptoRefusal || isErrno(error, 158) || isErrno(error, 159)
      ? words.keyWrong
      : undefined,
  );
  const set = async () => {
    const recovered = withoutKey.value ? undefined : await recoverKB(reset, recoveryKey.value);
    keepSession(await resetPassword(reset, password.value, recovered));
    // Firefox needs keys, and with them the password once more; the form there knows the address.
    goTo(isFirefoxFlow(arrivedWith) ? `/${location.search}` : '/settings');
  };
  return (
    <Page name="reset-password" title={words.setTitle}>
      <Form
        onSubmit={() => {
          const problem = newPasswordProblem(password.value);
          if (problem !== undefined) attempt.refuse(problem);
          else if (withoutKey.value && !knowsLoss.value) attempt.refuse(words.sayYouKnow);
          else attempt.run(set);
        }}
      >
        {reset.hasRecoveryKey && (
          <>
            {!withoutKey.value && (
              <Field
                id="recovery-key"
                label={words.recoveryKey}
                value={recoveryKey.value}
                onValue={(value) => (recoveryKey.value = value)}
                hint={words.recoveryKeyHint}
                autofocus
                mono
              />
            )}
            <Check
              id="without-key"
              label={words.withoutKey}
              checked={withoutKey.value}
              onChecked={(checked) => {
                withoutKey.value = checked;
                attempt.refuse(undefined); // what was said of the key
              }}
            />
          </>
        )}
        {withoutKey.value && (
          <div class="warning">
            <p>{words.loss}</p>
            <Check
              id="knows-loss"
              label={words.knowsLoss}
              checked={knowsLoss.value}
              onChecked={(checked) => (knowsLoss.value = checked)}
            />
          </div>
        )}
        <input type="hidden" name="username" autocomplete="username" value={reset.email} />
        <NewPassword value={password.value} onValue={(value) => (password.value = value)} />
        <Problem text={attempt.problem} />
        <button id="set-password" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.set}
        </button>
      </Form>
    </Page>
  );
}
