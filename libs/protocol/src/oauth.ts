import { z } from 'zod';

/** GET /oauth2/interaction/:id/details: what the page shows and derives keys from. */
export const InteractionDetails = z.object({
  uid: z.string(),
  client: z.object({ client_id: z.string(), name: z.string() }),
  /** Where the answer goes: one of the addresses that the operator registered for the app. */
  redirect_uri: z.string(),
  scopes: z.array(z.string()),
  /** The app's ephemeral public key, base64url of a JWK, when it asks for keys. */
  keys_jwk: z.string().optional(),
});
export type InteractionDetails = z.infer<typeof InteractionDetails>;

/** POST /oauth2/interaction/:id/finish, with the session's authentication. */
export const FinishInteraction = z.object({
  consent: z.boolean(),
  keys_jwe: z.string().max(4096).optional(),
});
export type FinishInteraction = z.infer<typeof FinishInteraction>;
export const InteractionFinished = z.object({ redirect: z.string() });
export type InteractionFinished = z.infer<typeof InteractionFinished>;

/** POST /oauth2/token (RFC 6749 §5.1), with `keys_jwe` once, at the exchange of the code. */
export const TokenAnswer = z.object({
  access_token: z.string(),
  token_type: z.string(),
  expires_in: z.number(),
  scope: z.string().default(''),
  refresh_token: z.string().optional(),
  id_token: z.string().optional(),
  keys_jwe: z.string().optional(),
});
export type TokenAnswer = z.infer<typeof TokenAnswer>;

/** POST /auth/v1/oauth/token: Firefox gets a token for itself, with its session. */
export const AskFxaToken = z.object({
  grant_type: z.literal('fxa-credentials'),
  client_id: z.string().max(64),
  scope: z.string().min(1).max(2048),
  /** Seconds; at most a day. */
  ttl: z.number().int().min(1).max(86_400).optional(),
});
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
});
export type FxaToken = z.infer<typeof FxaToken>;

/** POST /auth/v1/oauth/destroy: one of the three names the token. */
export const DestroyFxaToken = z.object({
  token: z.string().max(256).optional(),
  access_token: z.string().max(256).optional(),
  refresh_token: z.string().max(256).optional(),
});
export type DestroyFxaToken = z.infer<typeof DestroyFxaToken>;
