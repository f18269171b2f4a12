import { Firefox } from './firefox.ts';
import { FirefoxAccount, type SignedInUser } from './firefox-account.ts';
import { FirefoxSync } from './firefox-sync.ts';
import { Library } from './library.ts';
import { accountPreferences } from './preferences.ts';

/** Whoever sits in front of it. */
export interface Person {
  email: string;
  password: string;
}

/** Finds the code that was mailed to an address. */
export type Mailbox = (email: string) => Promise<string>;

/** A Firefox that is pointed at a server of ours by preferences, and what a person does with it. */
export class Device {
  readonly account: FirefoxAccount;
  readonly sync: FirefoxSync;
  readonly library: Library;

  private constructor(
    readonly firefox: Firefox,
    private readonly mailedCode: Mailbox,
  ) {
    this.account = new FirefoxAccount(firefox);
    this.sync = new FirefoxSync(firefox);
    this.library = new Library(firefox);
  }

  /** @param root - origin of the server */
  static async start(root: string, mailedCode: Mailbox): Promise<Device> {
    return new Device(await Firefox.launch(await accountPreferences(root)), mailedCode);
  }

  /** Makes an account on the page that Firefox opens; resolves when the first sync is over. */
  async signUp(person: Person): Promise<SignedInUser> {
    await this.enter('#signup', person);
    const where = '[data-page=confirm], [data-page=connected], [role=alert].problem';
    await this.firefox.see(where);
    if (await this.firefox.inPage<boolean>(`return document.querySelector('#code') !== null;`)) {
      await this.firefox.type('#code', await this.mailedCode(person.email));
      await this.firefox.click('#confirm');
    }
    return this.connected();
  }

  /** Signs in on the page that Firefox opens; resolves when the first sync is over. */
  async signIn(person: Person): Promise<SignedInUser> {
    await this.enter('#signin', person);
    return this.connected();
  }

  /** Syncs, so that everything is on the server, and what others left there is here. */
  exchange(): Promise<void> {
    return this.sync.run();
  }

  quit(): Promise<void> {
    return this.firefox.quit();
  }

  private async enter(button: string, { email, password }: Person): Promise<void> {
    await this.firefox.open(await this.account.signInUrl());
    await this.firefox.type('#email', email);
    await this.firefox.type('#password', password);
    await this.firefox.click(button);
  }

  private async connected(): Promise<SignedInUser> {
    const said = await this.firefox.see('[data-page=connected], [data-page=refused], .problem');
    const isConnected = await this.firefox.inPage<boolean>(
      `return document.querySelector('[data-page=connected]') !== null;`,
    );
    if (!isConnected) throw new Error(`The page says: ${said}`);
    const user = await this.account.signedIn();
    await this.sync.idle();
    return user;
  }
}
