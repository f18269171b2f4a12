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
