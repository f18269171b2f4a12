import { useSignal } from '@preact/signals';
import type { ConnectedApp } from '#lib/protocol';
import { hasKeys, revokeApp } from '../account/apps.ts';
import type { Session } from '../account/session.ts';
import { Rights, WhoAsks } from '../consent/asked.tsx';
import { strings } from '../strings/strings.ts';
import { useAttempt } from '../ui/attempt.ts';
import { Link, Note, Problem } from '../ui/parts.tsx';
import { when } from '../ui/when.ts';

/** The apps that somebody let in, each with what it can do and a button to take that back. */
export function ConnectedApps(props: {
  session: Session;
  apps: readonly ConnectedApp[];
  onChanged: () => void;
}) {
  const words = strings.consent.apps;
  const note = useSignal<string | undefined>(undefined);
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{props.apps.length === 0 ? words.none : words.intro}</p>
      <Note text={note.value} />
      <ul class="list">
        {props.apps.map((app) => (
          <AppItem
            key={app.client.client_id}
            session={props.session}
            app={app}
            onRevoked={() => {
              const { name } = app.client;
              note.value = [words.revoked(name), hasKeys(app) && words.keyStayed(name)]
                .filter(Boolean)
                .join(' ');
              props.onChanged();
            }}
          />
        ))}
      </ul>
    </section>
  );
}

function AppItem(props: { session: Session; app: ConnectedApp; onRevoked: () => void }) {
  const words = strings.consent.apps;
  const { client, scopes, first_at: first, last_at: last } = props.app;
  const attempt = useAttempt();
  const facts = [words.since(when(first)), last === null ? words.unused : words.used(when(last))];
  return (
    <li data-app={client.client_id}>
      <WhoAsks client={client} />
      <span class="quiet">{facts.join(' · ')}</span>
      <details>
        <summary>{words.can}</summary>
        <Rights scopes={scopes} />
      </details>
      {hasKeys(props.app) && (
        <p class="quiet">
          {words.keyStays}{' '}
          <Link to={`/settings/keys/${client.client_id}`}>{words.keys(client.name)}</Link>
        </p>
      )}
      <Problem text={attempt.problem} />
      <div class="row">
        <button
          type="button"
          class="danger"
          aria-label={words.revokeThis(client.name)}
          aria-disabled={attempt.busy}
          onClick={() => {
            attempt.run(async () => {
              await revokeApp(props.session, client.client_id);
              props.onRevoked();
            });
          }}
        >
          {words.revoke}
        </button>
      </div>
    </li>
  );
}
