import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { App, AppWithSecret } from '#lib/protocol';
import { drawAvatar } from '../account/profile.ts';
import type { Session } from '../account/session.ts';
import { useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useLoaded } from '../ui/attempt.ts';
import { Link, Page, Problem } from '../ui/parts.tsx';
import { goTo } from '../ui/route.ts';
import { AppForm } from './app-form.tsx';
import { ownerOf, Picture } from './apps.tsx';
import {
  changeApp,
  registerApp,
  removeApp,
  removeLogo,
  rotateSecret,
  setLogo,
  showApp,
} from './calls.ts';
import { useChange } from './change.ts';

/** A secret that was just made, by its app: it goes with the page that shows it. */
const shown = new Map<string, string>();
const keep = ({ app, client_secret: secret }: AppWithSecret) => {
  if (secret !== undefined) shown.set(app.client_id, secret);
};
const pathOf = ({ client_id: id }: App) => `/apps/app/${encodeURIComponent(id)}`;

/** `/apps/new` */
export function NewApp({ session }: { session: Session }) {
  const words = strings.apps;
  const change = useChange();
  const proof = useProof(session);
  if (proof.page) return <>{proof.page}</>;
  return (
    <Page name="new-app" title={words.register} wide>
      <AppForm
        change={change}
        button={words.register}
        save={async (fields) => {
          const made = await proof.around(() => registerApp(session, fields));
          keep(made);
          goTo(pathOf(made.app));
        }}
      />
      <Back />
    </Page>
  );
}

/** `/apps/app/<client_id>`: what is said of an app, its secret, its picture, its end. */
export function OneApp({ session, id }: { session: Session; id: string }) {
  const words = strings.apps;
  const found = useLoaded(() => showApp(session, id));
  const app = found.value;
  const saving = useChange();
  const change = useChange();
  const proof = useProof(session);
  const note = useSignal<string | undefined>(undefined);
  const isSure = useSignal(false);
  const secret = shown.get(id);
  useEffect(
    () => () => {
      shown.delete(id);
    },
    [],
  );
  const after = (work: () => Promise<unknown>) => () => {
    change.run(async () => {
      await work();
      found.reload();
    });
  };
  if (proof.page) return <>{proof.page}</>;
  if (!app) {
    return (
      <Page name="app" title={words.title} wide>
        <Problem text={found.problem && words.gone} />
        <Back />
      </Page>
    );
  }
  return (
    <Page name="app" title={app.client_name} wide>
      <p class="quiet">{[words.people(app.users), ownerOf(app)].join(' · ')}</p>
      <p>
        {words.id}: <code id="client-id">{app.client_id}</code>
      </p>
      {secret !== undefined && (
        <div role="status">
          <p>{words.secret.made}</p>
          <p class="key" id="client-secret">
            {secret}
          </p>
        </div>
      )}
      {app.built_in ? (
        <p>{words.fixed}</p>
      ) : (
        <>
          <AppForm
            app={app}
            change={saving}
            note={saving.busy || saving.problem !== undefined ? undefined : note.value}
            button={words.save}
            save={async (fields) => {
              note.value = undefined;
              keep(await proof.around(() => changeApp(session, id, fields)));
              note.value = words.saved;
              found.reload();
            }}
          />
          <Problem text={change.problem} />
          {app.secrets > 0 && (
            <section>
              <h2>{words.secret.title}</h2>
              <p>{words.secret.count(app.secrets)}</p>
              {[false, true].map((now) => (
                <button
                  key={String(now)}
                  id={now ? 'rotate-now' : 'rotate'}
                  type="button"
                  onClick={after(async () => {
                    keep(await proof.around(() => rotateSecret(session, id, now)));
                    window.scrollTo(0, 0);
                  })}
                >
                  {now ? words.secret.rotateNow : words.secret.rotate}
                </button>
              ))}
            </section>
          )}
          <section>
            <h2>{words.picture.title}</h2>
            <Picture app={app} />
            <div class="field">
              <label for="logo">{words.picture.file}</label>
              <input
                id="logo"
                type="file"
                accept="image/*"
                onChange={(event) => {
                  const file = event.currentTarget.files?.[0];
                  if (!file) return;
                  change.run(async () => {
                    const png = await drawAvatar(file).catch(() => undefined);
                    if (!png) {
                      change.refuse(words.picture.none);
                      return;
                    }
                    await proof.around(() => setLogo(session, id, png));
                    found.reload();
                  });
                }}
              />
            </div>
            {app.logo !== undefined && (
              <button
                type="button"
                onClick={after(() => proof.around(() => removeLogo(session, id)))}
              >
                {words.picture.remove}
              </button>
            )}
          </section>
          <section>
            <h2>{words.remove.title}</h2>
            <p>{words.remove.warning}</p>
            {isSure.value ? (
              <div class="row">
                <button
                  id="remove-app"
                  type="button"
                  class="danger"
                  onClick={() => {
                    change.run(async () => {
                      await proof.around(() => removeApp(session, id));
                      goTo('/apps');
                    });
                  }}
                >
                  {words.remove.sure(app.client_name)}
                </button>
                <button type="button" onClick={() => (isSure.value = false)}>
                  {strings.cancel}
                </button>
              </div>
            ) : (
              <button
                id="remove"
                type="button"
                class="danger"
                onClick={() => (isSure.value = true)}
              >
                {words.remove.button}
              </button>
            )}
          </section>
        </>
      )}
      <Back />
    </Page>
  );
}

const Back = () => (
  <p class="hint">
    <Link to="/apps">{strings.apps.all}</Link>
  </p>
);
