import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { keepSession, type Session, session } from '../account/session.ts';
import { firefoxStatus } from '../firefox/connect.ts';
import { Enter } from '../pages/enter.tsx';
import { strings } from '../strings/strings.ts';
import { arrivedWith } from '../ui/route.ts';

const isFirefox = / Firefox\//.test(navigator.userAgent);

/**
 * Asks who it is before it shows anything. A Firefox that is signed in says so itself, when its settings open
 * these pages.
 */
export function SignedIn(props: { children: (session: Session) => ComponentChildren }) {
  const mayAsk = useSignal(isFirefox && session.peek() === undefined);
  useEffect(() => {
    if (!mayAsk.peek()) return;
    firefoxStatus(arrivedWith)
      .then(({ signedInUser }) => {
        const { uid, email, sessionToken, verified } = signedInUser ?? {};
        if (!uid || !email || !sessionToken || verified !== true) return;
        keepSession({ uid, email, sessionToken, firefox: true });
      })
      .catch(() => undefined) // another browser, or nobody is signed in: the form asks
      .finally(() => (mayAsk.value = false));
  }, []);
  if (mayAsk.value) return <main data-page="asking-firefox" />;
  if (session.value) return <>{props.children(session.value)}</>;
  return (
    <Enter
      title={strings.enter.title}
      intro={strings.enter.intro}
      first="signin"
      email={arrivedWith.get('email') ?? ''}
      onEntered={(account) => {
        keepSession(account);
        return Promise.resolve();
      }}
    />
  );
}
