import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { VerifyEmail as Link } from '#lib/protocol';
import { confirmAddress } from '../account/sign-in.ts';
import { strings } from '../strings/strings.ts';
import { Form, Page, Problem } from '../ui/parts.tsx';
import { useAttempt } from '../ui/attempt.ts';
import { arrivedWith, clearQuery } from '../ui/route.ts';

const link = Link.safeParse(Object.fromEntries(arrivedWith)).data;

/** Behind the mailed link. It has a button: programs that open every link must not confirm by that. */
export function VerifyEmail() {
  const words = strings.verify;
  const done = useSignal(false);
  const attempt = useAttempt();
  useEffect(clearQuery, []);
  if (!link) {
    return (
      <Page name="verify-broken" title={words.broken}>
        <p>{words.brokenText}</p>
      </Page>
    );
  }
  if (done.value) {
    return (
      <Page name="verified" title={words.done}>
        <p>{words.doneText}</p>
      </Page>
    );
  }
  return (
    <Page name="verify" title={words.title}>
      <p>{words.text}</p>
      <Form
        onSubmit={() => {
          attempt.run(async () => {
            await confirmAddress(link.uid, link.code);
            done.value = true;
          });
        }}
      >
        <Problem text={attempt.problem} />
        <button id="confirm" type="submit" class="main" aria-disabled={attempt.busy}>
          {words.button}
        </button>
      </Form>
    </Page>
  );
}
