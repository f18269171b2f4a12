import {
  apiByScope,
  APP_KEY,
  DEVICE_GRANT,
  NEW_SESSION,
  OLD_SYNC,
  THUNDERBIRD_SYNC,
} from '#lib/protocol';
import type { ClientMetadata } from './client-metadata.ts';

const publicApp = {
  application_type: 'native',
  token_endpoint_auth_method: 'none',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
} as const;

/** Firefox's page hands the code over to the browser it is shown in. */
const WEB_CHANNEL = 'urn:ietf:wg:oauth:2.0:oob:oauth-redirect-webchannel';
const OUT_OF_BAND = 'urn:ietf:wg:oauth:2.0:oob';

const browser = (id: string, name: string, scope: string, redirectUri = WEB_CHANNEL) => ({
  ...publicApp,
  grant_types: [...publicApp.grant_types],
  response_types: ['code' as const],
  client_id: id,
  client_name: name,
  redirect_uris: [redirectUri],
  scope: `offline_access ${scope}`,
  trusted: true,
});

const phone = `profile ${OLD_SYNC} ${NEW_SESSION}`;

/** Each scope of our own APIs: not of a browser that signs in to the whole account. */
const ownScopes = Object.keys(apiByScope).filter((scope) => !scope.startsWith('https:'));

/** There from the first boot (accounts.md §7). A native app's loopback address may have any port. */
export const builtInClients: readonly ClientMetadata[] = [
  {
    ...publicApp,
    grant_types: [...publicApp.grant_types, DEVICE_GRANT],
    response_types: ['code'],
    client_id: 'demo-app',
    client_name: 'Lockstep demo',
    redirect_uris: ['http://127.0.0.1/callback'],
    scope: ['openid', 'profile', 'offline_access', APP_KEY, ...ownScopes].join(' '),
  },
  browser('5882386c6d801776', 'Firefox', phone),
  browser('a2270f727f45f648', 'Firefox for Android', phone),
  browser('3c49430b43dfba77', 'Reference Browser', phone),
  browser('1b1a3e44c54fbb58', 'Firefox for iOS', phone),
  browser('8269bacd7bbc7f80', 'Thunderbird', `profile ${THUNDERBIRD_SYNC} ${NEW_SESSION}`),
  browser('3332a18d142636cb', 'Firefox for Android, old', `profile ${OLD_SYNC}`, OUT_OF_BAND),
  // The pages of this server.
  browser('ea3ca969f8c6bb0d', 'Account pages', 'profile:write', OUT_OF_BAND),
];
