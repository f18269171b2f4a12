/** Values of preferences by name, as about:config has them. */
export type Preferences = Readonly<Record<string, string | number | boolean>>;

/**
 * For a profile that nobody sees: no welcome, no questions, and no word to anybody but loopback.
 *
 * Marionette's own list for this purpose would point Firefox at another account server, so it is
 * switched off.
 */
export const quiet: Preferences = {
  'remote.prefs.recommended': false,
  // A port of its own choice, which it writes to a file in the profile.
  'marionette.port': 0,

  // Whatever is not on loopback is asked of a proxy that is not there, and fails at once.
  'network.proxy.type': 1,
  'network.proxy.http': '127.0.0.1',
  'network.proxy.http_port': 9,
  'network.proxy.ssl': '127.0.0.1',
  'network.proxy.ssl_port': 9,
  'network.proxy.no_proxies_on': 'localhost, 127.0.0.1, [::1]',
  'network.manage-offline-status': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.http.speculative-parallel-limit': 0,
  'network.trr.mode': 5,
  'dom.push.connection.enabled': false,
  'dom.security.https_first': false,
  'dom.security.https_only_mode': false,
  'services.settings.server': 'data:,#remote-settings-dummy/v1',
  'services.settings.loglevel': 'off',
  'browser.region.update.enabled': false,
  'browser.region.network.url': '',
  'browser.search.update': false,
  'browser.topsites.contile.enabled': false,
  'browser.urlbar.merino.endpointURL': '',
  'browser.safebrowsing.update.enabled': false,
  'app.update.disabledForTesting': true,
  'app.normandy.enabled': false,
  'nimbus.rollouts.enabled': false,
  'extensions.update.enabled': false,
  'extensions.systemAddon.update.enabled': false,
  'extensions.getAddons.cache.enabled': false,
  'extensions.installDistroAddons': false,
  'media.gmp-manager.updateEnabled': false,
  'security.remote_settings.intermediates.enabled': false,
  'security.remote_settings.crlite_filters.enabled': false,

  // Nothing is measured and reported.
  'datareporting.policy.dataSubmissionEnabled': false,
  'datareporting.healthreport.uploadEnabled': false,
  'datareporting.usage.uploadEnabled': false,
  'toolkit.telemetry.unified': false,
  'toolkit.telemetry.enabled': false,
  'toolkit.telemetry.server': '',
  'telemetry.fog.test.localhost_port': -1,

  // Nothing is asked of somebody who is not there.
  'browser.aboutwelcome.enabled': false,
  'browser.preonboarding.enabled': false,
  'browser.shell.checkDefaultBrowser': false,
  'browser.startup.homepage_override.mstone': 'ignore',
  'browser.startup.page': 0,
  'browser.newtabpage.enabled': false,
  'browser.newtabpage.activity-stream.testing.shouldInitializeFeeds': false,
  'browser.sessionstore.resume_from_crash': false,
  'browser.tabs.warnOnClose': false,
  'browser.warnOnQuit': false,
  'browser.ml.enable': false,
  'browser.translations.enable': false,
  'browser.pagethumbnails.capturing_disabled': true,
  'browser.backup.enabled': false,
  'places.semanticHistory.featureGate': false,
  'termsofuse.bypassNotification': true,
  'toolkit.startup.max_resumed_crashes': -1,
  'toolkit.cosmeticAnimations.enabled': false,
  'signon.autofillForms': false,
  // Keys are typed into whichever window has no screen to be in front on.
  'focusmanager.testmode': true,
  // A script may take its time on a machine that is busy.
  'dom.max_script_run_time': 0,
  'dom.max_chrome_script_run_time': 0,
  // Syncs happen when the test says so.
  'services.sync.scheduler.activeInterval': 86_400,
  'services.sync.scheduler.idleInterval': 86_400,
};

/** What Firefox reads from `/.well-known/fxa-client-configuration`. */
interface ClientConfiguration {
  auth_server_base_url: string;
  oauth_server_base_url: string;
  profile_server_base_url: string;
  sync_tokenserver_base_url: string;
  pairing_server_base_uri?: string;
}

/**
 * The preferences of docs/firefox.md: the one that a person sets, and those that Firefox makes of
 * it. 140 looks at the single ones before it knows the first.
 *
 * @param root - origin of the server
 */
export async function accountPreferences(root: string): Promise<Preferences> {
  const answer = await fetch(`${root}/.well-known/fxa-client-configuration`);
  if (!answer.ok) throw new Error(`No client configuration: ${answer.status}`);
  const urls = (await answer.json()) as ClientConfiguration;
  return {
    'identity.fxaccounts.autoconfig.uri': root,
    'identity.fxaccounts.allowHttp': true,
    'identity.fxaccounts.remote.root': `${root}/`,
    'identity.fxaccounts.auth.uri': `${urls.auth_server_base_url}/v1`,
    'identity.fxaccounts.remote.oauth.uri': `${urls.oauth_server_base_url}/v1`,
    'identity.fxaccounts.remote.profile.uri': `${urls.profile_server_base_url}/v1`,
    'identity.sync.tokenserver.uri': `${urls.sync_tokenserver_base_url}/1.0/sync/1.5`,
    ...(urls.pairing_server_base_uri !== undefined && {
      'identity.fxaccounts.remote.pairing.uri': urls.pairing_server_base_uri,
    }),
  };
}

/** The text of a user.js. */
export function userJs(preferences: Preferences): string {
  const lines = Object.entries(preferences).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  return lines.join('');
}
