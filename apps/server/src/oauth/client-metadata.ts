/** What the server knows of an app, in the words of OpenID Connect Dynamic Client Registration. */
export interface ClientMetadata {
  client_id: string;
  client_name: string;
  application_type: 'native' | 'web';
  token_endpoint_auth_method: 'none';
  grant_types: string[];
  response_types: 'code'[];
  redirect_uris: string[];
  /** Every scope the app may ask for, separated by spaces. */
  scope: string;
  /**
   * A browser that signs in to the whole account: it asks for tokens with the account's session,
   * without a page, and keeps its refresh token. No app of others is one.
   */
  trusted?: boolean;
}
