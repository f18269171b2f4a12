import { useSignal } from '@preact/signals';
import type { ConnectedApp } from '#lib/protocol';
import { connectedApps, hasKeys } from '../account/apps.ts';
import type { Session } from '../account/session.ts';
import { WhoAsks } from '../consent/asked.tsx';
import { useProof } from '../pages/prove-again.tsx';
import { strings } from '../strings/strings.ts';
import { useLoaded } from '../ui/attempt.ts';
import { Link, Page, Problem } from '../ui/parts.tsx';
import { PasswordForm } from '../ui/password-form.tsx';
import { type Desk, openDesk } from './desk.ts';
import { DeskPage } from './desk-page.tsx';
import { wordsForLie } from './lies.ts';

/** `/settings/keys`: the apps in which somebody has keys. */
export function KeysOfApps({ session }: { session: Session }) {
  const words = strings.keys;
  const apps = useLoaded(() => connectedApps(session));
  const found = apps.value?.filter(hasKeys);
  return (
    <Page name="keys" title={words.title} wide>
      <p>{found?.length === 0 ? words.none : words.intro}</p>
      <Problem text={apps.problem} />
      <ul class="list">
        {found?.map(({ client }) => (
          <li key={client.client_id} data-app={client.client_id}>
            <WhoAsks client={client} />
            <Link to={`/settings/keys/${client.client_id}`} class="button">
              {words.openThis(client.name)}
            </Link>
          </li>
        ))}
      </ul>
      <Link to="/settings">{strings.back}</Link>
    </Page>
  );
}

/** `/settings/keys/:client_id`: the keys of one app, once the password was given. */
export function KeysOfApp({ session, clientId }: { session: Session; clientId: string }) {
  const apps = useLoaded(() => connectedApps(session));
  const desk = useSignal<Desk | undefined>(undefined);
  const proof = useProof(session);
  const app = apps.value?.find(({ client }) => client.client_id === clientId);
  if (desk.value && app) {
    const isHidden = proof.page !== undefined;
    return (
      <>
        <DeskPage desk={desk.value} app={app} isHidden={isHidden} />
        {proof.page}
      </>
    );
  }
  if (proof.page !== undefined) return <>{proof.page}</>;
  if (!app) {
    const text = apps.value ? strings.keys.none : undefined;
    return (
      <Page name="keys-of-app" title={strings.keys.title}>
        <Problem text={apps.problem ?? text} />
        <Link to="/settings/keys">{strings.back}</Link>
      </Page>
    );
  }
  return (
    <AskPassword
      session={session}
      app={app}
      open={async (password) => {
        desk.value = await proof.around(() => openDesk(session, { app, password, proof }));
      }}
    />
  );
}

function AskPassword(props: {
  session: Session;
  app: ConnectedApp;
  open: (password: string) => Promise<void>;
}) {
  const words = strings.keys.password;
  return (
    <Page name="keys-password" title={words.title(props.app.client.name)}>
      <p>{words.why}</p>
      <PasswordForm
        session={props.session}
        button={{ id: 'open-keys', label: words.open }}
        onPassword={props.open}
        explain={wordsForLie}
      />
      <p class="hint">
        <Link to="/settings/keys">{strings.back}</Link>
      </p>
    </Page>
  );
}
