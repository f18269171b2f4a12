import type { App } from '#lib/protocol';
import type { Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { useLoaded } from '../ui/attempt.ts';
import { Link, Page, Problem } from '../ui/parts.tsx';
import { listApps } from './calls.ts';

/** `/apps`: the apps of a developer; of an operator, all. */
export function Apps({ session }: { session: Session }) {
  const words = strings.apps;
  const list = useLoaded(() => listApps(session));
  const { apps = [], may_register: mayRegister, is_operator: isOperator } = list.value ?? {};
  return (
    <Page name="apps" title={words.title} wide>
      <p>{isOperator === true ? words.operator : words.summary}</p>
      <Problem text={list.problem} />
      {list.value && apps.length === 0 && <p>{words.none}</p>}
      {mayRegister === false && <p>{words.closed}</p>}
      <ul class="list">
        {apps.map((app) => (
          <li key={app.client_id} data-app={app.client_id}>
            <div class="profile">
              <Picture app={app} />
              <span>
                <strong>{app.client_name}</strong>
                <span class="quiet">
                  {[words.people(app.users), isOperator === true && ownerOf(app)]
                    .filter(Boolean)
                    .join(' · ')}
                </span>
              </span>
            </div>
            <div class="row">
              <Link to={`/apps/app/${encodeURIComponent(app.client_id)}`} class="button">
                {words.showThis(app.client_name)}
              </Link>
            </div>
          </li>
        ))}
      </ul>
      {mayRegister === true && (
        <Link to="/apps/new" class="button">
          {words.register}
        </Link>
      )}
      <p class="hint">
        <Link to="/settings">{strings.back}</Link>
      </p>
    </Page>
  );
}

/** Whose an app is, in words. */
export function ownerOf(app: App): string {
  if (app.built_in) return strings.apps.builtIn;
  return app.owner ? strings.apps.by(app.owner.email ?? app.owner.uid) : strings.apps.byOperator;
}

/** The picture of an app, if it has one. */
export function Picture({ app }: { app: App }) {
  return app.logo === undefined ? null : (
    <img
      class="avatar"
      src={app.logo}
      alt={strings.apps.picture.of(app.client_name)}
      width="48"
      height="48"
    />
  );
}
