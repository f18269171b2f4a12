import { equalBytes, fromBase64Url, type KeyWithId, toBase64Url } from '#lib/crypto';
import { audiences, type TokenAnswer } from '#lib/protocol';
import {
  type AppRequest,
  codeIn,
  discover,
  type Pending,
  type PendingRedirect,
  prepareRedirect,
  readGrant,
} from './app-request.ts';
import { ClientError } from './client-error.ts';
import type { DpopKey } from './dpop.ts';
import type { PlatformOptions } from './platform.ts';
import { Server } from './server.ts';
import {
  accessToken,
  askForTokens,
  audienceOf,
  type SavedTokens,
  type Target,
  type TokenKeeper,
  Tokens,
} from './tokens.ts';

/** What an app keeps between two runs; all of it is secret. */
export interface SavedApp {
  server: string;
  realm: string;
  uid: string;
  clientId: string;
  /** As it was at sign-in, with the scope `profile`. */
  email?: string | undefined;
  /** kBr: key id and base64url key; undefined for an app that asked for none. */
  kBr?: { kid: string; k: string } | undefined;
  tokens: SavedTokens;
}

/** An authorization that has begun: the person goes to `url`, and comes back with what `finish` takes. */
export interface Started {
  url: string;
  /**
   * Exchanges the code for tokens and opens the app's key.
   *
   * @param redirectUrl - where the person came back to, with `code`, `state` and `iss`
   * @throws IntegrityError `STATE_MISMATCH`, `ISSUER_MISMATCH`, `KEYS_REPLACED`, `SCOPES_ADDED`
   * @throws ClientError the OAuth error when the person or the server refused
   */
  finish(redirectUrl: string): Promise<App>;
}

/**
 * An app that a person has signed in to: an OAuth2 public client (RFC 9700) that received its own key kBr and
 * nothing else. The code of this class sees neither the password nor kB.
 */
export class App {
  readonly #kBr: KeyWithId | undefined;

  private constructor(
    readonly server: Server,
    readonly uid: string,
    readonly clientId: string,
    kBr: KeyWithId | undefined,
    readonly tokens: Tokens,
    /** As it was at sign-in; undefined without the scope `profile`. */
    readonly email: string | undefined,
  ) {
    this.#kBr = kBr;
  }

  /** Begins an authorization by redirect, in a program that stays until the person is back. */
  static async start(
    server: Server,
    request: AppRequest & { redirectUri: string },
  ): Promise<Started> {
    const { url, pending } = await prepareRedirect(server, request);
    return { url, finish: (redirectUrl) => App.finish(server, pending, redirectUrl) };
  }

  /**
   * Ends an authorization that began elsewhere, such as before a page was left.
   *
   * @throws as `Started.finish`; `TOKEN_NOT_BOUND` besides, with a key
   */
  static async finish(
    server: Server,
    pending: PendingRedirect,
    redirectUrl: string,
    dpop?: DpopKey,
  ): Promise<App> {
    const { issuer } = await discover(server);
    const { clientId, redirectUri, verifier } = pending;
    const [first] = pending.targets;
    const form = new URLSearchParams({
      grant_type: 'authorization_code',
      client_id: clientId,
      redirect_uri: redirectUri,
      code: codeIn(redirectUrl, pending, issuer),
      code_verifier: verifier,
      ...(first !== undefined && { resource: audienceOf(first) }),
    });
    return App.granted(server, pending, await askForTokens(server.http, form, dpop), dpop);
  }

  /** @internal The app that the first answer of the token endpoint makes. */
  static async granted(
    server: Server,
    pending: Pending,
    answer: TokenAnswer,
    dpop?: DpopKey,
  ): Promise<App> {
    const { clientId, targets } = pending;
    const { uid, email, kBr } = await readGrant(server, answer, pending);
    const [first] = targets;
    const access =
      first === undefined ? {} : { [first]: accessToken(answer, server.platform.now()) };
    const saved = { refreshToken: answer.refresh_token ?? '', access };
    const tokens = new Tokens({ http: server.http, clientId, saved, dpop });
    return new App(server, uid, clientId, kBr, tokens, email);
  }

  /** Takes up what `export` gave. */
  static restore(
    saved: SavedApp,
    options: PlatformOptions,
    keeper?: TokenKeeper,
    dpop?: DpopKey,
  ): App {
    const server = Server.known(saved.server, saved.realm, options);
    const { uid, clientId } = saved;
    const tokens = new Tokens({
      ...{ http: server.http, clientId, dpop },
      ...{ saved: saved.tokens, keeper },
    });
    const kBr = saved.kBr && { kid: saved.kBr.kid, k: fromBase64Url(saved.kBr.k) };
    return new App(server, uid, clientId, kBr, tokens, saved.email);
  }

  /** The app's key. @throws ClientError `no-key` when it asked for none */
  get kBr(): KeyWithId {
    if (this.#kBr) return this.#kBr;
    throw new ClientError('no-key', 0, 'The app did not ask for its key.');
  }

  /** Everything a later run needs; secret. */
  export(): SavedApp {
    const { server, uid, clientId, email, tokens } = this;
    const kBr = this.#kBr;
    return {
      ...{ server: server.url, realm: server.realm, uid, clientId },
      ...(email !== undefined && { email }),
      ...(kBr && { kBr: { kid: kBr.kid, k: toBase64Url(kBr.k) } }),
      tokens: tokens.export(),
    };
  }

  /** Tells whether this app holds this very key. */
  holds(key: KeyWithId | undefined): boolean {
    return key?.kid === this.kBr.kid && equalBytes(key.k, this.kBr.k);
  }

  /**
   * A `fetch` that carries the token for one API, refreshes it once when it is refused (401), and proves the
   * key that it is bound to.
   *
   * @param target - an API of the server, or the address of one of the app's own
   * @param origin - where that API is, when its name does not tell; requests to any other are refused
   * @throws ClientError `foreign-address`
   */
  fetchFor(target: Target, origin?: string): typeof globalThis.fetch {
    const url = target in audiences ? this.server.url : (origin ?? target);
    if (!/^https?:/.test(url)) {
      throw new ClientError('foreign-address', 0, `Where ${target} is must be said.`);
    }
    return this.tokens.fetchFor(target, new URL(url).origin);
  }
}
