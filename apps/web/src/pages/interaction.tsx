import { useSignal } from '@preact/signals';
import type { InteractionDetails } from '#lib/protocol';
import {
  asIfSignedIn,
  consent,
  consentAgain,
  isKnown,
  readInteraction,
  refuse,
} from '../account/interaction.ts';
import { type Session, session } from '../account/session.ts';
import type { Opened } from '../account/sign-in.ts';
import { Asked, Rights, WhoAsks } from '../consent/asked.tsx';
import { RefuseButton } from '../consent/refuse-button.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Page, Problem } from '../ui/parts.tsx';
import { when } from '../ui/when.ts';
import { Enter } from './enter.tsx';

/**
 * `/oauth2/interaction/:id`: an app asks for access. The password is asked for, also of who is signed in,
 * because the app's key comes from it; save by an app that wants no keys and nothing new. What is granted
 * here ends with a session of its own.
 */
export function Interaction({ id }: { id: string }) {
  const words = strings.consent;
  const asked = useLoaded(() => asIfSignedIn((by) => readInteraction(id, by)));
  const open = useSignal<{ asked: InteractionDetails; account: Opened } | undefined>(undefined);
  if (asked.problem !== undefined) {
    return (
      <Page name="interaction-gone" title={words.gone}>
        <p>{words.goneText}</p>
      </Page>
    );
  }
  if (!asked.value) return <main data-page="interaction-loading" />;
  if (open.value) return <Consent {...open.value} />;
  const details = asked.value;
  const { client, granted } = details;
  const known = isKnown(details) ? granted : undefined;
  const visitor = session.peek();
  if (known && visitor && details.keys_jwk === undefined && !details.fresh) {
    return <GoOn asked={details} account={visitor} since={known.at} />;
  }
  return (
    <Enter
      title={words.signIn(client.name)}
      intro={
        known
          ? words.introKnown(client.name, when(known.at))
          : words.intro(client.name, hostOf(details))
      }
      first="signin"
      email={visitor?.email ?? ''}
      onEntered={async (account) => {
        // Perhaps somebody else than the page was first shown to.
        const now = await readInteraction(id, account);
        if (isKnown(now)) await consent(now, account);
        else open.value = { asked: now, account };
      }}
      above={
        <>
          <WhoAsks client={client} />
          {known && <p>{words.apps.can}</p>}
          {known && <Rights scopes={details.scopes} />}
        </>
      }
      instead={<Refuse asked={details} />}
    />
  );
}

/** Where the answer goes, in a word. A native app's address is on this device. */
function hostOf({ redirect_uri: redirectUri }: InteractionDetails): string {
  const { protocol, hostname, host } = new URL(redirectUri);
  const isHere = hostname === '127.0.0.1' || hostname === '[::1]' || hostname === 'localhost';
  if (isHere || !protocol.startsWith('http')) return strings.consent.thisDevice;
  return host;
}

function Refuse({ asked, account }: { asked: InteractionDetails; account?: Opened }) {
  return (
    <RefuseButton
      label={strings.consent.refuse}
      account={account}
      refuse={(by) => refuse(asked, by)}
    />
  );
}

/** An app that is known, wants no keys and nothing new: one button. */
function GoOn(props: { asked: InteractionDetails; account: Session; since: number }) {
  const words = strings.consent;
  const { asked, account, since } = props;
  const attempt = useAttempt();
  return (
    <Page name="consent-known" title={words.knownTitle(asked.client.name)}>
      <p>{words.known(asked.client.name, when(since))}</p>
      <WhoAsks client={asked.client} host={hostOf(asked)} />
      <p>{words.apps.can}</p>
      <Rights scopes={asked.scopes} />
      <Problem text={attempt.problem} />
      <button
        id="allow"
        type="button"
        class="main"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(() => consentAgain(asked, account));
        }}
      >
        {words.goOnAs(account.email)}
      </button>
      <Refuse asked={asked} />
    </Page>
  );
}

function Consent({ asked, account }: { asked: InteractionDetails; account: Opened }) {
  const words = strings.consent;
  const { client, granted } = asked;
  const attempt = useAttempt();
  return (
    <Page
      name={granted ? 'consent-grown' : 'consent'}
      title={granted ? words.grownTitle(client.name) : words.title(client.name)}
    >
      <WhoAsks client={client} host={hostOf(asked)} />
      <p>{words.as(account.email)}</p>
      {granted && <p>{words.grown(client.name, when(granted.at))}</p>}
      <Asked asked={asked} />
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
      <Refuse asked={asked} account={account} />
    </Page>
  );
}
