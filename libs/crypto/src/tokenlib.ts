/**
 * The storage token of Mozilla's tokenlib.
 *
 *     token      = base64url with padding(payload | HMAC-SHA256(sigSecret, payload))      payload is JSON in UTF-8
 *     sigSecret  = HKDF(secret, no salt, "services.mozilla.com/tokenlib/v1/signing", 32)
 *     key        = base64url with padding(HKDF(secret, salt: payload.salt, "services.mozilla.com/tokenlib/v1/derive/" + token, 32))
 *
 * @see sync.md §5.8
 * @module
 */
import { isObject } from './checks.ts';
import { concat, equalBytes, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './encoding.ts';
import { hkdf } from './hkdf.ts';
import { hmacSha256 } from './hmac.ts';

const NAMESPACE = 'services.mozilla.com/tokenlib/v1/';
const SIGNATURE_LENGTH = 32;

const padded = (text: string) => text.padEnd(Math.ceil(text.length / 4) * 4, '=');

function signature(secret: string, payload: Uint8Array): Uint8Array {
  const sigSecret = hkdf(utf8(secret), new Uint8Array(), `${NAMESPACE}signing`, 32);
  return hmacSha256(sigSecret, payload);
}

function split(token: string): { payload: Uint8Array; mac: Uint8Array } | undefined {
  if (token.length % 4 !== 0) return undefined;
  try {
    const bytes = fromBase64Url(token.replace(/={1,2}$/, ''));
    if (bytes.length < SIGNATURE_LENGTH) return undefined;
    const end = bytes.length - SIGNATURE_LENGTH;
    return { payload: bytes.subarray(0, end), mac: bytes.subarray(end) };
  } catch {
    return undefined;
  }
}

function parse(payload: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(fromUtf8(payload));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Signs the exact bytes of a payload. `mintToken` is this over `JSON.stringify`. */
export function signPayload(secret: string, payload: Uint8Array): string {
  return padded(toBase64Url(concat(payload, signature(secret, payload))));
}

/**
 * Mints a token.
 *
 * @param secret - the node's shared secret, used as UTF-8
 * @param payload - needs a member `salt` (text) for `deriveTokenKey`, and `expires` (unix seconds) for its reader
 */
export function mintToken(secret: string, payload: object): string {
  return signPayload(secret, utf8(JSON.stringify(payload)));
}

/**
 * Opens a token under any of the secrets in use. Expiry is the caller's to check.
 *
 * @returns the payload; undefined when the token is malformed or no secret signed it
 */
export function openToken(
  secrets: readonly string[],
  token: string,
): Record<string, unknown> | undefined {
  const parts = split(token);
  if (!parts) return undefined;
  const { payload, mac } = parts;
  return secrets.some((secret) => equalBytes(signature(secret, payload), mac))
    ? parse(payload)
    : undefined;
}

/**
 * Derives the Hawk key that belongs to a token. It reads the salt without checking the signature.
 *
 * @returns the key as text; Hawk uses its ASCII bytes
 * @throws RangeError when the token has no readable salt
 */
export function deriveTokenKey(secret: string, token: string): string {
  const parts = split(token);
  const salt = parts && parse(parts.payload)?.['salt'];
  if (typeof salt !== 'string') throw new RangeError('The token carries no salt.');
  return padded(toBase64Url(hkdf(utf8(secret), utf8(salt), `${NAMESPACE}derive/${token}`, 32)));
}
