import { type Api, audiences, TokenAnswer } from '#lib/protocol';
import { ClientError } from './client-error.ts';
import type { Ask, Http } from './http.ts';

/** What is kept of a sign-in; secret, and to be stored as such. */
export interface SavedTokens {
  refreshToken: string;
  access: Partial<Record<Api, AccessToken | undefined>>;
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

/**
 * The tokens of one app for one person: a refresh token that changes at every use, and one access token for
 * each API. Refreshing is done by one request at a time, since an old refresh token ends the whole sign-in.
 */
export class Tokens {
  readonly #http: Http;
  readonly #clientId: string;
  readonly #keeper: TokenKeeper;
  #saved: SavedTokens;
  #turn: Promise<unknown> = Promise.resolve();
  /** The access token of each API that the server did not take, lest the keeper hand it out again. */
  readonly #refused = new Map<Api, string>();

  constructor(input: {
    http: Http;
    clientId: string;
    saved: SavedTokens;
    /** Needed when another process may use the same tokens, or a later one shall. */
    keeper?: TokenKeeper | undefined;
  }) {
    this.#http = input.http;
    this.#clientId = input.clientId;
    this.#saved = input.saved;
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
  async for(api: Api): Promise<string> {
    const known = this.#current(api);
    if (known !== undefined) return known;
    const turn = this.#turn.then(() => this.#refreshUnlessDone(api));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Forgets an access token that the server did not take; the next call of `for` fetches another. */
  drop(api: Api, token: string): void {
    this.#refused.set(api, token);
    this.#saved = without(this.#saved, api, token);
  }

  /**
   * Sends a request with this API's token, and once more with a new one when it is refused.
   *
   * @param send - sends what it is given, with the method of {@link Http} that fits
   */
  async bearing<T>(api: Api, ask: Ask, send: (ask: Ask) => Promise<T>): Promise<T> {
    const token = await this.for(api);
    try {
      return await send({ ...ask, authorization: () => `Bearer ${token}` });
    } catch (error) {
      const isRefused = error instanceof ClientError && error.code === 'unauthenticated';
      if (!isRefused || ask.stream) throw error;
      this.drop(api, token);
      const fresh = await this.for(api);
      return send({ ...ask, authorization: () => `Bearer ${fresh}` });
    }
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

  #current(api: Api): string | undefined {
    const known = this.#saved.access[api];
    const holds = known && known.expiresAt - MARGIN_MS > this.#http.now();
    return holds ? known.token : undefined;
  }

  async #refreshUnlessDone(api: Api): Promise<string> {
    const known = this.#current(api);
    if (known !== undefined) return known;
    const refused = this.#refused.get(api);
    this.#saved = await this.#keeper.update(async (newest) => {
      // Another process may have been faster.
      this.#saved = refused === undefined ? newest : without(newest, api, refused);
      if (this.#current(api) !== undefined) return this.#saved;
      return this.#refresh(api, newest);
    });
    const token = this.#saved.access[api]?.token;
    if (token === undefined) throw new TypeError('The keeper lost the token.');
    return token;
  }

  async #refresh(api: Api, newest: SavedTokens): Promise<SavedTokens> {
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: this.#clientId,
      refresh_token: newest.refreshToken,
      resource: audiences[api],
    });
    const ask: Ask = { method: 'POST', url: '/oauth2/token', form };
    const answer = await this.#http.json(ask, TokenAnswer);
    return {
      refreshToken: answer.refresh_token ?? newest.refreshToken,
      access: { ...newest.access, [api]: accessToken(answer, this.#http.now()) },
    };
  }
}

/** The tokens, less an access token that was refused. */
function without(saved: SavedTokens, api: Api, token: string): SavedTokens {
  if (saved.access[api]?.token !== token) return saved;
  return { ...saved, access: { ...saved.access, [api]: undefined } };
}

/** Notes when a token that was just received ends, by this device's clock. */
export function accessToken(answer: TokenAnswer, now: number): AccessToken {
  return { token: answer.access_token, expiresAt: now + answer.expires_in * 1000 };
}
