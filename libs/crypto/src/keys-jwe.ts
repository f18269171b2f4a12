import { CompactEncrypt, compactDecrypt, importJWK } from 'jose';

import { isObject } from './checks.ts';
import { fromUtf8, utf8 } from './encoding.ts';
import { CryptoRefusal } from './refusal.ts';

/** The ephemeral P-256 key an application sends as `keys_jwk`. Members not listed are ignored. */
export interface KeysPublicJwk {
  kty: 'EC';
  crv: 'P-256';
  x: string;
  y: string;
  kid?: string;
}

/** The private half, which stays with the application until the token endpoint answers. */
export interface KeysPrivateJwk extends KeysPublicJwk {
  d: string;
}

/** One scope's key, as it travels. */
export interface ScopedKeyJwk {
  kty: 'oct';
  /** Base64url. */
  k: string;
  kid: string;
  /** What it was derived for; the identifier, which for an app is not the name of the OAuth scope. */
  scope?: string;
}

const ALGORITHMS = {
  keyManagementAlgorithms: ['ECDH-ES'],
  contentEncryptionAlgorithms: ['A256GCM'],
};

const pick = ({ kty, crv, x, y }: KeysPublicJwk) => ({ kty, crv, x, y });

/** Makes the ephemeral pair for one authorization. */
export async function generateKeysJwk(): Promise<{
  publicJwk: KeysPublicJwk;
  privateJwk: KeysPrivateJwk;
}> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDH', namedCurve: 'P-256' }, true, [
    'deriveBits',
  ]);
  const { x = '', y = '', d = '' } = await crypto.subtle.exportKey('jwk', pair.privateKey);
  const publicJwk: KeysPublicJwk = { kty: 'EC', crv: 'P-256', x, y };
  return { publicJwk, privateJwk: { ...publicJwk, d } };
}

/**
 * Encrypts scoped keys to the application that asked for them.
 *
 *     keys_jwe = JWE compact(alg ECDH-ES, enc A256GCM, epk, kid of the recipient; plaintext JSON {scope: key})
 *
 * @param keysJwk - the application's public key
 * @returns compact JWE
 * @throws CryptoRefusal `key-invalid` when the key is no point on P-256 or carries a private part
 * @see RFC 7516 §3.1; RFC 7518 §4.6; accounts.md §4
 */
export async function sealScopedKeys(
  keysJwk: KeysPublicJwk,
  keys: Readonly<Record<string, ScopedKeyJwk>>,
): Promise<string> {
  const { kid } = keysJwk;
  const key = await importPublic(keysJwk);
  return new CompactEncrypt(utf8(JSON.stringify(keys)))
    .setProtectedHeader({ alg: 'ECDH-ES', enc: 'A256GCM', ...(kid !== undefined && { kid }) })
    .encrypt(key);
}

async function importPublic(keysJwk: KeysPublicJwk) {
  try {
    if ('d' in keysJwk) throw new TypeError('It carries a private part.');
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- the key comes from a URL
    if (keysJwk.kty !== 'EC' || keysJwk.crv !== 'P-256') throw new TypeError('It is not on P-256.');
    return await importJWK(pick(keysJwk), 'ECDH-ES');
  } catch (cause) {
    throw new CryptoRefusal('key-invalid', 'keys_jwk is no public key on P-256.', { cause });
  }
}

/**
 * Opens what `sealScopedKeys` made.
 *
 * @param jwe - compact JWE
 * @returns the keys by scope
 * @throws CryptoRefusal `scoped-keys-forged` when it names other algorithms, does not authenticate, or holds
 * anything but keys
 */
export async function openScopedKeys(
  jwe: string,
  privateJwk: KeysPrivateJwk,
): Promise<Record<string, ScopedKeyJwk>> {
  const key = await importJWK({ ...pick(privateJwk), d: privateJwk.d }, 'ECDH-ES');
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, key, ALGORITHMS);
    if (protectedHeader.zip !== undefined) throw new TypeError('The plaintext is compressed.');
    const keys: unknown = JSON.parse(fromUtf8(plaintext));
    if (!isObject(keys) || !Object.values(keys).every(isScopedKey)) {
      throw new TypeError('The plaintext does not hold keys by scope.');
    }
    return keys as Record<string, ScopedKeyJwk>;
  } catch (cause) {
    throw new CryptoRefusal('scoped-keys-forged', 'The scoped keys do not open.', { cause });
  }
}

function isScopedKey(value: unknown): value is ScopedKeyJwk {
  if (!isObject(value) || value['kty'] !== 'oct') return false;
  return typeof value['k'] === 'string' && typeof value['kid'] === 'string';
}
