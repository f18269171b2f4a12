import { randomBytes } from 'node:crypto';
import type { App } from '#lib/client';
import { signHawk, utf8 } from '#lib/crypto';
import { StorageToken } from '#lib/protocol';

/** Storage credentials as an attacker would hold them: in hand, to be used at other addresses. */
export function storageCredentials(app: App): Promise<StorageToken> {
  const ask = { url: '/token/1.0/sync/1.5', headers: { 'x-keyid': app.kBr.kid } };
  return app.tokens.bearing('storage', ask, (signed) => app.server.http.json(signed, StorageToken));
}

/** Asks for any storage address under these credentials. @returns the HTTP status */
export async function fetchFrom(url: string, { id, key }: StorageToken): Promise<number> {
  const authorization = await signHawk({
    ...{ id, key: utf8(key), method: 'GET', url },
    ...{ ts: Math.floor(Date.now() / 1000), nonce: randomBytes(9).toString('base64url') },
  });
  const response = await fetch(url, { headers: { authorization } });
  await response.body?.cancel();
  return response.status;
}
