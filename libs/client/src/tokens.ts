import { type Api, audiences, TokenAnswer } from '#lib/protocol';
import { ClientError, IntegrityError } from './client-error.ts';
import type { DpopKey } from './dpop.ts';
import type { Ask, Http } from './http.ts';

/** What an access token is for: one of the server's APIs, or an API of the app's own, by its address. */
export type Target = Api | (string & {});

/** What is kept of a sign-in; secret, and to be stored as such. */
export interface SavedTokens {
  refreshToken: string;
  access: Partial<Record<Target, AccessToken | undefined>>;
}

interface AccessToken {
  token: string;
  /** Milliseconds since 1970, on this device. */
  expiresAt: number;
}

/** Keeps tokens where several may use them: a refresh token works once, so users take turns. */
export interface TokenKeeper {
  /** Runs `change` on the newest tokens, alone among all who use them, and keeps what it returns. */
  update(change: (newest: SavedTokens) => Promise<SavedTokens>): Promise<SavedTokens>;
}

/** An access token this close to its end is not used any more, in milliseconds. */
const MARGIN_MS = 30_000;

/** What our APIs, and the token server, say to a token that they do not take. */
const REFUSED = ['unauthenticated', 'invalid-credentials'];

/** The audience of a target (RFC 8707). */
export function audienceOf(target: Target): string {
  return target in audiences ? audiences[target as Api] : target;
}

/**
 * The tokens of one app for one person: a refresh token that changes at every use, and one access token for
 * each API. Refreshing is done by one request at a time, since an old refresh token ends the whole sign-in.
 */
export class Tokens {
  readonly #http: Http;
  readonly #clientId: string;
  readonly #keeper: TokenKeeper;
  readonly #dpop: DpopKey | undefined;
  #saved: SavedTokens;
  #turn: Promise<unknown> = Promise.resolve();
  /** The access token of each API that the server did not take, lest the keeper hand it out again. */
  readonly #refused = new Map<Target, string>();

  constructor(input: {
    http: Http;
    clientId: string;
    saved: SavedTokens;
    /** Needed when another process may use the same tokens, or a later one shall. */
    keeper?: TokenKeeper | undefined;
    /** The key that the tokens are bound to. */
    dpop?: DpopKey | undefined;
  }) {
    this.#http = input.http;
    this.#clientId = input.clientId;
    this.#saved = input.saved;
    this.#dpop = input.dpop;
    this.#keeper = input.keeper ?? { update: (change) => change(this.#saved) };
  }

  /** What to keep, for the constructor of a later run. */
  export(): SavedTokens {
    return this.#saved;
  }

  /**
   * An access token for one API, fetched when there is none that still holds.
   *
   * @throws ClientError `invalid_grant` when the person has to sign in again
   */
  async for(target: Target): Promise<string> {
    const known = this.#current(target);
    if (known !== undefined) return known;
    const turn = this.#turn.then(() => this.#refreshUnlessDone(target));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Forgets an access token that the server did not take; the next call of `for` fetches another. */
  drop(target: Target, token: string): void {
    this.#refused.set(target, token);
    this.#saved = without(this.#saved, target, token);
  }

  /**
   * Sends a request with this API's token, and once more with a new one when it is refused.
   *
   * @param send - sends what it is given, with the method of {@link Http} that fits
   */
  async bearing<T>(target: Target, ask: Ask, send: (ask: Ask) => Promise<T>): Promise<T> {
    const token = await this.for(target);
    try {
      return await send(this.#with(token, ask));
    } catch (error) {
      const isRefused = error instanceof ClientError && REFUSED.includes(error.code);
      if (!isRefused || ask.stream) throw error;
      this.drop(target, token);
      return send(this.#with(await this.for(target), ask));
    }
  }

  /**
   * A `fetch` that carries this API's token, and once more a new one when it is refused (401).
   *
   * It follows no redirect: one is an error, as with `redirect: 'error'`, or shown with `'manual'`.
   *
   * @param origin - the only origin that it goes to, lest the token leak
   * @throws ClientError `foreign-address` for any other
   */
  fetchFor(target: Target, origin: string): typeof globalThis.fetch {
    return async (input, init) => {
      const asked = init?.redirect ?? (input instanceof Request ? input.redirect : undefined);
      // What is sent is for this origin; the browser would take it wherever it is led.
      const redirect = asked === 'manual' ? asked : 'error';
      const first = new Request(input, { ...init, redirect });
      if (new URL(first.url).origin !== origin) {
        const detail = `A token for ${target} goes to ${origin} alone.`;
        throw new ClientError('foreign-address', 0, detail);
      }
      // A body that streams is gone with the first attempt.
      const isOnce = init?.body instanceof ReadableStream || input instanceof Request;
      const again = isOnce && first.body !== null ? undefined : first.clone();
      const token = await this.for(target);
      const response = await this.#fetchWith(token, first, again?.clone());
      if (response.status !== 401 || !again) return response;
      await response.body?.cancel();
      this.drop(target, token);
      return this.#fetchWith(await this.for(target), again);
    };
  }

  /** Ends the sign-in on the server: the refresh token, and every token that came of it. */
  async revoke(): Promise<void> {
    const form = new URLSearchParams({
      token: this.#saved.refreshToken,
      token_type_hint: 'refresh_token',
      client_id: this.#clientId,
    });
    await this.#http.run({ method: 'POST', url: '/oauth2/revoke', form });
  }

  #with(token: string, ask: Ask): Ask {
    const key = this.#dpop;
    if (!key) return { ...ask, authorization: () => `Bearer ${token}` };
    return { ...ask, authorization: () => `DPoP ${token}`, dpop: { key, token } };
  }

  /** @param again - sent when the API wants a nonce of its own in the proof */
  async #fetchWith(token: string, request: Request, again?: Request): Promise<Response> {
    const { method, url } = request;
    request.headers.set('authorization', `${this.#dpop ? 'DPoP' : 'Bearer'} ${token}`);
    if (this.#dpop) {
      const ts = this.#http.serverSeconds();
      request.headers.set('dpop', await this.#dpop.proof({ method, url, ts, token }));
    }
    const response = await this.#http.fetch(request);
    const isNew = this.#dpop?.learn(url, response.headers) ?? false;
    const says = response.headers.get('www-authenticate') ?? '';
    if (!isNew || !again || !says.includes('use_dpop_nonce')) return response;
    await response.body?.cancel();
    return this.#fetchWith(token, again);
  }

  #current(target: Target): string | undefined {
    const known = this.#saved.access[target];
    const holds = known && known.expiresAt - MARGIN_MS > this.#http.now();
    return holds ? known.token : undefined;
  }

  async #refreshUnlessDone(target: Target): Promise<string> {
    const known = this.#current(target);
    if (known !== undefined) return known;
    const refused = this.#refused.get(target);
    this.#saved = await this.#keeper.update(async (newest) => {
      // Another process may have been faster.
      this.#saved = refused === undefined ? newest : without(newest, target, refused);
      if (this.#current(target) !== undefined) return this.#saved;
      return this.#refresh(target, newest);
    });
    const token = this.#saved.access[target]?.token;
    if (token === undefined) throw new TypeError('The keeper lost the token.');
    return token;
  }

  async #refresh(target: Target, newest: SavedTokens): Promise<SavedTokens> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: this.#clientId,
      refresh_token: newest.refreshToken,
      resource: audienceOf(target),
    });
    const answer = await askForTokens(this.#http, form, this.#dpop).catch(inWords);
    return {
      refreshToken: answer.refresh_token ?? newest.refreshToken,
      access: { ...newest.access, [target]: accessToken(answer, this.#http.now()) },
    };
  }
}

/**
 * Asks the token endpoint, with a proof of the key when there is one.
 *
 * @throws IntegrityError `TOKEN_NOT_BOUND` when the token is good without the key
 * @throws ClientError the OAuth error
 */
export async function askForTokens(
  http: Http,
  form: URLSearchParams,
  key: DpopKey | undefined,
): Promise<TokenAnswer> {
  const ask: Ask = { method: 'POST', url: '/oauth2/token', form, ...(key && { dpop: { key } }) };
  const answer = await http.json(ask, TokenAnswer);
  if (key && answer.token_type.toLowerCase() !== 'dpop') {
    throw new IntegrityError('TOKEN_NOT_BOUND', 'The token is not bound to the app’s key.');
  }
  return answer;
}

/** Of a refresh token, there is one reason only, and the protocol's words for it help nobody. */
function inWords(error: unknown): never {
  if (!(error instanceof ClientError) || error.code !== 'invalid_grant') throw error;
  const detail = 'The sign-in has ended on the server: sign in again.';
  throw new ClientError(error.code, error.status, detail, error.extra, { cause: error });
}

/** The tokens, less an access token that was refused. */
function without(saved: SavedTokens, target: Target, token: string): SavedTokens {
  if (saved.access[target]?.token !== token) return saved;
  return { ...saved, access: { ...saved.access, [target]: undefined } };
}

/** Notes when a token that was just received ends, by this device's clock. */
export function accessToken(answer: TokenAnswer, now: number): AccessToken {
  return { token: answer.access_token, expiresAt: now + answer.expires_in * 1000 };
}
