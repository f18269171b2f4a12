import { z } from 'zod';
import { ClientId } from './text.ts';

/** How an app shows itself to a person who is asked to let it in: what it was registered with. */
export const AppFace = z.object({
  client_id: z.string(),
  name: z.string(),
  /** Path of its picture at this server. */
  logo: z.string().optional(),
  /** Pages of the app, https alone. */
  client_uri: z.string().optional(),
  policy_uri: z.string().optional(),
  tos_uri: z.string().optional(),
  /** Who answers for it. */
  by: z.enum(['built-in', 'operator', 'developer']),
});
export type AppFace = z.infer<typeof AppFace>;

/** What an app asks an account for, whichever way it asks. */
const AskedOfAccount = z.object({
  /** Names this request; the answer is for it and no other. */
  uid: z.string(),
  client: AppFace,
  scopes: z.array(z.string()),
  /** The app's ephemeral public key, base64url of a JWK, when it asks for keys. */
  keys_jwk: z.string().optional(),
  /** What the session's account let the app do before, and when it last said so (ms since 1970). */
  granted: z.object({ scopes: z.array(z.string()), at: z.number().int() }).optional(),
});
export type AskedOfAccount = z.infer<typeof AskedOfAccount>;

/** GET /oauth2/interaction/:id/details, with or without a session: what the page shows and derives keys from. */
export const InteractionDetails = AskedOfAccount.extend({
  /** Where the answer goes: one of the addresses that the app is registered with. */
  redirect_uri: z.string(),
  /** The password must be given once more: a session from before the request will not do. */
  fresh: z.boolean(),
});
export type InteractionDetails = z.infer<typeof InteractionDetails>;

/** POST /oauth2/interaction/:id/finish, with the session's authentication. */
export const FinishInteraction = z.object({
  consent: z.boolean(),
  keys_jwe: z.string().max(4096).optional(),
  /** The session was made for this answer alone, and ends with what it granted. */
  own_session: z.boolean().optional(),
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

/** POST /oauth2/device_authorization (RFC 8628 §3.2). */
export const DeviceAuthorization = z.object({
  device_code: z.string(),
  /** A person is shown it: letters and digits, with dashes between. */
  user_code: z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
  verification_uri: z.string(),
  verification_uri_complete: z.string(),
  /** Seconds. */
  expires_in: z.number(),
  interval: z.number().default(5),
});
export type DeviceAuthorization = z.infer<typeof DeviceAuthorization>;

/** As somebody types what a device shows: small letters, spaces and dashes make no difference. */
const UserCode = z.string().min(1).max(64);

/** POST /oauth2/device/details, with or without a session. */
export const AskDeviceDetails = z.object({ user_code: UserCode });
export type AskDeviceDetails = z.infer<typeof AskDeviceDetails>;

export const DeviceDetails = AskedOfAccount.extend({
  /** `BCDF-GHJK`, as the device shows it. */
  user_code: z.string(),
  /** Seconds. */
  expires_in: z.number().int(),
  device: z.object({
    /** `Firefox on Linux`; what it says of itself. */
    program: z.string(),
    /** Whether it asked from where this question comes from. */
    same_network: z.boolean(),
  }),
});
export type DeviceDetails = z.infer<typeof DeviceDetails>;

/** POST /oauth2/device/finish: `uid` is that of the details. A refusal needs no session. */
export const FinishDevice = FinishInteraction.extend({ user_code: UserCode, uid: z.string() });
export type FinishDevice = z.infer<typeof FinishDevice>;

/** GET /auth/v1/account/connected_apps: an app that the account let in, and did not revoke since. */
export const ConnectedApp = z.object({
  client: AppFace,
  scopes: z.array(z.string()),
  /** When it was first let in; milliseconds since 1970. */
  first_at: z.number().int(),
  /** When it last used what it was given, late by ten minutes at most; null for not yet. */
  last_at: z.number().int().nullable(),
});
export type ConnectedApp = z.infer<typeof ConnectedApp>;

/** POST /auth/v1/account/connected_apps/revoke */
export const RevokeApp = z.object({ client_id: ClientId });
export type RevokeApp = z.infer<typeof RevokeApp>;

/** POST /auth/v1/account/connected_apps/token: a token as a connected app has it, for the account's pages. */
export const AskPageToken = z.object({ client_id: ClientId, api: z.enum(['keys', 'storage']) });
export type AskPageToken = z.infer<typeof AskPageToken>;
export const PageToken = z.object({
  access_token: z.string(),
  /** Seconds. */
  expires_in: z.number().int(),
  /** Separated by spaces. */
  scope: z.string(),
});
export type PageToken = z.infer<typeof PageToken>;
