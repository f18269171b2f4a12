import { stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import {
  ClientError,
  FIREFOX_CLIENT_ID,
  Server,
  type SyncClientInput,
  SyncMemory,
  type SyncMemoryKeeper,
} from '#lib/client';
import {
  configFolder,
  locked,
  makePrivateFolder,
  readPrivateFile,
  removePrivateFile,
  writePrivateFile,
} from '#lib/client-node';
import { fromBase64Url, type KeyWithId, toBase64Url } from '#lib/crypto';
import { OLD_SYNC } from '#lib/protocol';
import { cliPlatform } from './cli-platform.ts';
import { CredentialsFile } from './credentials.ts';
import { signInBy } from './next-step.ts';
import type { Common } from './options.ts';
import { OWN_FOLDER } from './record-folder.ts';
import { Refused } from './refused.ts';
import { signInByPassword, type SignInSource } from './sign-in-by-password.ts';

const SavedKey = z.object({ uid: z.string(), kid: z.string(), k: z.string() });

const State = z.object({
  /** Whose records are in the folder, and on which server. */
  uid: z.string(),
  server: z.string(),
  memory: SyncMemory,
});

/** The storage server's word for it. */
const OVER_QUOTA = 'weave-14';
/** Refusals of the token server that mean: the key is not the account's any more. */
const KEY_IS_OLD = new Set(['invalid-client-state', 'invalid-keysChangedAt']);

/** What a folder knows of the store it is in step with: a file in the folder, without secrets. */
class FolderMemory implements SyncMemoryKeeper {
  constructor(
    private readonly path: string,
    private readonly owner: { uid: string; server: string },
  ) {}

  /** @throws Refused for a folder of another account or server */
  async load(): Promise<SyncMemory | undefined> {
    const value = await readPrivateFile(this.path);
    if (value === undefined) return undefined;
    const state = State.safeParse(value).data;
    if (!state) throw new Refused(`${this.path} was not written by this version. Move it away.`);
    if (state.uid === this.owner.uid && state.server === this.owner.server) return state.memory;
    throw new Refused('The folder belongs to another account. Take another one.');
  }

  save(memory: SyncMemory): Promise<void> {
    return writePrivateFile(this.path, { ...this.owner, memory });
  }
}

/** What every command of Sync takes. */
export interface SyncOptions extends Common, SignInSource {
  /** How other devices call this one. */
  deviceName?: string;
}

/**
 * Works with the account's Firefox store for a folder, alone among all who do. The Sync key is derived from the
 * password once, and kept with the profile; the password and kB are not.
 *
 * @throws Refused when nobody is signed in, or the folder is none or another account's
 */
export async function withStore<T>(
  options: SyncOptions,
  folder: string,
  work: (input: SyncClientInput) => Promise<T>,
): Promise<T> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() !== true) throw new Refused(`${folder} is no folder.`, 2);
  const { app, email, sessionToken } = await new CredentialsFile(options.profile).read();
  if (sessionToken === undefined) {
    throw new Refused(`A browser let this computer in. Sync needs: ${signInBy(options.profile)}`);
  }
  const server = Server.known(app.server, app.realm, cliPlatform);
  const keyPath = keyPathOf(options.profile);
  const key = await syncKey(keyPath, { server, uid: app.uid, email }, options);
  await makePrivateFolder(join(folder, OWN_FOLDER));
  const path = join(folder, OWN_FOLDER, 'state.json');
  const keeper = new FolderMemory(path, { uid: app.uid, server: app.server });
  const name = options.deviceName ?? `${hostname()}, lockstep`;
  try {
    return await locked(path, () => work({ server, sessionToken, key, name, keeper }));
  } catch (error) {
    if (!(error instanceof ClientError)) throw error;
    if (error.code === OVER_QUOTA) throw new Refused('The store is full; what is here stays here.');
    if (!KEY_IS_OLD.has(error.code)) throw error;
    await removePrivateFile(keyPath);
    throw new Refused('The keys of the account have changed. Run it again, with the password.');
  }
}

const keyPathOf = (profile: string) => join(configFolder(), profile, 'sync-key.json');

/** Removes the Sync key that a profile keeps. */
export function forgetSyncKey(profile: string): Promise<void> {
  return removePrivateFile(keyPathOf(profile));
}

/** The key that this profile keeps, or the one that the password gives. */
async function syncKey(
  path: string,
  { server, uid, email }: { server: Server; uid: string; email: string },
  source: SignInSource,
): Promise<KeyWithId> {
  const saved = SavedKey.safeParse(await readPrivateFile(path)).data;
  if (saved?.uid === uid) return { kid: saved.kid, k: fromBase64Url(saved.k) };
  const ask = `Password for ${email}, once for Sync: `;
  const account = await signInByPassword(server, email, source, ask);
  try {
    const key = (await account.scopedKeys(FIREFOX_CLIENT_ID, OLD_SYNC))[OLD_SYNC];
    if (!key || account.uid !== uid) throw new Refused('This account has no Sync key.');
    await writePrivateFile(path, { uid, kid: key.kid, k: toBase64Url(key.k) });
    return key;
  } finally {
    await account.signOut();
  }
}
