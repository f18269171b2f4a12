import { join } from 'node:path';
import { z } from 'zod';
import {
  type Account,
  App,
  authorize,
  Files,
  Keys,
  type Pin,
  type PinKey,
  pinName,
  type PinStore,
  type SavedApp,
  Sharing,
  Storage,
} from '#lib/client';
import { nodePlatform } from './node-platform.ts';
import {
  configFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from './private-file.ts';

/** The scopes that the command line asks for: everything an app may do. */
const SCOPES = [
  ...['keys:read', 'keys:write', 'keys:discover', 'storage'],
  ...['files', 'files:write', 'share:send'],
];

const Saved = z.object({
  email: z.string(),
  app: z.custom<SavedApp>((value) => typeof value === 'object' && value !== null),
});

/** Everything that a signed-in command works with. */
export interface SignedIn {
  email: string;
  app: App;
  keys: Keys;
  storage: Storage;
  files: Files;
  sharing: Sharing;
}

/** Pins in one file, so that they outlive the sign-in they were made in. */
export class FilePinStore implements PinStore {
  constructor(private readonly path: string) {}

  async get(key: PinKey): Promise<Pin | undefined> {
    return (await this.#all())[pinName(key)];
  }

  async set(key: PinKey, pin: Pin): Promise<void> {
    await writePrivateFile(this.path, { ...(await this.#all()), [pinName(key)]: pin });
  }

  async #all(): Promise<Record<string, Pin>> {
    return ((await readPrivateFile(this.path)) ?? {}) as Record<string, Pin>;
  }
}

/** One person's sign-in on this machine: files of mode 600 below the configuration folder. */
export class Profile {
  readonly #credentials: string;
  readonly #pins: FilePinStore;

  constructor(name: string, folder = configFolder()) {
    this.#credentials = join(folder, name, 'credentials.json');
    this.#pins = new FilePinStore(join(folder, name, 'pins.json'));
  }

  /**
   * Lets the app in as its page would, keeps its tokens and key, and publishes its keys.
   *
   * @param clientId - the OAuth client to act as
   */
  async signIn(account: Account, clientId: string): Promise<SignedIn> {
    const request = { clientId, redirectUri: 'http://127.0.0.1/callback', scopes: SCOPES };
    const started = await App.start(account.server, request);
    const { redirect } = await authorize(account, started.url);
    const fresh = await started.finish(redirect);
    await this.#save(account.email, fresh.export());
    const signedIn = await this.open();
    await signedIn.keys.publish();
    return signedIn;
  }

  /** @throws Error when nobody is signed in */
  async open(): Promise<SignedIn> {
    const read = Saved.safeParse(await readPrivateFile(this.#credentials));
    if (!read.success) throw new Error('Nobody is signed in here. Try: lockstep sign-in <address>');
    const { email, app: saved } = read.data;
    const app = App.restore(saved, {
      ...nodePlatform,
      // A refresh token is good once: the next one is kept before this one's answer is used.
      onTokens: (tokens) => this.#save(email, { ...saved, tokens }),
    });
    const keys = new Keys(app, this.#pins);
    const storage = new Storage(app);
    const files = new Files(app, storage);
    return {
      email,
      app,
      keys,
      storage,
      files,
      sharing: new Sharing(app, { keys, storage, files }),
    };
  }

  /** Forgets the sign-in; what was learnt of others' identities stays. */
  async forget(): Promise<void> {
    await removePrivateFile(this.#credentials);
  }

  #save(email: string, app: SavedApp): Promise<void> {
    return writePrivateFile(this.#credentials, { email, app });
  }
}
