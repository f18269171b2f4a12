import { randomBytes, signHawk, toBase64Url } from '#lib/crypto';
import type { Signable } from './http.ts';

/** Signs requests with Hawk credentials; the key is used as raw bytes. */
export function hawk(
  credentials: { id: string; key: Uint8Array },
  { signsPayload }: { signsPayload: boolean },
): (request: Signable) => Promise<string> {
  return ({ method, url, ts, payload }) =>
    signHawk({
      ...credentials,
      ...{ method, url, ts },
      nonce: toBase64Url(randomBytes(9)),
      payload: signsPayload ? payload : undefined,
    });
}
