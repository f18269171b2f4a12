import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { gateOfSession, proveAgain, wantsProof } from '../account/factors.ts';
import type { Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { Page } from '../ui/parts.tsx';
import { PasswordForm } from '../ui/password-form.tsx';
import { SecondStep } from './second-step.tsx';

/** What a page does when the server wants to know once more who it is. */
export interface Proof {
  /** Does it; when it is refused for want of a proof, asks for that and does it again. */
  around<T>(work: () => Promise<T>): Promise<T>;
  /** The question, to be shown in the place of the page, or beside the hidden page, while there is one. */
  readonly page: ComponentChildren;
}

interface Question {
  what: 'password' | 'factor';
  /** Rejects, with what was refused, when the person gives no proof. */
  answered: Promise<void>;
  done: () => void;
  cancel: () => void;
}

/** Asks for the password or the second factor in place, where the server wants them anew. */
export function useProof(session: Session): Proof {
  const asked = useSignal<Question | undefined>(undefined);
  const around = async <T,>(work: () => Promise<T>): Promise<T> => {
    for (;;) {
      try {
        return await work();
      } catch (error) {
        const what = wantsProof(error);
        if (what === undefined || !(error instanceof Error)) throw error;
        // Two who want a proof at the same time ask once.
        await (asked.peek() ?? ask(what, error)).answered;
      }
    }
  };
  const ask = (what: Question['what'], error: Error): Question => {
    const answers = { done: () => {}, cancel: () => {} };
    const answered = new Promise<void>((done, failed) => {
      answers.done = done;
      answers.cancel = () => {
        failed(error);
      };
    }).finally(() => (asked.value = undefined));
    return (asked.value = { what, answered, ...answers });
  };
  const question = asked.value;
  if (!question) return { around, page: undefined };
  const props = { session, onDone: question.done, onCancel: question.cancel };
  return {
    around,
    page:
      question.what === 'password' ? (
        <AskPassword {...props} />
      ) : (
        <SecondStep
          gate={gateOfSession(session)}
          onGiven={() => {
            question.done();
            return Promise.resolve();
          }}
          onCancel={question.cancel}
        />
      ),
  };
}

function AskPassword(props: { session: Session; onDone: () => void; onCancel: () => void }) {
  const words = strings.secondFactors.again;
  return (
    <Page name="prove-again" title={words.title}>
      <p>{words.why}</p>
      <PasswordForm
        session={props.session}
        button={{ id: 'prove', label: words.goOn }}
        onPassword={async (password) => {
          await proveAgain(props.session, password);
          props.onDone();
        }}
        beside={
          <button type="button" onClick={props.onCancel}>
            {strings.cancel}
          </button>
        }
      />
    </Page>
  );
}
