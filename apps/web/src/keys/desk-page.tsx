import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { ClientError, type HistoryEntry, IntegrityError, type OwnPair } from '#lib/client';
import type { ConnectedApp } from '#lib/protocol';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { download } from '../ui/download.ts';
import { Check, Link, Note, Page, Problem } from '../ui/parts.tsx';
import { when } from '../ui/when.ts';
import type { Desk } from './desk.ts';
import { wordsForLie } from './lies.ts';
import { People } from './people.tsx';
import { type Met, SafetyPage } from './safety-page.tsx';

/** What is shown of one's own keys; `fault` when the server's do not pass a check. */
interface Shown {
  own?: OwnPair;
  history: HistoryEntry[];
  isDiscoverable: boolean;
  fault?: IntegrityError;
}

async function look({ keys }: Desk): Promise<Shown> {
  try {
    const own = await keys.refresh();
    const [history, discoverable] = await Promise.all([keys.history(), keys.discoverable()]);
    return { own, history, isDiscoverable: discoverable === 'app' };
  } catch (error) {
    if (error instanceof IntegrityError) return { history: [], isDiscoverable: true, fault: error };
    if (error instanceof ClientError && error.status === 404) {
      return { history: [], isDiscoverable: true };
    }
    throw error;
  }
}

/** The keys of an app: one's own with their history, what can be done to them, and the people one met. */
export function DeskPage(props: { desk: Desk; app: ConnectedApp; isHidden: boolean }) {
  const words = strings.keys;
  const { desk, app, isHidden } = props;
  const shown = useLoaded(() => look(desk));
  const met = useSignal<Met | undefined>(undefined);
  const note = useSignal<string | undefined>(undefined);
  if (met.value) {
    const onBack = () => (met.value = undefined);
    return <SafetyPage desk={desk} met={met.value} isHidden={isHidden} onBack={onBack} />;
  }
  const { own, history, fault, isDiscoverable } = shown.value ?? { history: [] };
  const change = { desk, app, note: (text: string) => (note.value = text) };
  return (
    <Page name="keys-of-app" title={words.password.title(app.client.name)} wide isHidden={isHidden}>
      <Problem text={shown.problem ?? wordsForLie(fault)} />
      <Note text={note.value} />
      {shown.value && !own && !fault && <p>{words.mine.none}</p>}
      {own && <Mine own={own} />}
      {own && <History entries={history} />}
      {own && <Changes {...change} onChanged={shown.reload} />}
      {fault?.code === 'KEY_GENERATION_MISMATCH' && (
        <section>
          <Reset {...change} onChanged={shown.reload} />
        </section>
      )}
      {own && <Discoverable desk={desk} isOn={isDiscoverable === true} />}
      {own && <People desk={desk} onCompare={(who) => (met.value = who)} />}
      <Link to="/settings/keys">{strings.back}</Link>
    </Page>
  );
}

function Mine({ own }: { own: OwnPair }) {
  const words = strings.keys.mine;
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{words.version(own.list.ver)}</p>
      <ul class="list">
        {own.list.keys.map(({ kid, alg, st, since }) => (
          <li key={kid} data-key={kid} data-state={own.revoked.includes(kid) ? 'revoked' : st}>
            <strong>{words.kinds[alg]}</strong>
            <span class="quiet">
              {own.revoked.includes(kid) ? words.token : words.states[st]} ·{' '}
              {words.since(since ?? 1)}
            </span>
            <span class="quiet mono">{kid}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function History({ entries }: { entries: readonly HistoryEntry[] }) {
  const words = strings.keys.history;
  return (
    <details>
      <summary>{words.title}</summary>
      <ol class="list">
        {[...entries].reverse().map(({ list, hash, step, at }) => (
          <li key={hash} data-version={list.ver}>
            <strong>{words.entry(list.ver, when(at * 1000))}</strong>
            <span class="quiet">{words.steps[step]}</span>
          </li>
        ))}
      </ol>
    </details>
  );
}

interface ChangeProps {
  desk: Desk;
  app: ConnectedApp;
  note: (text: string) => void;
  onChanged: () => void;
}

function Changes(props: ChangeProps) {
  const words = strings.keys.change;
  const { keys } = props.desk;
  return (
    <section>
      <h2>{words.title}</h2>
      <Change
        {...props}
        id="rotate"
        label={words.rotate}
        done={words.rotated}
        work={() => keys.rotate()}
      >
        <p>{words.rotateWhy}</p>
      </Change>
      <Change
        {...props}
        id="revoke"
        label={words.revoke}
        done={words.revoked}
        work={() => keys.revoke()}
      >
        <p>{words.revokeWhy}</p>
      </Change>
      <Paper desk={props.desk} app={props.app} />
    </section>
  );
}

function Reset(props: ChangeProps) {
  const words = strings.keys.change;
  return (
    <Change
      {...props}
      id="reset"
      label={words.reset}
      done={words.wasReset}
      work={() => props.desk.keys.reset()}
    >
      <p>{words.resetWhy}</p>
    </Change>
  );
}

/** Something that cannot be undone: a button that shows what follows, and another that does it. */
function Change(
  props: ChangeProps & {
    id: string;
    label: string;
    done: string;
    work: () => Promise<unknown>;
    children: ComponentChildren;
  },
) {
  const isAsked = useSignal(false);
  const attempt = useAttempt(wordsForLie);
  if (!isAsked.value) {
    return (
      <button id={props.id} type="button" onClick={() => (isAsked.value = true)}>
        {props.label}
      </button>
    );
  }
  return (
    <div class="asked">
      {props.children}
      <Problem text={attempt.problem} />
      <div class="row">
        <button
          id={`${props.id}-really`}
          type="button"
          class="danger"
          aria-disabled={attempt.busy}
          onClick={() => {
            attempt.run(async () => {
              await props.work();
              isAsked.value = false;
              props.note(props.done);
              props.onChanged();
            });
          }}
        >
          {strings.keys.change.really(props.label)}
        </button>
        <button type="button" onClick={() => (isAsked.value = false)}>
          {strings.cancel}
        </button>
      </div>
    </div>
  );
}

function Paper({ desk, app }: { desk: Desk; app: ConnectedApp }) {
  const words = strings.keys.change;
  const attempt = useAttempt(wordsForLie);
  return (
    <div>
      <p class="hint">{words.paperWhy}</p>
      <Problem text={attempt.problem} />
      <button
        id="paper"
        type="button"
        aria-disabled={attempt.busy}
        onClick={() => {
          attempt.run(async () => {
            const texts = [...(await desk.keys.revocations()).values()];
            download(words.paperFile, words.paperText(app.client.name, texts.join('\n')));
          });
        }}
      >
        {words.paper}
      </button>
    </div>
  );
}

function Discoverable({ desk, isOn }: { desk: Desk; isOn: boolean }) {
  const words = strings.keys.discoverable;
  const checked = useSignal(isOn);
  const note = useSignal<string | undefined>(undefined);
  const attempt = useAttempt(wordsForLie);
  return (
    <section>
      <h2>{words.title}</h2>
      <Check
        id="discoverable"
        label={words.label}
        checked={checked.value}
        onChecked={(wanted) => {
          attempt.run(async () => {
            await desk.keys.setDiscoverable(wanted ? 'app' : 'nobody');
            checked.value = wanted;
            note.value = words.saved;
          });
        }}
      />
      <p class="hint">{words.why}</p>
      <Problem text={attempt.problem} />
      <Note text={note.value} />
    </section>
  );
}
