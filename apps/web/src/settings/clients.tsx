import { useSignal } from '@preact/signals';
import type { AttachedClient } from '#lib/protocol';
import { connectedApps } from '../account/apps.ts';
import { attachedClients, renameDevice, signOutClient } from '../account/devices.ts';
import type { Session } from '../account/session.ts';
import { strings } from '../strings/strings.ts';
import { useAttempt, useLoaded } from '../ui/attempt.ts';
import { Link, Page, Problem } from '../ui/parts.tsx';
import { RenameForm } from '../ui/rename-form.tsx';
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
  const isRenaming = useSignal(false);
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
      {isRenaming.value && deviceId !== null ? (
        <RenameForm
          id={`name-${deviceId}`}
          words={{ label: words.newName, save: words.saveName }}
          name={name}
          rename={(to) => renameDevice(session, deviceId, to)}
          onClosed={(isRenamed) => {
            isRenaming.value = false;
            if (isRenamed) props.onChanged();
          }}
        />
      ) : (
        <div class="row">
          {deviceId !== null && (
            <button
              type="button"
              aria-label={words.renameThis(name)}
              onClick={() => (isRenaming.value = true)}
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
