import {
  appKeyIdentifier,
  deriveOldSyncKey,
  deriveScopedKey,
  fromBase64Url,
  fromHex,
  fromUtf8,
  type KeysPublicJwk,
  type KeyWithId,
  type ScopedKeyJwk,
  sealScopedKeys,
  toBase64Url,
} from '#lib/crypto';
import { OLD_SYNC, type ScopedKeyDataByScope } from '#lib/protocol';
import { IntegrityError } from './client-error.ts';

/** A key that an app may have. */
export interface ScopedKey extends KeyWithId {
  /** What it was derived for: `app:<client_id>`, or Firefox's scope. */
  identifier: string;
}

/**
 * Derives the keys that an app may have, by scope. An app gets its own kBr and, with Firefox's scope, the
 * Sync key; whatever else the server names is refused.
 *
 * @param asked - the scopes that the app asked for, separated by spaces
 * @param data - the server's answer to `account/scoped-key-data`
 * @throws IntegrityError `KEYS_REPLACED` when the server names the key of another app
 */
export function deriveScopedKeys(
  { kB, uid }: { kB: Uint8Array; uid: string },
  { clientId, asked }: { clientId: string; asked: string },
  data: ScopedKeyDataByScope,
): Record<string, ScopedKey> {
  const keys: Record<string, ScopedKey> = {};
  for (const [name, inputs] of Object.entries(data)) {
    const { identifier, keyRotationSecret, keyRotationTimestamp } = inputs;
    const own = name === OLD_SYNC ? OLD_SYNC : appKeyIdentifier(clientId);
    if (!asked.split(' ').includes(name) || identifier !== own) {
      throw new IntegrityError(
        'KEYS_REPLACED',
        `${clientId} may not have the key of ${identifier} for ${name}.`,
      );
    }
    const key =
      name === OLD_SYNC
        ? deriveOldSyncKey(kB, keyRotationTimestamp)
        : deriveScopedKey({
            ...{ kB, keyRotationTimestamp, identifier },
            keyRotationSecret: fromHex(keyRotationSecret),
            uid: fromHex(uid),
          });
    keys[name] = { ...key, identifier };
  }
  return keys;
}

/**
 * Encrypts keys to the app that asked for them.
 *
 * @param keysJwk - from the app's request: base64url of a public JWK
 * @returns compact JWE
 * @throws CryptoRefusal `key-invalid` when it is no public key on P-256
 */
export function sealKeysFor(
  keysJwk: string,
  keys: Readonly<Record<string, ScopedKey>>,
): Promise<string> {
  const jwk = JSON.parse(fromUtf8(fromBase64Url(keysJwk))) as KeysPublicJwk;
  const sealed = Object.entries(keys).map(([scope, { k, kid, identifier }]) => [
    scope,
    { kty: 'oct', k: toBase64Url(k), kid, scope: identifier } satisfies ScopedKeyJwk,
  ]);
  return sealScopedKeys(jwk, Object.fromEntries(sealed) as Record<string, ScopedKeyJwk>);
}
