import { randomBytes } from 'node:crypto';
import {
  Account,
  App,
  authorize,
  Files,
  Keys,
  MemoryPinStore,
  type PlatformOptions,
  Server,
  Sharing,
  Storage,
} from '#lib/client';

/** The third-party app of the journey, as it is registered on every server. */
export const DEMO_APP = {
  clientId: 'demo-app',
  // A native app listens on any port of this address; nobody needs to listen here.
  redirectUri: 'http://127.0.0.1:41999/callback',
  scopes: [
    ...['keys:read', 'keys:write', 'keys:discover', 'storage'],
    ...['files', 'files:write', 'share:send'],
  ],
} as const;

/** One signed-in device of a person, and demo-app on it. */
export class Device {
  readonly keys: Keys;
  readonly storage: Storage;
  readonly files: Files;
  readonly sharing: Sharing;

  constructor(readonly app: App) {
    this.keys = new Keys(app, new MemoryPinStore());
    this.storage = new Storage(app);
    this.files = new Files(app, this.storage);
    this.sharing = new Sharing(app, this);
  }
}

/** Somebody in the journey. */
export class Person {
  readonly email: string;
  readonly password: string;
  #account: Account | undefined;
  #device: Device | undefined;

  constructor(
    readonly name: string,
    private readonly url: string,
    private readonly platform: PlatformOptions,
  ) {
    this.email = `${name.toLowerCase()}-${randomBytes(6).toString('hex')}@example.org`;
    this.password = `${name}’s pässwörd ${randomBytes(9).toString('base64url')}`;
  }

  /** @throws Error before `signUp` */
  get account(): Account {
    if (!this.#account) throw new Error(`${this.name} has not signed in.`);
    return this.#account;
  }

  /** @throws Error before `connect` */
  get device(): Device {
    if (!this.#device) throw new Error(`${this.name} has not connected the app.`);
    return this.#device;
  }

  /**
   * Signs up, proves the address with the code that `mailed` finds, and signs in.
   *
   * @returns whether the account was refused its keys before the address was proved
   */
  async signUp(mailed: (uid: string) => Promise<string>): Promise<boolean> {
    const server = await Server.at(this.url, this.platform);
    const account = await Account.signUp(server, this);
    const wasRefused = await account.fetchKeys().then(
      () => false,
      () => true,
    );
    if (wasRefused) await account.verify(await mailed(account.uid));
    this.#account = await Account.signIn(server, this);
    await this.#account.fetchKeys();
    return wasRefused;
  }

  /** Lets demo-app in, on the device where the person signed up. */
  async connect(): Promise<Device> {
    this.#device = await this.#connect(this.account);
    return this.#device;
  }

  /** A second device: nothing but e-mail and password. */
  async anotherDevice(): Promise<Device> {
    const account = await Account.signIn(await Server.at(this.url, this.platform), this);
    return this.#connect(account);
  }

  async #connect(account: Account): Promise<Device> {
    const server = await Server.at(this.url, this.platform);
    const started = await App.start(server, DEMO_APP);
    const { redirect } = await authorize(account, started.url);
    return new Device(await started.finish(redirect));
  }
}
