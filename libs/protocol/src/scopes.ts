/** The audience of each API that takes a bearer token: a token of one is refused by every other. */
export const audiences = {
  keys: 'urn:lockstep:keys',
  storage: 'urn:lockstep:storage',
  files: 'urn:lockstep:files',
  share: 'urn:lockstep:share',
} as const;
export type Api = keyof typeof audiences;

/** Firefox's scope for Sync. Clients that hold it share the account's Firefox store. */
export const OLD_SYNC = 'https://identity.mozilla.com/apps/oldsync';

/** Thunderbird's scope for Sync: a store and a key of its own. */
export const THUNDERBIRD_SYNC = 'https://identity.thunderbird.net/apps/sync';

/** Gives whoever redeems a code a session of its own: the browsers of phones ask for it. */
export const NEW_SESSION = 'https://identity.mozilla.com/tokens/session';

/** Asking for it, with `keys_jwk`, gives an app its kBr. */
export const APP_KEY = 'app_key';

/**
 * Each scope of the APIs, and the API that honours it. Ours are matched exactly; FxA's implication
 * rules apply to FxA's own scopes only.
 */
export const apiByScope = {
  'keys:read': 'keys',
  'keys:write': 'keys',
  'keys:discover': 'keys',
  storage: 'storage',
  'storage#read': 'storage',
  [OLD_SYNC]: 'storage',
  [`${OLD_SYNC}#read`]: 'storage',
  [THUNDERBIRD_SYNC]: 'storage',
  files: 'files',
  'files:write': 'files',
  'share:send': 'share',
} as const satisfies Record<string, Api>;
export type ApiScope = keyof typeof apiByScope;
