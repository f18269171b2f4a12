import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { familyOf, NEW_SESSION } from '#lib/protocol';
import { wordsFor } from '../account/server.ts';
import { firefoxStatus } from '../firefox/connect.ts';
import { ChannelError, tellFirefox } from '../firefox/web-channel.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Link, Page, Problem } from '../ui/parts.tsx';
import { arrivedWith, clearQuery } from '../ui/route.ts';
import { approve, type Asked, decline, NothingToApprove, readAsked, settled } from './authority.ts';
import { readMeeting } from './secure-channel.ts';
import { CannotConnect, findWay, meet, type Met } from './supplicant.ts';
import { ChannelRefusal } from './tls-client.ts';

/** The code that was scanned, which is in the address for as long as it takes to read it. */
const meeting = readMeeting(location.hash);

/** `/pair`: a code that was scanned, or how one is shown. */
export function Pair() {
  return meeting ? <Supplicant /> : <ShowCode />;
}

function ShowCode() {
  const words = strings.pairing.pair;
  const status = useLoaded(() => firefoxStatus(new URLSearchParams()));
  const firefox = status.value;
  if (!firefox && status.problem === undefined) {
    return (
      <Page name="pair-loading" title={words.title}>
        <p role="status">{words.loading}</p>
      </Page>
    );
  }
  const canShow = firefox?.signedInUser && firefox.capabilities.pairing;
  return (
    <Page name="pair" title={words.title}>
      {firefox ? (
        <>
          <p>{words.intro}</p>
          <ol>
            {words.steps.map((step) => (
              <li key={step}>{step}</li>
            ))}
          </ol>
        </>
      ) : (
        <p>{words.elsewhere}</p>
      )}
      {canShow ? (
        <button
          id="show-code"
          type="button"
          class="main"
          onClick={() => {
            // Firefox goes to its settings, in the place of this page.
            tellFirefox('pair_preferences', {});
          }}
        >
          {words.show}
        </button>
      ) : (
        firefox && <p class="warning">{firefox.signedInUser ? words.noCodes : words.notSignedIn}</p>
      )}
      <p class="hint">
        <Link to="/connect_another_device">{words.other}</Link>
      </p>
    </Page>
  );
}

/** `/pair/supp`, and `/pair` with a code: this device is to be signed in. */
export function Supplicant() {
  const words = strings.pairing.supplicant;
  const met = useSignal<Met | undefined>(undefined);
  const stage = useSignal<'joining' | 'asking' | 'waiting' | 'done' | 'refused'>('joining');
  const failure = useSignal<{ title: string; text: string } | undefined>(undefined);
  const fail = (error: unknown) => {
    const isElsewhere = error instanceof CannotConnect && error.reason === 'notFirefox';
    const title = isElsewhere ? words.notFirefoxTitle : words.failedTitle;
    failure.value = { title, text: reasonOf(error) };
  };
  useEffect(() => {
    // Neither into the history nor into a Referer.
    clearQuery();
    const join = async () => {
      if (!meeting) throw new CannotConnect('broken');
      met.value = await meet(meeting, await findWay(arrivedWith));
      stage.value = 'asking';
    };
    join().catch(fail);
  }, []);

  if (failure.value) {
    return (
      <Page name="supplicant-failed" title={failure.value.title}>
        <p>{failure.value.text}</p>
      </Page>
    );
  }
  const device = met.value;
  if (!device || stage.value === 'joining') {
    return (
      <Page name="supplicant-joining" title={words.title}>
        <p role="status">{words.joining}</p>
      </Page>
    );
  }
  if (stage.value !== 'asking') {
    const [title, text] = {
      waiting: [words.waitingTitle, words.waiting] as const,
      done: [words.doneTitle, words.done] as const,
      refused: [words.failedTitle, words.refused] as const,
    }[stage.value];
    return (
      <Page name={`supplicant-${stage.value}`} title={title}>
        <p role="status">{text}</p>
      </Page>
    );
  }
  return (
    <Page name="supplicant" title={words.title}>
      <p>{words.as(device.email)}</p>
      {device.device !== '' && <p>{words.shownBy(device.device)}</p>}
      <p class="warning">{words.mine}</p>
      <button
        id="confirm-pairing"
        type="button"
        class="main"
        onClick={() => {
          stage.value = 'waiting';
          device.confirm().then(() => (stage.value = 'done'), fail);
        }}
      >
        {words.confirm}
      </button>
      <button
        id="refuse-pairing"
        type="button"
        onClick={() => {
          stage.value = 'refused';
          device.refuse().catch(() => undefined); // it is gone as well
        }}
      >
        {words.refuse}
      </button>
    </Page>
  );
}

function reasonOf(error: unknown): string {
  const words = strings.pairing.supplicant;
  if (error instanceof CannotConnect) return words[error.reason];
  if (error instanceof ChannelRefusal) return words.failed;
  if (error instanceof ChannelError) return strings.connected[error.reason];
  return wordsFor(error);
}

/** `/oauth` and `/pair/auth`: the Firefox around this page is asked to sign another device in. */
export function Authority() {
  const words = strings.pairing.authority;
  const failure = useSignal<unknown>(undefined);
  const asked = useSignal<Asked | undefined>(undefined);
  useEffect(() => {
    readAsked(arrivedWith).then(
      (found) => (asked.value = found),
      (error: unknown) => (failure.value = error),
    );
  }, []);
  if (failure.value !== undefined) {
    const isUntrusted =
      failure.value instanceof NothingToApprove && failure.value.reason === 'untrusted';
    return (
      <Page name="authority-refused" title={words.refusedTitle}>
        <p>{isUntrusted ? words.untrusted : words.gone}</p>
        {!isUntrusted && <Link to="/pair">{words.again}</Link>}
      </Page>
    );
  }
  if (!asked.value) return <main data-page="authority-loading" />;
  return <Approval asked={asked.value} />;
}

function Approval({ asked }: { asked: Asked }) {
  const words = strings.pairing.authority;
  const attempt = useAttempt();
  const stage = useSignal<'asking' | 'waiting' | 'done' | 'refused' | 'gone'>('asking');
  useEffect(() => {
    const leaving = new AbortController();
    const isApproved = () => stage.peek() === 'waiting';
    void settled(asked.channelId, isApproved, leaving.signal).then((isConnected) => {
      if (stage.peek() !== 'refused') stage.value = isConnected ? 'done' : 'gone';
    });
    return () => {
      leaving.abort();
    };
  }, []);
  if (stage.value !== 'asking') {
    const [title, text] = {
      waiting: [words.waitingTitle, words.waiting] as const,
      done: [words.doneTitle, words.done] as const,
      refused: [words.refusedTitle, words.refused] as const,
      gone: [words.refusedTitle, words.gone] as const,
    }[stage.value];
    return (
      <Page name={`authority-${stage.value}`} title={title}>
        <p role="status">{text}</p>
        {stage.value === 'done' && <Link to="/settings/clients">{words.devices}</Link>}
        {stage.value === 'gone' && <Link to="/pair">{words.again}</Link>}
      </Page>
    );
  }
  return (
    <Page name="authority" title={words.title}>
      <p>{words.what}</p>
      <ul>
        <li>{asked.app}</li>
        <li>{familyOf(asked.agent)}</li>
      </ul>
      {asked.address !== '' && <p>{words.from(asked.address)}</p>}
      <p>{words.as(asked.email)}</p>
      <ul>
        {asked.scopes.map((scope) => (
          <li key={scope}>
            {scope === NEW_SESSION
              ? words.newSession
              : (strings.scopes[scope] ?? <code>{scope}</code>)}
          </li>
        ))}
      </ul>
      <p class="warning">{words.mine}</p>
      <Problem text={attempt.problem} />
      <button
        id="approve-pairing"
        type="button"
        class="main"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            await approve(asked.channelId);
            stage.value = 'waiting';
          });
        }}
      >
        {words.approve}
      </button>
      <button
        id="decline-pairing"
        type="button"
        onClick={() => {
          stage.value = 'refused';
          decline(asked.channelId);
        }}
      >
        {words.refuse}
      </button>
    </Page>
  );
}
