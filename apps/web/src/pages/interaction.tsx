import { useSignal } from '@preact/signals';
import type { InteractionDetails } from '#lib/protocol';
import { consent, readInteraction, refuse } from '../account/interaction.ts';
import { endSession, session } from '../account/session.ts';
import type { Opened } from '../account/sign-in.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Page, Problem } from '../ui/parts.tsx';
import { Enter } from './enter.tsx';

/**
 * `/oauth2/interaction/:id`: an app asks for access. The password is asked for every time, also of who is
 * signed in: the app's key comes from it, and what is granted here ends with a session of its own.
 */
export function Interaction({ id }: { id: string }) {
  const words = strings.interaction;
  const asked = useLoaded(() => readInteraction(id));
  const account = useSignal<Opened | undefined>(undefined);
  if (asked.problem !== undefined) {
    return (
      <Page name="interaction-gone" title={words.gone}>
        <p>{words.goneText}</p>
      </Page>
    );
  }
  if (!asked.value) return <main data-page="interaction-loading" />;
  const details = asked.value;
  if (account.value) return <Consent asked={details} account={account.value} />;
  return (
    <Enter
      title={words.signIn(details.client.name)}
      intro={words.intro(details.client.name, hostOf(details))}
      first="signin"
      email={session.peek()?.email ?? ''}
      onEntered={(opened) => {
        account.value = opened;
        return Promise.resolve();
      }}
      instead={<RefuseButton asked={details} />}
    />
  );
}

/** Where the answer goes, in a word. A native app's address is on this device. */
function hostOf({ redirect_uri: redirectUri }: InteractionDetails): string {
  const { protocol, hostname, host } = new URL(redirectUri);
  const isHere = hostname === '127.0.0.1' || hostname === '[::1]' || hostname === 'localhost';
  if (isHere || !protocol.startsWith('http')) return strings.interaction.thisDevice;
  return host;
}

function RefuseButton({ asked, account }: { asked: InteractionDetails; account?: Opened }) {
  const attempt = useAttempt();
  return (
    <>
      <Problem text={attempt.problem} />
      <button
        id="refuse"
        type="button"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            await refuse(asked, account);
            if (account) await endSession(account);
          });
        }}
      >
        {strings.interaction.refuse}
      </button>
    </>
  );
}

function Consent({ asked, account }: { asked: InteractionDetails; account: Opened }) {
  const words = strings.interaction;
  const attempt = useAttempt();
  return (
    <Page name="consent" title={words.title(asked.client.name)}>
      <p>{words.as(account.email)}</p>
      <p>{words.mayDo}</p>
      <ul>
        {asked.scopes.map((scope) => (
          <li key={scope}>{strings.scopes[scope] ?? <code>{scope}</code>}</li>
        ))}
      </ul>
      <p>{words.goesTo(hostOf(asked))}</p>
      <Problem text={attempt.problem} />
      <button
        id="allow"
        type="button"
        class="main"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(() => consent(asked, account));
        }}
      >
        {words.allow}
      </button>
      <RefuseButton asked={asked} account={account} />
    </Page>
  );
}
