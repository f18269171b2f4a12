import { dirname, join } from 'node:path';
import { z } from 'zod';
import type { SavedApp, SavedTokens, TokenKeeper } from '#lib/client';
import {
  configFolder,
  locked,
  makePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from '#lib/client-node';
import { DEFAULT_PROFILE, signInBy } from './next-step.ts';
import { Refused } from './refused.ts';

const Token = z.object({ token: z.string(), expiresAt: z.number() });
const App = z.object({
  server: z.string(),
  realm: z.string(),
  uid: z.string(),
  clientId: z.string(),
  email: z.string().optional(),
  kBr: z.object({ kid: z.string(), k: z.string() }).optional(),
  tokens: z.object({
    refreshToken: z.string(),
    access: z.record(z.string(), Token.optional()),
  }),
}) satisfies z.ZodType<SavedApp>;

const Credentials = z.object({
  email: z.string(),
  /** Another at every sign-in. */
  signIn: z.string().optional(),
  /** Ends the session, and allows everything else but opening data; none when a browser let this computer in. */
  sessionToken: z.string().optional(),
  app: App,
});
/** What this computer keeps of a sign-in: neither the password nor kB, only the key of one app. */
export type Credentials = z.infer<typeof Credentials>;

/** One person's sign-in on this computer, in a file of mode 600. */
export class CredentialsFile implements TokenKeeper {
  readonly #profile: string;
  readonly #path: string;
  /** The sign-in that was read. */
  #signIn: string | undefined;

  constructor(profile: string) {
    this.#profile = profile;
    this.#path = join(configFolder(), profile, 'credentials.json');
  }

  /** @throws Refused when nobody is signed in */
  async read(): Promise<Credentials> {
    const value = await readPrivateFile(this.#path);
    if (value === undefined) {
      const where = this.#profile === DEFAULT_PROFILE ? 'here' : `as the profile ${this.#profile}`;
      throw new Refused(`Nobody is signed in ${where}: ${signInBy(this.#profile)}`);
    }
    const { success, data } = Credentials.safeParse(value);
    if (success) {
      this.#signIn ??= nameOf(data);
      return data;
    }
    throw new Refused(`${this.#path} was not written by this version. Sign in again.`);
  }

  /** Replaces the file; a command that refreshes its tokens meanwhile cannot bring the old sign-in back. */
  async write(credentials: Credentials): Promise<void> {
    await makePrivateFolder(dirname(this.#path));
    await locked(this.#path, () => writePrivateFile(this.#path, credentials));
  }

  /** Removes the file; a command that refreshes its tokens meanwhile cannot bring it back. */
  async forget(): Promise<void> {
    await locked(this.#path, () => removePrivateFile(this.#path));
  }

  /**
   * Commands that run at the same time take turns in refreshing their tokens.
   *
   * @throws Refused when the profile was signed in anew since this command began: those tokens are not its own
   */
  update(change: (newest: SavedTokens) => Promise<SavedTokens>): Promise<SavedTokens> {
    return locked(this.#path, async () => {
      const credentials = await this.read();
      if (nameOf(credentials) !== this.#signIn) {
        throw new Refused('The profile was signed in anew meanwhile. Run the command again.');
      }
      const tokens = await change(credentials.app.tokens);
      await writePrivateFile(this.#path, { ...credentials, app: { ...credentials.app, tokens } });
      return tokens;
    });
  }
}

/** What tells one sign-in from the next. */
const nameOf = ({ signIn, sessionToken }: Credentials) => signIn ?? sessionToken ?? '';
