import { z } from 'zod';

/** A space-separated list. */
const Scope = z.string().min(1).max(2048);
/** A code, or an access or refresh token. */
const Secret = z.string().min(1).max(256);
const AskedClient = z.string().max(64);
const RedirectUri = z.string().max(2048);

/** GET /.well-known/fxa-client-configuration: clients append `/v1` and the like themselves. */
export const FxaClientConfiguration = z.object({
  auth_server_base_url: z.string(),
  oauth_server_base_url: z.string(),
  profile_server_base_url: z.string(),
  sync_tokenserver_base_url: z.string(),
  pairing_server_base_uri: z.string(),
});
export type FxaClientConfiguration = z.infer<typeof FxaClientConfiguration>;

/** POST /auth/v1/oauth/authorization, with a session: the page, or a device that pairs another. */
export const AskFxaCode = z.object({
  client_id: AskedClient,
  scope: Scope,
  /** The app's own; it comes back unchanged. */
  state: z.string().min(1).max(512),
  access_type: z.enum(['online', 'offline']).optional(),
  response_type: z.string().max(64).optional(),
  redirect_uri: RedirectUri.optional(),
  code_challenge: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/)
    .optional(),
  code_challenge_method: z.literal('S256').optional(),
  /** A compact JWE with a key agreement, which has no encrypted key: `header..iv.ciphertext.tag`. */
  keys_jwe: z
    .string()
    .max(4096)
    .regex(/^[\w-]+\.\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/)
    .optional(),
  acr_values: z.string().max(256).optional(),
});
export type AskFxaCode = z.infer<typeof AskFxaCode>;

/** The answer to it. */
export const FxaCode = z.object({ redirect: z.string(), code: z.string(), state: z.string() });
export type FxaCode = z.infer<typeof FxaCode>;

/** Of every grant. A form has numbers as text. */
const common = {
  client_id: AskedClient,
  /** Seconds that the access token shall live; at most a day. */
  ttl: z.coerce.number().int().min(1).max(86_400).optional(),
};

/** The code that the account's page, or a device that pairs this one, asked for. */
export const FxaCodeGrant = z.object({
  grant_type: z.literal('authorization_code'),
  ...common,
  code: Secret,
  code_verifier: z.string().regex(/^[A-Za-z0-9._~-]{43,128}$/),
  redirect_uri: RedirectUri.optional(),
});
export type FxaCodeGrant = z.infer<typeof FxaCodeGrant>;

/** Without a `scope`, all that the refresh token has. */
export const FxaRefreshGrant = z.object({
  grant_type: z.literal('refresh_token'),
  ...common,
  refresh_token: Secret,
  scope: Scope.optional(),
});
export type FxaRefreshGrant = z.infer<typeof FxaRefreshGrant>;

/** A token for itself, with its session. */
export const FxaSessionGrant = z.object({
  grant_type: z.literal('fxa-credentials'),
  ...common,
  scope: Scope,
  /** `offline` adds a refresh token. */
  access_type: z.enum(['online', 'offline']).optional(),
});
export type FxaSessionGrant = z.infer<typeof FxaSessionGrant>;

/** More scopes than a refresh token has (RFC 8693): a new one takes its place. */
export const FxaExchangeGrant = z.object({
  grant_type: z.literal('urn:ietf:params:oauth:grant-type:token-exchange'),
  ...common,
  subject_token: Secret,
  subject_token_type: z.literal('urn:ietf:params:oauth:token-type:refresh_token'),
  scope: Scope,
});
export type FxaExchangeGrant = z.infer<typeof FxaExchangeGrant>;

/** POST /auth/v1/oauth/token, JSON or a form. Without `grant_type`, a code says which it is. */
export const AskFxaToken = z.preprocess(
  (body) =>
    typeof body === 'object' && body !== null && !('grant_type' in body)
      ? { ...body, grant_type: 'code' in body ? 'authorization_code' : 'fxa-credentials' }
      : body,
  z.discriminatedUnion('grant_type', [
    FxaCodeGrant,
    FxaRefreshGrant,
    FxaSessionGrant,
    FxaExchangeGrant,
  ]),
);
export type AskFxaToken = z.infer<typeof AskFxaToken>;

/** The answer to it. */
export const FxaToken = z.object({
  access_token: z.string(),
  token_type: z.literal('bearer'),
  scope: z.string(),
  /** Seconds. */
  expires_in: z.number().int(),
  /** When the password was given, seconds since 1970. */
  auth_at: z.number().int(),
  /** For who asked for `offline` access, and after an exchange. */
  refresh_token: z.string().optional(),
  /** Once, at the exchange of the code. */
  keys_jwe: z.string().optional(),
  /** 64 hex digits, when the scope NEW_SESSION was granted to a code. */
  session_token: z.string().optional(),
});
export type FxaToken = z.infer<typeof FxaToken>;

/** POST /auth/v1/oauth/destroy: one of the three names the token. */
export const DestroyFxaToken = z.object({
  token: z.string().max(256).optional(),
  access_token: z.string().max(256).optional(),
  refresh_token: z.string().max(256).optional(),
});
export type DestroyFxaToken = z.infer<typeof DestroyFxaToken>;

/** POST /oauth/v1/verify and /oauth/v1/introspect. */
export const AskAboutToken = z.object({ token: z.string().max(256) });
export type AskAboutToken = z.infer<typeof AskAboutToken>;

/** What a valid access token says. */
export const VerifiedToken = z.object({
  /** The account's uid. */
  user: z.string(),
  client_id: z.string(),
  scope: z.array(z.string()),
  /** When the password was set, milliseconds since 1970. */
  generation: z.number().int().optional(),
  /** When the profile changed, milliseconds since 1970. */
  profile_changed_at: z.number().int().optional(),
});
export type VerifiedToken = z.infer<typeof VerifiedToken>;

/** What an access or refresh token is. */
export const IntrospectedToken = z.object({
  active: z.boolean(),
  scope: z.string().optional(),
  client_id: z.string().optional(),
  token_type: z.enum(['access_token', 'refresh_token']).optional(),
  /** Milliseconds since 1970, as in Firefox Accounts; RFC 7662 has seconds. */
  iat: z.number().optional(),
  exp: z.number().optional(),
  /** The account's uid. */
  sub: z.string().optional(),
  /** The token's id in lists: SHA-256 of the token, base64url. */
  jti: z.string().optional(),
  'fxa-lastUsedAt': z.number().optional(),
});
export type IntrospectedToken = z.infer<typeof IntrospectedToken>;

/** GET /oauth/v1/client/:id */
export const FxaClient = z.object({
  id: z.string(),
  name: z.string(),
  trusted: z.boolean(),
  image_uri: z.string(),
  redirect_uri: z.string(),
});
export type FxaClient = z.infer<typeof FxaClient>;
