import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { isErrno } from '../account/server.ts';
import { confirmAddress, emailStatus, mailAgain, type Opened } from '../account/sign-in.ts';
import { strings } from '../strings/strings.ts';
import { Field, Form, Note, Page, Problem } from '../ui/parts.tsx';
import { useAttempt } from '../ui/attempt.ts';

const POLL_MS = 2000;
/** Nobody looks for a mail longer than that with the page open; a code typed later still works. */
const POLLS_MAX = 900;

/** The code that somebody typed, or that ends the link they pasted. */
const codeIn = (typed: string): string =>
  /[0-9a-f]{32}$/.exec(typed.trim().toLowerCase())?.[0] ?? typed.trim();

/** Waits for the address to be confirmed: by the code typed here, or by the link, opened anywhere. */
export function Confirm(props: { account: Opened; onConfirmed: () => Promise<void> }) {
  const words = strings.confirm;
  const { account } = props;
  const code = useSignal('');
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt((error) =>
    isErrno(error, 107) ? strings.errors['errno-105'] : undefined,
  );

  const goOn = () => {
    attempt.run(props.onConfirmed);
  };
  useEffect(() => {
    let polls = 0;
    const timer = setInterval(() => {
      if (++polls > POLLS_MAX) clearInterval(timer);
      if (document.visibilityState === 'hidden' && polls % 5 !== 0) return;
      emailStatus(account).then(
        ({ verified }) => {
          if (!verified) return;
          clearInterval(timer);
          goOn();
        },
        () => undefined, // asked again in a moment
      );
    }, POLL_MS);
    return () => {
      clearInterval(timer);
    };
  }, [account]);

  return (
    <Page name="confirm" title={words.title}>
      <p>{words.sent(account.email)}</p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            await confirmAddress(account.uid, codeIn(code.value));
            await props.onConfirmed();
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
        <button id="confirm" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.button}
        </button>
        <button
          id="again"
          type="button"
          onClick={() => {
            attempt.run(async () => {
              await mailAgain(account);
              note.value = words.sentAgain;
            });
          }}
        >
          {words.again}
        </button>
        <p class="hint">{words.waiting}</p>
      </Form>
    </Page>
  );
}
