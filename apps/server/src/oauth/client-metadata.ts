/** How an app proves at the token endpoint that it is itself. */
export type AuthMethod = 'none' | 'client_secret_basic' | 'client_secret_post';

/**
 * What the server knows of an app, in the words of RFC 7591 and OpenID Connect Dynamic Client
 * Registration. The secret is not in it, nor is the picture.
 */
export interface ClientMetadata {
  client_id: string;
  client_name: string;
  application_type: 'native' | 'web';
  token_endpoint_auth_method: AuthMethod;
  grant_types: string[];
  response_types: 'code'[];
  redirect_uris: string[];
  /** Every scope the app may ask for, separated by spaces. */
  scope: string;
  /** Pages of the app, https alone. */
  client_uri?: string;
  policy_uri?: string;
  tos_uri?: string;
  /** Mail addresses, for the operator. */
  contacts?: string[];
  /** APIs of its own, as absolute URIs: it may ask for tokens for them. */
  resources?: string[];
  backchannel_logout_uri?: string;
  backchannel_logout_session_required?: boolean;
  /**
   * A browser that signs in to the whole account: it asks for tokens with the account's session,
   * without a page, and keeps its refresh token. No app of others is one.
   */
  trusted?: boolean;
}
