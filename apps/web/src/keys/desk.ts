import {
  ClientError,
  type KeyHolder,
  Keys,
  MemoryPinStore,
  Server,
  Storage,
  SyncedPinStore,
} from '#lib/client';
import { APP_KEY, type ConnectedApp, PageToken } from '#lib/protocol';
import { openKB } from '../account/change.ts';
import { http, post } from '../account/server.ts';
import { bySession, type Session } from '../account/session.ts';
import { scopedKeys } from '../account/sign-in.ts';
import type { Proof } from '../pages/prove-again.tsx';

/** A token this close to its end is not used any more, in milliseconds. */
const MARGIN_MS = 30_000;

type Bearing = KeyHolder['tokens']['bearing'];
type PageApi = 'keys' | 'storage';

/**
 * Tokens as the app has them, asked for by the session whenever there is none that holds. The server gives none
 * to who proved too long ago who it is: then the person is asked.
 */
class PageTokens {
  readonly #known = new Map<string, { token: string; until: number }>();

  constructor(
    private readonly session: Session,
    private readonly clientId: string,
    private readonly proof: Proof,
  ) {}

  readonly bearing: Bearing = async (target, ask, send) => {
    const bear = async () => {
      const token = await this.#tokenFor(target as PageApi);
      return send({ ...ask, authorization: () => `Bearer ${token}` });
    };
    try {
      return await bear();
    } catch (error) {
      // Where the proof was too long ago, asking for another token asks the person as well.
      const isRefused =
        error instanceof ClientError &&
        ['unauthenticated', 'step-up-required'].includes(error.code);
      if (!isRefused || ask.stream) throw error;
      this.#known.delete(target);
      return bear();
    }
  };

  async #tokenFor(api: PageApi): Promise<string> {
    const known = this.#known.get(api);
    if (known && known.until - MARGIN_MS > Date.now()) return known.token;
    const json = { client_id: this.clientId, api };
    const ask = post('account/connected_apps/token', json, bySession(this.session));
    const asked = await this.proof.around(() => http.json(ask, PageToken));
    const { access_token: token, expires_in: seconds } = asked;
    this.#known.set(api, { token, until: Date.now() + seconds * 1000 });
    return token;
  }
}

/** Everything that somebody can see and change of their keys in one app. */
export interface Desk {
  keys: Keys;
  uid: string;
  /** Whether a comparison is remembered beyond this page. */
  isKept: boolean;
}

/**
 * Opens the keys of an app on this page. The password gives kB, and kB the key of this app; neither is kept.
 *
 * @param proof - for as long as the desk is open
 * @throws ClientError `errno-103` for a wrong password, `no-key` when the app has no key
 */
export async function openDesk(
  session: Session,
  { app, password, proof }: { app: ConnectedApp; password: string; proof: Proof },
): Promise<Desk> {
  const { client_id: clientId } = app.client;
  const kB = await openKB(session, password);
  const account = { ...session, fetchKB: () => Promise.resolve(kB) };
  const kBr = (await scopedKeys(account, clientId, APP_KEY))[APP_KEY];
  if (!kBr) throw new ClientError('no-key', 0, 'The app has no key of its own.');
  const server = await Server.at(location.origin, { now: () => Date.now() });
  const tokens = new PageTokens(session, clientId, proof);
  const holder: KeyHolder = { server, uid: session.uid, clientId, kBr, tokens };
  // Whose identity is whose is remembered with the app's own data, where that keeps any.
  const local = new MemoryPinStore();
  const isKept = app.scopes.includes('storage');
  const pins = isKept ? new SyncedPinStore(local, holder, new Storage(holder)) : local;
  return { keys: new Keys(holder, pins), uid: session.uid, isKept };
}
