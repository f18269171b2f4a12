import type { Firefox } from './firefox.ts';

/** What a Firefox knows of the account that it is signed in to. */
export interface SignedInUser {
  uid: string;
  email: string;
  /** Null when somebody has to sign in again. */
  sessionToken: string | null;
  /** Of the Sync key: `<keysChangedAt>-<fingerprint>`; null without one. */
  kid: string | null;
}

/** A device of the account, as a Firefox lists it. */
export interface ListedDevice {
  id: string;
  name: string;
  type: string;
  isCurrentDevice: boolean;
  canReceiveTabs: boolean;
}

/** Notified whenever something about the account changes. */
const TOPICS = [
  'fxaccounts:onlogin',
  'fxaccounts:onverified',
  'fxaccounts:onlogout',
  'fxaccounts:statechange',
  'fxaccounts:new_device_id',
  'fxaccounts:service_enabled',
  'weave:service:setup-complete',
  'weave:connected',
  'sync-ui-state:update',
];

const USER = `
  const user = async () => {
    const data = await fxAccounts()._internal.getUserAccountData();
    if (!data) return undefined;
    const keys = data.scopedKeys?.['https://identity.mozilla.com/apps/oldsync'];
    const { uid, email, sessionToken } = data;
    return { uid, email, sessionToken, kid: keys?.kid };
  };`;

/** The account in one Firefox. */
export class FirefoxAccount {
  constructor(private readonly firefox: Firefox) {}

  /** The address of the page that "Sign in" opens; the OAuth flow begins with it. */
  signInUrl(): Promise<string> {
    return this.firefox.inside(
      `return load('resource://gre/modules/FxAccounts.sys.mjs')
         .FxAccounts.config.promiseConnectAccountURI('preferences');`,
    );
  }

  /** Undefined when nobody is signed in. */
  async user(): Promise<SignedInUser | undefined> {
    return (await this.firefox.inside<SignedInUser | null>(`${USER} return user();`)) ?? undefined;
  }

  /** Resolves when somebody is signed in, with the keys of Sync, and this device is registered. */
  signedIn(): Promise<SignedInUser> {
    return this.firefox.inside(
      `${USER}
       return until(topics, async () => {
         const found = await user();
         const { verified, device } = (await fxAccounts()._internal.getUserAccountData()) ?? {};
         const isWhole = found?.sessionToken && found.kid && verified && device?.id;
         return isWhole && weave().Service.status.service !== 'service.client_not_configured' && found;
       });`,
      { topics: TOPICS },
    );
  }

  /** Resolves when it has another session than this one, and is registered with it. */
  sessionAfter(sessionToken: string): Promise<SignedInUser> {
    return this.firefox.inside(
      `${USER}
       return until(topics, async () => {
         const found = await user();
         const { device } = (await fxAccounts()._internal.getUserAccountData()) ?? {};
         return found?.sessionToken && found.sessionToken !== sessionToken && device?.id && found;
       });`,
      { topics: TOPICS, sessionToken },
    );
  }

  /** Resolves when nobody is. */
  async signedOut(): Promise<void> {
    await this.firefox.inside(`${USER} await until(topics, async () => !(await user()));`, {
      topics: TOPICS,
    });
  }

  /**
   * What the person is shown.
   *
   * @returns `not_configured`, `login_failed`, `not_verified` or `signed_in`
   */
  state(): Promise<string> {
    return this.firefox.inside(
      `const { UIState } = load('resource://services-sync/UIState.sys.mjs');
       await UIState.refresh();
       return UIState.get().status;`,
    );
  }

  /** Resolves when the person is shown this {@link state}. */
  async reaches(state: string): Promise<void> {
    await this.firefox.inside(
      `const { UIState } = load('resource://services-sync/UIState.sys.mjs');
       await until(topics, async () => {
         await UIState.refresh();
         return UIState.get().status === state;
       });`,
      { topics: TOPICS.filter((topic) => !topic.startsWith('sync-ui-state')), state },
    );
  }

  /** Asks the server for the list. */
  devices(): Promise<ListedDevice[]> {
    return this.firefox.inside(
      `await fxAccounts().device.refreshDeviceList({ ignoreCached: true });
       return fxAccounts().device.recentDeviceList.map((device) => ({
         id: device.id,
         name: device.name,
         type: device.type,
         isCurrentDevice: device.isCurrentDevice,
         canReceiveTabs: Boolean(fxAccounts().commands.sendTab.isDeviceCompatible(device)),
       }));`,
    );
  }

  /**
   * Finds out whether its session is still good, as Firefox does by itself when it syncs, up to once a minute.
   * What comes of it is in {@link state} and {@link user}.
   */
  async refresh(): Promise<void> {
    await this.firefox.inside(
      `await fxAccounts().device.refreshDeviceList({ ignoreCached: true }).catch(() => undefined);`,
    );
  }

  /** Gives this device another name. */
  async rename(name: string): Promise<void> {
    await this.firefox.inside(
      `Services.prefs.setStringPref('identity.fxaccounts.account.device.name', name);
       await fxAccounts().updateDeviceRegistration();`,
      { name },
    );
  }

  /** Sends a tab to another device. @throws Error when it does not get through */
  async sendTab(deviceId: string, tab: { url: string; title: string }): Promise<void> {
    await this.firefox.inside(
      `const { device, commands } = fxAccounts();
       const target = device.recentDeviceList.find(({ id }) => id === deviceId);
       const { failed } = await commands.sendTab.send([target], tab);
       if (failed.length > 0) throw failed[0].error;`,
      { deviceId, tab },
    );
  }

  /** Fetches what other devices sent; Firefox does so at its start, daily, and with "Sync Now". */
  async fetchCommands(): Promise<void> {
    await this.firefox.inside(`await fxAccounts().commands.pollDeviceCommands();`);
  }

  /** What "Sign out" does; the data stay. */
  async signOut(): Promise<void> {
    await this.firefox.inside(
      `const told = new Promise((done) => {
         const topic = 'testhelper-fxa-signout-complete';
         const observer = { observe: () => { Services.obs.removeObserver(observer, topic); done(); } };
         Services.obs.addObserver(observer, topic);
       });
       await load('resource://services-sync/SyncDisconnect.sys.mjs').SyncDisconnect.disconnect(false);
       await told;`,
    );
  }
}
