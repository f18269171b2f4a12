import { signal, useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { gateOfSession } from '../account/factors.ts';
import { isErrno } from '../account/server.ts';
import { endSession } from '../account/session.ts';
import { isUnblockable, mailUnblockCode, type Opened, signIn, signUp } from '../account/sign-in.ts';
import { strings } from '../strings/strings.ts';
import { Field, Form, Link, Note, Page, Problem } from '../ui/parts.tsx';
import { useAttempt } from '../ui/attempt.ts';
import { arrivedWith, here } from '../ui/route.ts';
import { Confirm } from './confirm.tsx';
import { newPasswordProblem } from './new-password.tsx';
import { SecondStep } from './second-step.tsx';

/** How somebody came in. */
export type Entry = 'signin' | 'signup';

/** What was last typed as an address, for the page of who has forgotten the password. */
export const typedAddress = signal(arrivedWith.get('email') ?? '');

const ADDRESS = /^[^\s@]+@[^\s@]+$/;

/**
 * Address and password, for those who have an account and those who make one; then, if it needs that, the
 * confirmation of the address. Goes on with an account whose keys can be fetched.
 */
export function Enter(props: {
  title: string;
  intro: string;
  /** Which of the two buttons is the main one. */
  first: Entry;
  /** The address, when it is known from before. */
  email?: string;
  /** Whether it must be this address. */
  isFixed?: boolean;
  onEntered: (account: Opened, entry: Entry) => Promise<void>;
  /** Who asks, between the heading and the fields. */
  above?: ComponentChildren;
  children?: ComponentChildren;
  /** What else can be done, below the buttons. */
  instead?: ComponentChildren;
}) {
  const words = strings.enter;
  const email = useSignal(props.email ?? '');
  const password = useSignal('');
  const invitation = useSignal(arrivedWith.get('invitation') ?? '');
  const needsInvitation = useSignal(invitation.peek() !== '');
  const unblockCode = useSignal('');
  const isLocked = useSignal(false);
  const note = useSignal<string | undefined>(undefined);
  const waiting = useSignal<{ account: Opened; entry: Entry } | undefined>(undefined);
  const attempt = useAttempt();

  const enter = (entry: Entry) => {
    if (!ADDRESS.test(email.value.trim())) {
      attempt.refuse(words.emailOdd);
      return;
    }
    const problem = entry === 'signup' ? newPasswordProblem(password.value) : undefined;
    if (problem !== undefined) {
      attempt.refuse(problem);
      return;
    }
    attempt.run(async () => {
      const typed = { email: email.value, password: password.value };
      try {
        const account =
          entry === 'signup'
            ? await signUp(typed, invitation.value)
            : await signIn(typed, unblockCode.value);
        password.value = '';
        if (account.verified) await props.onEntered(account, entry);
        else waiting.value = { account, entry };
      } catch (error) {
        if (isErrno(error, 202)) needsInvitation.value = true;
        if (isUnblockable(error)) isLocked.value = true;
        throw error;
      }
    });
  };

  const pending = waiting.value;
  if (pending) {
    const confirmed = () => props.onEntered(pending.account, pending.entry);
    if (pending.account.awaitsFactor) {
      const cancel = () => {
        waiting.value = undefined;
        void endSession(pending.account).catch(() => undefined); // it opens nothing, and ends by itself
      };
      return (
        <SecondStep gate={gateOfSession(pending.account)} onGiven={confirmed} onCancel={cancel} />
      );
    }
    return <Confirm account={pending.account} onConfirmed={confirmed} />;
  }

  const button = (entry: Entry) => (
    <button
      id={entry}
      type={entry === props.first ? 'submit' : 'button'}
      class={entry === props.first ? 'main' : ''}
      aria-disabled={attempt.busy}
      onClick={
        entry === props.first
          ? undefined
          : () => {
              enter(entry);
            }
      }
    >
      {entry === 'signin' ? words.signIn : words.signUp}
    </button>
  );
  const second: Entry = props.first === 'signin' ? 'signup' : 'signin';
  return (
    <Page name="enter" title={props.title}>
      <p>{props.intro}</p>
      {props.above}
      <Form
        onSubmit={() => {
          enter(props.first);
        }}
      >
        <Field
          id="email"
          label={strings.fields.email}
          kind="email"
          value={email.value}
          onValue={(value) => (email.value = typedAddress.value = value)}
          autocomplete="username"
          readOnly={props.isFixed === true}
          autofocus={email.peek() === ''}
        />
        <Field
          id="password"
          label={strings.fields.password}
          kind="password"
          value={password.value}
          onValue={(value) => (password.value = value)}
          autocomplete={props.first === 'signin' ? 'current-password' : 'new-password'}
        />
        {needsInvitation.value && (
          <Field
            id="invitation"
            label={strings.fields.invitation}
            value={invitation.value}
            onValue={(value) => (invitation.value = value)}
            optional
            mono
          />
        )}
        {isLocked.value && (
          <>
            <Field
              id="unblock-code"
              label={strings.fields.unblockCode}
              value={unblockCode.value}
              onValue={(value) => (unblockCode.value = value)}
              autocomplete="one-time-code"
              hint={words.locked}
              mono
            />
            <button
              id="send-unblock-code"
              type="button"
              onClick={() => {
                attempt.run(async () => {
                  await mailUnblockCode(email.value);
                  note.value = words.unblockSent;
                });
              }}
            >
              {words.sendUnblock}
            </button>
            <Note text={note.value} />
          </>
        )}
        {props.children}
        <Problem text={attempt.problem} />
        {button(props.first)}
        <p class="or">{words.or}</p>
        {button(second)}
        <p class="hint">{words.newHere}</p>
        {props.instead}
        <p class="hint">
          <Link to={`/reset_password${here.value.search}`}>{words.forgot}</Link>
        </p>
      </Form>
    </Page>
  );
}
