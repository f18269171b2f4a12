import { exportJWK, type JWK, SignJWT } from 'jose';
import { randomBytes, sha256, toBase64Url, utf8 } from '#lib/crypto';

/** A request that a proof is for. */
export interface Proved {
  method: string;
  url: string;
  /** The server's time, in whole seconds since 1970. */
  ts: number;
  /** The access token that goes along; none at the token endpoint. */
  token?: string | undefined;
}

/**
 * The key that an app's tokens are bound to: who steals a token alone can do nothing with it. The private half
 * cannot be read out of WebCrypto, unless it was made to be kept in a file.
 *
 * @see RFC 9449
 */
export class DpopKey {
  /** The newest nonce of each server that wants one, by origin. */
  readonly #nonces = new Map<string, string>();
  #publicJwk: Promise<JWK> | undefined;

  constructor(
    /** ECDSA on P-256; what a store keeps. */
    readonly pair: CryptoKeyPair,
  ) {}

  /** @param extractable - true where the key can be kept only as text */
  static async make({ extractable = false } = {}): Promise<DpopKey> {
    const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
    return new DpopKey(await crypto.subtle.generateKey(algorithm, extractable, ['sign', 'verify']));
  }

  /** The `DPoP` header of one request; a proof is good once. */
  async proof({ method, url, ts, token }: Proved): Promise<string> {
    const { origin, pathname } = new URL(url);
    this.#publicJwk ??= exportJWK(this.pair.publicKey);
    const nonce = this.#nonces.get(origin);
    return new SignJWT({
      jti: toBase64Url(randomBytes(16)),
      htm: method,
      htu: origin + pathname,
      ...(token !== undefined && { ath: toBase64Url(sha256(utf8(token))) }),
      ...(nonce !== undefined && { nonce }),
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await this.#publicJwk })
      .setIssuedAt(ts)
      .sign(this.pair.privateKey);
  }

  /** Takes the nonce that an answer may bring. @returns whether it is another than before */
  learn(url: string, headers: Headers): boolean {
    const nonce = headers.get('dpop-nonce');
    const { origin } = new URL(url);
    if (nonce === null || nonce === this.#nonces.get(origin)) return false;
    this.#nonces.set(origin, nonce);
    return true;
  }
}
