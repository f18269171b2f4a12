import { createHash, randomUUID } from 'node:crypto';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

/** What a proof says, each part open to be spoilt by a test. */
export interface ProofParts {
  header?: Record<string, unknown>;
  claims?: Record<string, unknown>;
}

/** A key that tokens are bound to, and its proofs. */
export class DpopKey {
  private constructor(
    private readonly alg: string,
    readonly privateKey: CryptoKey,
    readonly jwk: object,
  ) {}

  static async make(alg: 'ES256' | 'EdDSA' | 'ES384' = 'ES256'): Promise<DpopKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
    return new DpopKey(alg, privateKey, await exportJWK(publicKey));
  }

  /** @param token - the access token, where one is shown */
  proof(method: string, url: string, token?: string, parts: ProofParts = {}): Promise<string> {
    const ath = token && createHash('sha256').update(token).digest('base64url');
    return new SignJWT({
      ...{ jti: randomUUID(), htm: method, htu: url, iat: Math.floor(Date.now() / 1000) },
      ...(ath !== undefined && { ath }),
      ...parts.claims,
    })
      .setProtectedHeader({ alg: this.alg, typ: 'dpop+jwt', jwk: this.jwk, ...parts.header })
      .sign(this.privateKey);
  }
}
