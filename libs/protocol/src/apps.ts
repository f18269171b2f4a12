import { z } from 'zod';
import { APP_KEY, apiByScope } from './scopes.ts';

/** The device grant's name (RFC 8628). */
export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

/** Scopes that an app may be allowed: none of a browser that signs in to the whole account. */
export const APP_SCOPES: readonly string[] = [
  ...['openid', 'profile', 'offline_access', APP_KEY],
  ...Object.keys(apiByScope).filter((scope) => !scope.startsWith('https:')),
];

const Uri = z.string().max(2000);

/**
 * What a developer says of an app, in the words of RFC 7591: POST and PUT below /apps/v1/apps. Anything
 * else is refused, so that nobody makes himself trusted. What is said of names and addresses beyond
 * this is in docs/apps.md.
 */
export const AppFields = z.strictObject({
  client_name: z.string().max(256),
  application_type: z.enum(['web', 'native']).default('web'),
  redirect_uris: z.array(Uri).max(20).default([]),
  grant_types: z
    .array(z.enum(['authorization_code', 'refresh_token', DEVICE_GRANT]))
    .max(3)
    .default(['authorization_code', 'refresh_token']),
  /** Separated by spaces. */
  scope: z.string().max(1000).default('openid profile offline_access'),
  token_endpoint_auth_method: z
    .enum(['none', 'client_secret_basic', 'client_secret_post'])
    .default('none'),
  client_uri: Uri.optional(),
  policy_uri: Uri.optional(),
  tos_uri: Uri.optional(),
  contacts: z.array(z.string().max(254)).max(5).optional(),
  resources: z.array(Uri).max(10).optional(),
  backchannel_logout_uri: Uri.optional(),
  backchannel_logout_session_required: z.boolean().optional(),
});
export type AppFields = z.infer<typeof AppFields>;

/** An app, as its developer and the operator see it. No secret is in it. */
export const App = z.object({
  ...AppFields.shape,
  // One that was written by hand may have others.
  grant_types: z.array(z.string()),
  client_id: z.string(),
  /** Path of its picture. */
  logo: z.string().optional(),
  /** How many secrets are good: 2 for a day after one was replaced. */
  secrets: z.number(),
  /** Whose it is; null: the operator's. */
  owner: z.object({ uid: z.string(), email: z.string().nullable() }).nullable(),
  /** Comes with the server, which allows no change here. */
  built_in: z.boolean(),
  /** Accounts that have let it in. */
  users: z.number(),
  /** ISO 8601 */
  created_at: z.string(),
  changed_at: z.string(),
});
export type App = z.infer<typeof App>;

/** GET /apps/v1/apps */
export const AppList = z.object({
  apps: z.array(App),
  /** Whether this account may register one. */
  may_register: z.boolean(),
  /** Whether this account looks after every app of the server. */
  is_operator: z.boolean(),
});
export type AppList = z.infer<typeof AppList>;

/** The answer to whatever made a secret: it is shown this once. */
export const AppWithSecret = z.object({ app: App, client_secret: z.string().optional() });
export type AppWithSecret = z.infer<typeof AppWithSecret>;

/** POST /apps/v1/apps/:id/secret */
export const RotateSecret = z.strictObject({
  /** The secret before ends at once, and not in a day: for one that leaked. */
  now: z.boolean().default(false),
});
export type RotateSecret = z.infer<typeof RotateSecret>;
