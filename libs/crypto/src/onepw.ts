import { expectLength, forWebCrypto } from './checks.ts';
import { randomBytes, toHex, utf8 } from './encoding.ts';
import { hkdf } from './hkdf.ts';

/** The prefix of every label in the onepw protocol. */
export const ONEPW_NAMESPACE = 'identity.mozilla.com/picl/v1/';

const NO_SALT = new Uint8Array();

const derive = (what: string, key: Uint8Array, label: string) => {
  expectLength(what, key, 32);
  return hkdf(key, NO_SALT, ONEPW_NAMESPACE + label, 32);
};

/**
 * Stretches the password on the device, so that it never travels.
 *
 *     quickStretchedPW = PBKDF2-HMAC-SHA256(password, salt: NS + "quickStretch:" + email, 1000 iterations, 32)
 *
 * @param email - byte for byte as the account was created with
 * @param password - taken as typed, not normalised
 * @returns 32 bytes
 * @see onepw protocol, "Client-side key stretching"; RFC 8018 §5.2
 */
export function quickStretch(email: string, password: string): Promise<Uint8Array> {
  return stretch(password, `${ONEPW_NAMESPACE}quickStretch:${email}`, 1000);
}

/**
 * Stretches the password on the device by v2: 650 times the work, and a salt that is random instead of the
 * address. Everything after this step is as in v1.
 *
 *     quickStretchedPW = PBKDF2-HMAC-SHA256(password, clientSalt, 650000 iterations, 32)
 *
 * @param clientSalt - as {@link makeClientSalt} made it and the server keeps it
 * @param password - taken as typed, not normalised
 * @returns 32 bytes
 * @throws RangeError when the salt has another form
 * @see accounts.md §2; RFC 8018 §5.2
 */
export async function quickStretchV2(clientSalt: string, password: string): Promise<Uint8Array> {
  if (!CLIENT_SALT.test(clientSalt)) throw new RangeError('The salt is none of key stretching v2.');
  return stretch(password, clientSalt, 650_000);
}

/** Makes the salt of a new password by v2: the label, then 16 random bytes in hex. */
export function makeClientSalt(): string {
  return SALT_LABEL + toHex(randomBytes(16));
}

const SALT_LABEL = `${ONEPW_NAMESPACE}quickStretchV2:`;
const CLIENT_SALT = new RegExp(`^${SALT_LABEL.replaceAll('.', '\\.')}[0-9a-f]{32}$`);

async function stretch(password: string, salt: string, iterations: number): Promise<Uint8Array> {
  const secret = forWebCrypto(utf8(password));
  const key = await crypto.subtle.importKey('raw', secret, 'PBKDF2', false, ['deriveBits']);
  const parameters = {
    name: 'PBKDF2',
    hash: 'SHA-256',
    salt: forWebCrypto(utf8(salt)),
    iterations,
  };
  return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
}

/**
 * Derives the secret that proves the password to the server.
 *
 *     authPW = HKDF(quickStretchedPW, no salt, NS + "authPW", 32)
 *
 * @param quickStretched - 32 bytes
 * @throws RangeError when the input is not 32 bytes long
 */
export function deriveAuthPW(quickStretched: Uint8Array): Uint8Array {
  return derive('quickStretchedPW', quickStretched, 'authPW');
}

/**
 * Derives the key that unwraps kB. It never leaves the device.
 *
 *     unwrapBKey = HKDF(quickStretchedPW, no salt, NS + "unwrapBkey", 32)
 *     kB = wrapKb XOR unwrapBKey
 *
 * @param quickStretched - 32 bytes
 * @throws RangeError when the input is not 32 bytes long
 */
export function deriveUnwrapBKey(quickStretched: Uint8Array): Uint8Array {
  return derive('quickStretchedPW', quickStretched, 'unwrapBkey');
}

/**
 * Derives what the server stores to check a password, from scrypt(authPW, authSalt).
 *
 *     verifyHash = HKDF(bigStretchedPW, no salt, NS + "verifyHash", 32)
 *
 * @param bigStretched - 32 bytes
 * @throws RangeError when the input is not 32 bytes long
 */
export function deriveVerifyHash(bigStretched: Uint8Array): Uint8Array {
  return derive('bigStretchedPW', bigStretched, 'verifyHash');
}

/**
 * Derives the key that opens the server's half of kB, from scrypt(authPW, authSalt).
 *
 *     wrapwrapKey = HKDF(bigStretchedPW, no salt, NS + "wrapwrapKey", 32)
 *     wrapKb = wrapWrapKb XOR wrapwrapKey
 *
 * @param bigStretched - 32 bytes
 * @throws RangeError when the input is not 32 bytes long
 */
export function deriveWrapwrapKey(bigStretched: Uint8Array): Uint8Array {
  return derive('bigStretchedPW', bigStretched, 'wrapwrapKey');
}
