import { type Api, audiences, TokenAnswer } from '#lib/protocol';
import { ClientError } from './client-error.ts';
import type { Ask, Http } from './http.ts';

/** What is kept of a sign-in; secret, and to be stored as such. */
export interface SavedTokens {
  refreshToken: string;
  access: Partial<Record<Api, AccessToken>>;
}

interface AccessToken {
  token: string;
  /** Milliseconds since 1970, on this device. */
  expiresAt: number;
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
  readonly #access: Partial<Record<Api, AccessToken>>;
  readonly #onChange: (saved: SavedTokens) => void | Promise<void>;
  #refreshToken: string;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(input: {
    http: Http;
    clientId: string;
    saved: SavedTokens;
    /** Called, and waited for, whenever there is something new to keep. */
    onChange?: ((saved: SavedTokens) => void | Promise<void>) | undefined;
  }) {
    this.#http = input.http;
    this.#clientId = input.clientId;
    this.#refreshToken = input.saved.refreshToken;
    this.#access = { ...input.saved.access };
    this.#onChange = input.onChange ?? (() => undefined);
  }

  /** What to keep, for the constructor of a later run. */
  export(): SavedTokens {
    return { refreshToken: this.#refreshToken, access: { ...this.#access } };
  }

  /**
   * An access token for one API, fetched when there is none that still holds.
   *
   * @throws ClientError `invalid_grant` when the person has to sign in again
   */
  async for(api: Api): Promise<string> {
    const known = this.#access[api];
    if (known && known.expiresAt - MARGIN_MS > this.#http.now()) return known.token;
    const turn = this.#turn.then(() => this.#refreshUnlessDone(api));
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  /** Forgets an access token that the server did not take; the next call of `for` fetches another. */
  drop(api: Api, token: string): void {
    if (this.#access[api]?.token === token) this.#access[api] = undefined;
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
      token: this.#refreshToken,
      token_type_hint: 'refresh_token',
      client_id: this.#clientId,
    });
    await this.#http.run({ method: 'POST', url: '/oauth2/revoke', form });
  }

  async #refreshUnlessDone(api: Api): Promise<string> {
    const known = this.#access[api];
    if (known && known.expiresAt - MARGIN_MS > this.#http.now()) return known.token;
    const form = new URLSearchParams({
      grant_type: 'refresh_token',
      client_id: this.#clientId,
      refresh_token: this.#refreshToken,
      resource: audiences[api],
    });
    const answer = await this.#http.json(
      { method: 'POST', url: '/oauth2/token', form },
      TokenAnswer,
    );
    this.#refreshToken = answer.refresh_token ?? this.#refreshToken;
    this.#access[api] = accessToken(answer, this.#http.now());
    await this.#onChange(this.export());
    return answer.access_token;
  }
}

/** Notes when a token that was just received ends, by this device's clock. */
export function accessToken(answer: TokenAnswer, now: number): AccessToken {
  return { token: answer.access_token, expiresAt: now + answer.expires_in * 1000 };
}
