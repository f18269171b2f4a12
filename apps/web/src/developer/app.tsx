import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { App, AppWithSecret } from '#lib/protocol';
import { drawAvatar } from '../account/profile.ts';
import type { Session } from '../account/session.ts';
import { type Proof, useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useLoaded } from '../ui/attempt.ts';
import { Link, Page, PictureField, Problem } from '../ui/parts.tsx';
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
  return (
    <>
      <Page name="new-app" title={words.register} wide isHidden={proof.page !== undefined}>
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
      {proof.page}
    </>
  );
}

/** What every part of the page of an app needs. */
interface Part {
  session: Session;
  app: App;
  proof: Proof;
  onChanged: () => void;
}

/** `/apps/app/<client_id>`: what is said of an app, its secret, its picture, its end. */
export function OneApp({ session, id }: { session: Session; id: string }) {
  const words = strings.apps;
  const found = useLoaded(() => showApp(session, id));
  const app = found.value;
  const proof = useProof(session);
  const secret = shown.get(id);
  useEffect(
    () => () => {
      shown.delete(id);
    },
    [],
  );
  if (!app) {
    return (
      <Page name="app" title={words.title} wide>
        <Problem text={found.problem && words.gone} />
        <Back />
      </Page>
    );
  }
  const part: Part = { session, app, proof, onChanged: found.reload };
  return (
    <>
      <Page name="app" title={app.client_name} wide isHidden={proof.page !== undefined}>
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
            <Said {...part} />
            {app.secrets > 0 && <Secret {...part} />}
            <Logo {...part} />
            <Remove {...part} />
          </>
        )}
        <Back />
      </Page>
      {proof.page}
    </>
  );
}

function Said({ session, app, proof, onChanged }: Part) {
  const words = strings.apps;
  const change = useChange();
  const note = useSignal<string | undefined>(undefined);
  return (
    <AppForm
      app={app}
      change={change}
      note={change.busy || change.problem !== undefined ? undefined : note.value}
      button={words.save}
      save={async (fields) => {
        note.value = undefined;
        keep(await proof.around(() => changeApp(session, app.client_id, fields)));
        note.value = words.saved;
        onChanged();
      }}
    />
  );
}

function Secret({ session, app, proof, onChanged }: Part) {
  const words = strings.apps.secret;
  const change = useChange();
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{words.count(app.secrets)}</p>
      <Problem text={change.problem} />
      {[false, true].map((now) => (
        <button
          key={String(now)}
          id={now ? 'rotate-now' : 'rotate'}
          type="button"
          aria-disabled={change.busy}
          onClick={() => {
            change.run(async () => {
              keep(await proof.around(() => rotateSecret(session, app.client_id, now)));
              window.scrollTo(0, 0);
              onChanged();
            });
          }}
        >
          {now ? words.rotateNow : words.rotate}
        </button>
      ))}
    </section>
  );
}

function Logo({ session, app, proof, onChanged }: Part) {
  const words = strings.apps.picture;
  const change = useChange();
  return (
    <section>
      <h2>{words.title}</h2>
      <Picture app={app} />
      <PictureField
        id="logo"
        label={words.file}
        onPick={(file) => {
          change.run(async () => {
            const png = await drawAvatar(file).catch(() => undefined);
            if (!png) {
              change.refuse(words.none);
              return;
            }
            await proof.around(() => setLogo(session, app.client_id, png));
            onChanged();
          });
        }}
      />
      <Problem text={change.problem} />
      {app.logo !== undefined && (
        <button
          type="button"
          aria-disabled={change.busy}
          onClick={() => {
            change.run(async () => {
              await proof.around(() => removeLogo(session, app.client_id));
              onChanged();
            });
          }}
        >
          {words.remove}
        </button>
      )}
    </section>
  );
}

function Remove({ session, app, proof }: Part) {
  const words = strings.apps.remove;
  const isSure = useSignal(false);
  const change = useChange();
  return (
    <section>
      <h2>{words.title}</h2>
      <p>{words.warning}</p>
      <Problem text={change.problem} />
      {isSure.value ? (
        <div class="row">
          <button
            id="remove-app"
            type="button"
            class="danger"
            aria-disabled={change.busy}
            onClick={() => {
              change.run(async () => {
                await proof.around(() => removeApp(session, app.client_id));
                goTo('/apps');
              });
            }}
          >
            {words.sure(app.client_name)}
          </button>
          <button type="button" onClick={() => (isSure.value = false)}>
            {strings.cancel}
          </button>
        </div>
      ) : (
        <button id="remove" type="button" class="danger" onClick={() => (isSure.value = true)}>
          {words.button}
        </button>
      )}
    </section>
  );
}

const Back = () => (
  <p class="hint">
    <Link to="/apps">{strings.apps.all}</Link>
  </p>
);
