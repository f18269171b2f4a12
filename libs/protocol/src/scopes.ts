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

/** What a scope lets an app do, in words for the consent page and the documents. */
export const scopeMeanings: Record<ApiScope | 'openid' | 'profile' | typeof APP_KEY, string> = {
  openid: 'know that it is you',
  profile: 'see your e-mail address and display name',
  [APP_KEY]: 'receive its own encryption key, and no other',
  'keys:read': 'read your own keys of this app',
  'keys:write': 'publish your keys of this app',
  'keys:discover': 'look up the public keys of other people in this app',
  storage: 'read and write its own synced records',
  'storage#read': 'read its own synced records',
  [OLD_SYNC]: 'read and write your Firefox data',
  [`${OLD_SYNC}#read`]: 'read your Firefox data',
  [THUNDERBIRD_SYNC]: 'read and write your Thunderbird data',
  files: 'read its own encrypted files and files shared with you',
  'files:write': 'store, share and delete its own encrypted files',
  'share:send': 'leave encrypted messages for other people in this app',
};
