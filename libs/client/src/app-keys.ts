import { equalBytes } from '#lib/crypto';
import { APP_KEY, generationOf, ScopedKeyData, ScopedKeyDataByScope } from '#lib/protocol';
import type { Account } from './account.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { deriveScopedKeys, type ScopedKey } from './scoped-keys.ts';

/** The key of an app. */
export interface AppKeys {
  current: ScopedKey;
  /** The one before, while there may be something under it. */
  former?: ScopedKey | undefined;
  /** Milliseconds since 1970. */
  rotatedAt: number;
}

/** An app's key that has just replaced another. */
export type RotatedKeys = AppKeys & { former: ScopedKey };

/**
 * The key of an app and, while one hands over to it, the key before.
 *
 * @throws IntegrityError as `Account.scopedKeys`; `KEY_GENERATION_MISMATCH` when the key before is still in use
 * @throws ClientError `no-key` when the app has none
 */
export async function appKeysOf(account: Account, clientId: string): Promise<AppKeys> {
  const json = { client_id: clientId, scope: APP_KEY };
  const ask = { method: 'POST', url: '/auth/v1/account/scoped-key-data', json } as const;
  const { http } = account.server;
  const { [APP_KEY]: data } = await http.json(account.signed(ask), ScopedKeyDataByScope);
  if (!data) throw new ClientError('no-key', 0, 'The app has no key.');
  return derive(account, clientId, data);
}

/**
 * Makes the key of an app another one; on the server everything ends that the app was granted.
 *
 * @throws ClientError with status 409 while one hands over from an earlier rotation
 * @throws IntegrityError `KEY_GENERATION_MISMATCH` when the server gives no new key
 */
export async function rotateAppKey(account: Account, clientId: string): Promise<RotatedKeys> {
  const before = await appKeysOf(account, clientId);
  const url = '/auth/v1/account/scoped-key/rotate';
  const ask = { method: 'POST', url, json: { client_id: clientId }, retry: false } as const;
  const data = await account.server.http.json(account.signed(ask), ScopedKeyData);
  const { former, ...now } = await derive(account, clientId, data);
  if (former && equalBytes(former.k, before.current.k)) return { ...now, former };
  const detail = 'The server replaced another key of the app than this account has.';
  throw new IntegrityError('KEY_GENERATION_MISMATCH', detail);
}

/** Has the server forget the key before, once nothing is under it any more. */
export async function forgetFormerKey(
  account: Account,
  clientId: string,
  { rotatedAt }: AppKeys,
): Promise<void> {
  const json = { client_id: clientId, keyRotationTimestamp: rotatedAt };
  const url = '/auth/v1/account/scoped-key/rotated';
  await account.server.http.run(account.signed({ method: 'POST', url, json }));
}

async function derive(account: Account, clientId: string, data: ScopedKeyData): Promise<AppKeys> {
  const { kB } = await account.fetchKeys();
  const { identifier, former: before, ...now } = data;
  const keyOf = (inputs: typeof now): ScopedKey => {
    const of = { [APP_KEY]: { identifier, ...inputs } };
    const asked = { clientId, asked: APP_KEY };
    const { [APP_KEY]: key } = deriveScopedKeys({ kB, uid: account.uid }, asked, of);
    if (!key) throw new TypeError('There is one key for one scope.');
    return key;
  };
  const current = keyOf(now);
  const former = before && keyOf(before);
  const isLater = !former || generationOf(current.kid) > generationOf(former.kid);
  if (!isLater || (former && equalBytes(current.k, former.k))) {
    const detail = 'The server calls a key of the app replaced that is still in use.';
    throw new IntegrityError('KEY_GENERATION_MISMATCH', detail);
  }
  return { current, former, rotatedAt: now.keyRotationTimestamp };
}
