import { APP_KEY, type App, type AppFields, DEVICE_GRANT, scopesIn } from '#lib/protocol';

/** What is typed and ticked about an app. Lists have an item on each line. */
export interface Draft {
  name: string;
  type: 'web' | 'native';
  addresses: string;
  scopes: readonly string[];
  device: boolean;
  secret: boolean;
  homepage: string;
  policy: string;
  terms: string;
  contacts: string;
  resources: string;
  logout: string;
}

/** An app that nothing is said of yet. */
export const EMPTY: Draft = {
  name: '',
  type: 'web',
  addresses: '',
  scopes: ['openid', 'profile', 'offline_access', APP_KEY, 'storage'],
  device: false,
  secret: false,
  ...{ homepage: '', policy: '', terms: '', contacts: '', resources: '', logout: '' },
};

/** What is said of an app already. */
export const draftOf = (app: App): Draft => ({
  name: app.client_name,
  type: app.application_type,
  addresses: app.redirect_uris.join('\n'),
  scopes: scopesIn(app.scope),
  device: app.grant_types.includes(DEVICE_GRANT),
  secret: app.token_endpoint_auth_method !== 'none',
  homepage: app.client_uri ?? '',
  policy: app.policy_uri ?? '',
  terms: app.tos_uri ?? '',
  contacts: app.contacts?.join('\n') ?? '',
  resources: app.resources?.join('\n') ?? '',
  logout: app.backchannel_logout_uri ?? '',
});

/**
 * The same in the words of RFC 7591.
 *
 * @param before - the app that is changed: what no page shows of it stays
 */
export function fieldsOf(draft: Draft, before?: App): AppFields {
  const addresses = linesOf(draft.addresses);
  const grants: AppFields['grant_types'] = ['refresh_token'];
  // Without an address to come back to, the device grant alone is left.
  if (addresses.length > 0 || !draft.device) grants.unshift('authorization_code');
  if (draft.device) grants.push(DEVICE_GRANT);
  const method = before?.token_endpoint_auth_method ?? 'none';
  const needsSession = before?.backchannel_logout_session_required;
  return {
    client_name: draft.name.trim(),
    application_type: draft.type,
    redirect_uris: addresses,
    grant_types: grants,
    scope: draft.scopes.join(' '),
    token_endpoint_auth_method: !draft.secret
      ? 'none'
      : method === 'none'
        ? 'client_secret_basic'
        : method,
    ...link('client_uri', draft.homepage),
    ...link('policy_uri', draft.policy),
    ...link('tos_uri', draft.terms),
    ...link('backchannel_logout_uri', draft.logout),
    ...list('contacts', draft.contacts),
    ...list('resources', draft.resources),
    ...(needsSession !== undefined && { backchannel_logout_session_required: needsSession }),
  };
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

const link = (name: string, text: string) => (text.trim() === '' ? {} : { [name]: text.trim() });

function list(name: string, text: string) {
  const lines = linesOf(text);
  return lines.length === 0 ? {} : { [name]: lines };
}
