import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { endSession, keepSession, session } from '../account/session.ts';
import type { Opened } from '../account/sign-in.ts';
import {
  connectFirefox,
  enginesOf,
  firefoxStatus,
  type FirefoxStatus,
  readRequest,
} from '../firefox/connect.ts';
import { ChannelError } from '../firefox/web-channel.ts';
import { wordsFor } from '../account/server.ts';
import { strings } from '../strings/strings.ts';
import { arrivedWith } from '../ui/route.ts';
import { Check, Page } from '../ui/parts.tsx';
import { Enter, type Entry } from './enter.tsx';

const request = readRequest(arrivedWith);

/** The page that Firefox opens to be signed in: firefox.md §3 and §4. */
export function ConnectFirefox({ path }: { path: string }) {
  const words = strings.connected;
  const status = useSignal<FirefoxStatus | undefined>(undefined);
  const declined = useSignal<ReadonlySet<string>>(new Set());
  const end = useSignal<{ title: string; text: string; name: string } | undefined>(undefined);
  useEffect(() => {
    firefoxStatus(arrivedWith).then(
      (found) => (status.value = found),
      () => undefined, // said when it matters: at the end of the sign-in
    );
  }, []);

  const fail = (text: string) =>
    (end.value = { name: 'refused', title: strings.enter.titleFirefox, text });
  if (!request) fail(words.broken);
  const { value: ended } = end;
  if (ended || !request) {
    return (
      <Page name={ended?.name ?? 'refused'} title={ended?.title ?? ''}>
        <p>{ended?.text}</p>
      </Page>
    );
  }

  const engines = enginesOf(request, status.value);
  const connect = async (account: Opened, entry: Entry) => {
    const choice =
      entry === 'signup' && engines.length > 0
        ? { offered: engines, declined: engines.filter((name) => declined.value.has(name)) }
        : undefined;
    try {
      if (!(await connectFirefox(account, request, entry, choice))) {
        fail(words.refused);
        return;
      }
    } catch (error) {
      await endSession(account).catch(() => undefined); // nobody has it, or nobody will use it
      fail(error instanceof ChannelError ? words[error.reason] : wordsFor(error));
      return;
    }
    keepSession({ ...account, firefox: true });
    end.value = { name: 'connected', title: words.title, text: words.text(account.email) };
  };
  return (
    <Enter
      title={strings.enter.titleFirefox}
      intro={strings.enter.introFirefox}
      first={path === '/signup' ? 'signup' : 'signin'}
      email={arrivedWith.get('email') ?? session.peek()?.email ?? ''}
      isFixed={path === '/oauth/force_auth' && arrivedWith.has('email')}
      onEntered={connect}
    >
      {engines.length > 0 && (
        <details>
          <summary>{strings.enter.sync}</summary>
          <p class="hint">{strings.enter.syncNote}</p>
          {engines.map((name) => (
            <Check
              key={name}
              id={`sync-${name}`}
              label={strings.engines[name] ?? name}
              checked={!declined.value.has(name)}
              onChecked={(checked) => {
                const next = new Set(declined.value);
                if (checked) next.delete(name);
                else next.add(name);
                declined.value = next;
              }}
            />
          ))}
        </details>
      )}
    </Enter>
  );
}
