import { APP_KEY, type AppFace, type AskedOfAccount } from '#lib/protocol';
import { strings } from '../strings/strings.ts';

const LINKS = ['client_uri', 'policy_uri', 'tos_uri'] as const;

/** Who asks: picture, name and links as the app is registered, and who answers for that. */
export function WhoAsks({ client, host }: { client: AppFace; host?: string }) {
  const words = strings.consent;
  const links = LINKS.flatMap((name) => {
    const href = client[name];
    return href === undefined ? [] : [{ name, href }];
  });
  return (
    <div class="app">
      {client.logo !== undefined && (
        <img class="logo" src={client.logo} alt="" width="48" height="48" />
      )}
      <div>
        <strong>{client.name}</strong>
        {host !== undefined && <span class="quiet"> ({host})</span>}
        <p class="hint">{words.by[client.by]}</p>
        {links.length > 0 && (
          <p class="hint">
            {links.map(({ name, href }) => (
              <a key={name} href={href} target="_blank" rel="noopener noreferrer">
                {words.links[name]} <span class="quiet">{words.newWindow}</span>
              </a>
            ))}
          </p>
        )}
      </div>
    </div>
  );
}

/** What the app could do, in sentences; what it could not do before is marked. */
export function Rights({ scopes, granted }: Pick<AskedOfAccount, 'scopes' | 'granted'>) {
  return (
    <ul>
      {scopes.map((scope) => (
        <li key={scope} data-scope={scope}>
          {strings.scopes[scope] ?? <code>{scope}</code>}
          {granted && !granted.scopes.includes(scope) && (
            <span class="tag">{strings.consent.isNew}</span>
          )}
        </li>
      ))}
    </ul>
  );
}

/** Everything that somebody should know before a yes. */
export function Asked({ asked }: { asked: AskedOfAccount }) {
  const words = strings.consent;
  return (
    <>
      <p>{words.mayDo}</p>
      <Rights {...asked} />
      <p>{asked.scopes.includes(APP_KEY) ? words.ownKey : words.noKey}</p>
      <p class="quiet">{words.lasts}</p>
    </>
  );
}
