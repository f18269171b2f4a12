import { APP_SCOPES, type AppFields, Failure, scopesIn } from '#lib/protocol';
import type { ClientMetadata } from '../oauth/clients.service.ts';
import { checkContact, checkLink, checkRedirectUri, checkResource } from './app-address.ts';
import { checkName } from './app-name.ts';

/**
 * What a developer says of an app, as it is kept: each part is fit to be shown to people, and
 * compared letter by letter.
 *
 * @param origin - of this server
 * @throws Failure `invalid-parameter`, which begins with the name of the field
 */
export function checkFields(fields: AppFields, origin: string): Omit<ClientMetadata, 'client_id'> {
  const { application_type: type, token_endpoint_auth_method: method } = fields;
  const grants = [...new Set(fields.grant_types)];
  const takesCodes = grants.includes('authorization_code');
  if (grants.length === 0) refuse('grant_types', 'An app has a way to get tokens.');
  if (grants.join() === 'refresh_token') {
    refuse('grant_types', 'A refresh token comes from another grant.');
  }
  if (takesCodes && fields.redirect_uris.length === 0) {
    refuse('redirect_uris', 'Where are people sent back to?');
  }
  // RFC 8252 §8.5: what is installed with everybody is no secret.
  if (type === 'native' && method !== 'none') {
    refuse('token_endpoint_auth_method', 'A native app keeps no secret.');
  }
  const scopes = scopesIn(fields.scope);
  const unknown = scopes.find((scope) => !APP_SCOPES.includes(scope));
  if (unknown !== undefined) refuse('scope', `No app may ask for ${unknown}.`);
  if (scopes.length === 0) refuse('scope', 'An app asks for something.');
  const links = (['client_uri', 'policy_uri', 'tos_uri', 'backchannel_logout_uri'] as const)
    .filter((name) => fields[name] !== undefined)
    .map((name) => [name, checkLink(name, fields[name] ?? '')] as const);
  const { contacts, resources, backchannel_logout_session_required: needsSession } = fields;
  return {
    client_name: checkName(fields.client_name),
    application_type: type,
    token_endpoint_auth_method: method,
    grant_types: grants,
    response_types: takesCodes ? ['code'] : [],
    redirect_uris: unique(fields.redirect_uris).map((uri) => checkRedirectUri(uri, type, origin)),
    scope: scopes.join(' '),
    ...Object.fromEntries(links),
    ...(contacts && { contacts: unique(contacts).map(checkContact) }),
    ...(resources && { resources: unique(resources).map((uri) => checkResource(uri, origin)) }),
    ...(needsSession !== undefined && { backchannel_logout_session_required: needsSession }),
  };
}

const unique = (values: readonly string[]) => [...new Set(values)];

function refuse(field: string, why: string): never {
  throw new Failure('invalid-parameter', `${field}: ${why}`);
}
