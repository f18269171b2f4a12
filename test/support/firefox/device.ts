import { AccountPages, type Mailbox, type Person } from './account-pages.ts';
import { Firefox } from './firefox.ts';
import { FirefoxAccount, type SignedInUser } from './firefox-account.ts';
import { FirefoxPairing } from './firefox-pairing.ts';
import { FirefoxSync } from './firefox-sync.ts';
import { Library } from './library.ts';
import { accountPreferences, type Preferences } from './preferences.ts';

/** A Firefox that is pointed at a server of ours by preferences, and what a person does with it. */
export class Device {
  readonly account: FirefoxAccount;
  readonly sync: FirefoxSync;
  readonly library: Library;
  readonly pages: AccountPages;
  readonly pairing: FirefoxPairing;

  private constructor(
    readonly firefox: Firefox,
    root: string,
    mailedCode: Mailbox,
  ) {
    this.account = new FirefoxAccount(firefox);
    this.sync = new FirefoxSync(firefox);
    this.library = new Library(firefox);
    this.pages = new AccountPages(firefox, root, mailedCode);
    this.pairing = new FirefoxPairing(firefox, root);
  }

  /**
   * @param root - origin of the server
   * @param preferences - over those that point it there
   */
  static async start(
    root: string,
    mailedCode: Mailbox,
    preferences: Preferences = {},
  ): Promise<Device> {
    const all = { ...(await accountPreferences(root)), ...preferences };
    return new Device(await Firefox.launch(all), root, mailedCode);
  }

  /** Makes an account on the page that Firefox opens; resolves when the first sync is over. */
  async signUp(person: Person): Promise<SignedInUser> {
    await this.pages.signUp(await this.account.signInUrl(), person);
    return this.signedIn();
  }

  /** Signs in on the page that Firefox opens; resolves when the first sync is over. */
  async signIn(person: Person): Promise<SignedInUser> {
    await this.pages.signIn(await this.account.signInUrl(), person);
    return this.signedIn();
  }

  /** Syncs, so that everything is on the server, and what others left there is here. */
  exchange(): Promise<void> {
    return this.sync.run();
  }

  private async signedIn(): Promise<SignedInUser> {
    const user = await this.account.signedIn();
    await this.sync.idle();
    return user;
  }
}
