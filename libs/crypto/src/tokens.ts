import { expectLength } from './checks.ts';
import { concat, equalBytes, xor } from './encoding.ts';
import { hkdf } from './hkdf.ts';
import { hmacSha256 } from './hmac.ts';
import { ONEPW_NAMESPACE } from './onepw.ts';
import { CryptoRefusal } from './refusal.ts';

/** The bearer secrets of the auth server. */
export type TokenKind =
  | 'sessionToken'
  | 'keyFetchToken'
  | 'accountResetToken'
  | 'passwordForgotToken'
  | 'passwordChangeToken';

/** What a token becomes; the server stores these and forgets the token. 32 bytes each. */
export interface DerivedToken {
  id: Uint8Array;
  reqHMACkey: Uint8Array;
  bundleKey: Uint8Array;
}

/** The account's two master keys as they travel: kA in clear, kB still wrapped. 32 bytes each. */
export interface KeysBundle {
  kA: Uint8Array;
  wrapKb: Uint8Array;
}

const NO_SALT = new Uint8Array();

/**
 * Derives the id, the request-signing key and the bundle key of a bearer secret.
 *
 *     HKDF(token, no salt, NS + kind, 96) = tokenId(32) | reqHMACkey(32) | bundleKey(32)
 *
 * @param token - 32 bytes
 * @throws RangeError when the token is not 32 bytes long
 * @see onepw protocol, "Tokens"
 */
export function deriveToken(token: Uint8Array, kind: TokenKind): DerivedToken {
  expectLength(kind, token, 32);
  const okm = hkdf(token, NO_SALT, ONEPW_NAMESPACE + kind, 96);
  return { id: okm.slice(0, 32), reqHMACkey: okm.slice(32, 64), bundleKey: okm.slice(64) };
}

function responseKeys(bundleKey: Uint8Array): { hmacKey: Uint8Array; xorKey: Uint8Array } {
  expectLength('The bundle key', bundleKey, 32);
  const okm = hkdf(bundleKey, NO_SALT, `${ONEPW_NAMESPACE}account/keys`, 96);
  return { hmacKey: okm.slice(0, 32), xorKey: okm.slice(32) };
}

/**
 * Encrypts the account's keys for the device that holds the keyFetchToken.
 *
 *     HKDF(bundleKey, no salt, NS + "account/keys", 96) = respHMACkey(32) | respXORkey(64)
 *     ct = (kA | wrapKb) XOR respXORkey
 *     mac = HMAC-SHA256(respHMACkey, ct)
 *
 * @returns ct | mac, 96 bytes
 * @throws RangeError when a key is not 32 bytes long
 * @see onepw protocol, "Fetching the keys"
 */
export function bundleKeys(bundleKey: Uint8Array, kA: Uint8Array, wrapKb: Uint8Array): Uint8Array {
  expectLength('kA', kA, 32);
  expectLength('wrapKb', wrapKb, 32);
  const { hmacKey, xorKey } = responseKeys(bundleKey);
  const ct = xor(concat(kA, wrapKb), xorKey);
  return concat(ct, hmacSha256(hmacKey, ct));
}

/**
 * Opens what `bundleKeys` made.
 *
 * @param bundle - ct | mac, 96 bytes
 * @throws RangeError when the bundle key is not 32 bytes long
 * @throws CryptoRefusal `bundle-forged` when the bundle has another length or its MAC is wrong
 */
export function openKeysBundle(bundleKey: Uint8Array, bundle: Uint8Array): KeysBundle {
  const { hmacKey, xorKey } = responseKeys(bundleKey);
  const ct = bundle.subarray(0, 64);
  if (!equalBytes(hmacSha256(hmacKey, ct), bundle.subarray(64))) {
    throw new CryptoRefusal('bundle-forged', 'The bundle of account keys is not authentic.');
  }
  const keys = xor(ct, xorKey);
  return { kA: keys.slice(0, 32), wrapKb: keys.slice(32) };
}
