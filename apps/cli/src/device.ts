import { randomBytes } from 'node:crypto';
import {
  type Account,
  App,
  approveDevice,
  type DevicePrompt,
  Files,
  IntegrityError,
  Keys,
  type KeysOptions,
  Server,
  Sharing,
  startOnDevice,
  Storage,
  SyncedPinStore,
} from '#lib/client';
import { APP_KEY } from '#lib/protocol';
import { cliPlatform } from './cli-platform.ts';
import { CredentialsFile } from './credentials.ts';
import { FilePinStore } from './file-pin-store.ts';
import type { Names } from './names.ts';
import type { Common } from './options.ts';
import { printable } from './printable.ts';

/** What the command line asks for; the demo's app is registered with every server. */
const SCOPES = [
  ...['keys:read', 'keys:write', 'keys:discover', 'storage'],
  ...['files', 'files:write', 'share:send', 'profile'],
];

const LOOPBACK = /^(?:localhost|.+\.localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** The server at an address, if its realm is the one it always had. @throws IntegrityError `REALM_CHANGED` */
export async function meet({ url, profile }: Common): Promise<Server> {
  const { protocol, hostname } = new URL(url);
  if (protocol === 'http:' && !LOOPBACK.test(hostname)) {
    const risk = 'who is on the way sees who you are, and can guess your password';
    process.stderr.write(`lockstep: ${printable(url)} has no TLS: ${risk}\n`);
  }
  const server = await Server.at(url, cliPlatform);
  if (await new FilePinStore(profile).isSameRealm(server.url, server.realm)) return server;
  throw new IntegrityError('REALM_CHANGED', `${server.url} is not the server it was.`);
}

/** One app on this computer, with everything it does. */
export class Device {
  readonly keys: Keys;
  readonly storage: Storage;
  readonly files: Files;
  readonly sharing: Sharing;
  readonly #remembered: FilePinStore;
  readonly #pins: SyncedPinStore;

  constructor(
    readonly app: App,
    readonly email: string,
    profile: string,
  ) {
    this.storage = new Storage(app);
    this.#remembered = new FilePinStore(profile);
    this.#pins = new SyncedPinStore(this.#remembered, app, this.storage);
    this.keys = new Keys(app, this.#pins);
    this.files = new Files(app, this.storage);
    this.sharing = new Sharing(app, this);
  }

  /** The keys of this device, as this command wants them. */
  keysWith(options: KeysOptions): Keys {
    return new Keys(this.app, this.#pins, options);
  }

  /** Whom this computer knows by address; nobody is asked. */
  async names(): Promise<Names> {
    const { server, clientId } = this.app;
    const known = await this.#remembered.all({ realm: server.realm, clientId });
    return new Map(
      known.flatMap(({ uid, pin }) => (pin.name === undefined ? [] : [[uid, pin.name] as const])),
    );
  }

  /**
   * Takes up the sign-in that this computer keeps.
   *
   * @throws Refused when nobody is signed in
   */
  static async open({ profile }: Pick<Common, 'profile'>): Promise<Device> {
    const file = new CredentialsFile(profile);
    const { email, app } = await file.read();
    return new Device(App.restore(app, cliPlatform, file), email, profile);
  }

  /**
   * Lets the app in for an account whose password was given here, over the same grant as a browser would.
   *
   * @throws IntegrityError `KEYS_REPLACED`, `STATE_MISMATCH`
   */
  static async connect(
    account: Account,
    { profile, app: clientId }: { profile: string; app: string },
  ): Promise<Device> {
    return Device.keep(await Device.letIn(account, clientId), account, profile);
  }

  /** Lets the app in, and keeps nothing. @throws as `connect` */
  static async letIn(account: Account, clientId: string): Promise<App> {
    const started = await startOnDevice(account.server, { clientId, scopes: SCOPES });
    const keys = await approveDevice(account, started);
    const app = await started.finish();
    // Here, unlike in a browser, both ends are ours: the server cannot have put another key in its place.
    if (!app.holds(keys[APP_KEY])) {
      throw new IntegrityError('KEYS_REPLACED', 'The server replaced the key of the app.');
    }
    if (app.uid !== account.uid) {
      throw new IntegrityError('STATE_MISMATCH', 'The app was let in for another account.');
    }
    return app;
  }

  /** Lets the app in for whoever approves it in a browser. @param show - tells the person where, and the code */
  static async connectByBrowser(
    server: Server,
    { profile, app: clientId }: { profile: string; app: string },
    show: (prompt: DevicePrompt) => void,
  ): Promise<Device> {
    const started = await startOnDevice(server, { clientId, scopes: SCOPES });
    show(started.prompt);
    const app = await started.finish();
    return Device.keep(app, { email: app.email ?? app.uid }, profile);
  }

  /** Keeps the sign-in on this computer. */
  static async keep(
    app: App,
    { email, sessionToken }: { email: string; sessionToken?: string },
    profile: string,
  ): Promise<Device> {
    const signIn = randomBytes(16).toString('base64url');
    const session = sessionToken !== undefined && { sessionToken };
    const saved = { email, ...session, signIn, app: app.export() };
    await new CredentialsFile(profile).write(saved);
    return Device.open({ profile });
  }
}
