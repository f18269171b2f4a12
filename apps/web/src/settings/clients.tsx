import { useSignal } from '@preact/signals';
import type { AttachedClient } from '#lib/protocol';
import { connectedApps } from '../account/apps.ts';
import { attachedClients, renameDevice, signOutClient } from '../account/devices.ts';
import type { Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Field, Form, Link, Page, Problem } from '../ui/parts.tsx';
import { when } from '../ui/when.ts';
import { ConnectedApps } from './connected-apps.tsx';

/** `/settings/clients`: what is signed in, by name, to be renamed or signed out, and the apps that were let in. */
export function Clients({ session }: { session: Session }) {
  const words = strings.settings.clients;
  const clients = useLoaded(() => attachedClients(session));
  const apps = useLoaded(() => connectedApps(session));
  const isApp = ({ clientId }: AttachedClient) =>
    apps.value?.some(({ client }) => client.client_id === clientId) === true;
  return (
    <Page name="clients" title={words.title} wide>
      <p>{words.intro}</p>
      <Problem text={clients.problem} />
      <ul class="list">
        {clients.value
          // An app stands below, once, on however many devices it is.
          ?.filter((client) => apps.value !== undefined && !isApp(client))
          .sort((a, b) => b.lastAccessTime - a.lastAccessTime)
          .map((client) => (
            <ClientItem
              key={client.deviceId ?? client.refreshTokenId ?? client.sessionTokenId}
              session={session}
              client={client}
              onChanged={clients.reload}
            />
          ))}
      </ul>
      <Problem text={apps.problem} />
      {apps.value && (
        <ConnectedApps
          session={session}
          apps={apps.value}
          onChanged={() => {
            apps.reload();
            clients.reload();
          }}
        />
      )}
      <Link to="/settings">{strings.back}</Link>
    </Page>
  );
}

function ClientItem(props: { session: Session; client: AttachedClient; onChanged: () => void }) {
  const words = strings.settings.clients;
  const { session, client } = props;
  const { deviceId, isCurrentSession } = client;
  const name = client.name ?? (client.userAgent === '' ? words.unnamed : client.userAgent);
  const typed = useSignal<string | undefined>(undefined);
  const attempt = useAttempt();
  const facts = [
    client.deviceType && words.types[client.deviceType],
    client.os,
    words.used(when(client.lastAccessTime)),
  ];
  return (
    <li data-client={name}>
      <strong>
        {name}
        {isCurrentSession && <span class="tag">{words.current}</span>}
      </strong>
      <span class="quiet">{facts.filter(Boolean).join(' · ')}</span>
      <Problem text={attempt.problem} />
      {typed.value !== undefined && deviceId !== null ? (
        <Form
          onSubmit={() => {
            attempt.run(async () => {
              await renameDevice(session, deviceId, typed.peek()?.trim() ?? '');
              typed.value = undefined;
              props.onChanged();
            });
          }}
        >
          <Field
            id={`name-${deviceId}`}
            label={words.newName}
            value={typed.value}
            onValue={(value) => (typed.value = value)}
            autofocus
          />
          <div class="row">
            <button type="submit" class="main" aria-disabled={attempt.busy}>
              {words.saveName}
            </button>
            <button type="button" onClick={() => (typed.value = undefined)}>
              {strings.cancel}
            </button>
          </div>
        </Form>
      ) : (
        <div class="row">
          {deviceId !== null && (
            <button
              type="button"
              aria-label={words.renameThis(name)}
              onClick={() => (typed.value = name)}
            >
              {words.rename}
            </button>
          )}
          {!isCurrentSession && (
            <button
              type="button"
              class="danger"
              aria-label={words.signOutThis(name)}
              aria-disabled={attempt.busy}
              onClick={() => {
                attempt.run(async () => {
                  await signOutClient(session, client);
                  props.onChanged();
                });
              }}
            >
              {words.signOut}
            </button>
          )}
        </div>
      )}
    </li>
  );
}
