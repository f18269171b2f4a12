/**
 * The recovery key: 20 random bytes that a person keeps on paper, under which the server stores kB, so that
 * a forgotten password does not lose it.
 *
 *     encryptionKey = HKDF(key, salt: uid, "fxa recovery encrypt key", 32)
 *     recoveryKeyId = HKDF(key, salt: uid, "fxa recovery fingerprint", 16)
 *     recoveryData  = JWE compact(enc A256GCM, alg dir, kid recoveryKeyId; plaintext JSON {kB: hex})
 *
 * @see accounts.md §4; RFC 7518 §4.5
 * @module
 */
import { CompactEncrypt, compactDecrypt } from 'jose';
import { expectLength, isObject } from './checks.ts';
import { fromCrockford, toCrockford } from './crockford.ts';
import { fromHex, fromUtf8, randomBytes, toHex, utf8 } from './encoding.ts';
import { hkdf } from './hkdf.ts';
import { CryptoRefusal } from './refusal.ts';

const LENGTH = 20;
/** The first five bits, 01010, are the letter A in base32: this version of the format. */
const VERSION = 0x50;

const ALGORITHMS = {
  keyManagementAlgorithms: ['dir'],
  contentEncryptionAlgorithms: ['A256GCM'],
};

/** Whose key it is, and for which account. */
interface RecoveryKeyOf {
  /** 20 bytes. */
  key: Uint8Array;
  /** 16 bytes. */
  uid: Uint8Array;
}

/** Makes a recovery key, 20 bytes, whose text begins with A. */
export function generateRecoveryKey(): Uint8Array {
  const key = randomBytes(LENGTH);
  key[0] = VERSION | ((key[0] ?? 0) & 0x07);
  return key;
}

/**
 * Spells a recovery key for people: 32 characters of Crockford's base32 in groups of four.
 *
 * @throws RangeError when the key is not 20 bytes long
 */
export function formatRecoveryKey(key: Uint8Array): string {
  expectLength('The recovery key', key, LENGTH);
  return toCrockford(key).match(/.{4}/g)?.join(' ') ?? '';
}

/**
 * Reads a recovery key as people type it: case, spaces and hyphens do not matter, O is 0, I and L are 1.
 *
 * @returns 20 bytes
 * @throws CryptoRefusal `recovery-key-invalid` when it is no recovery key
 */
export function parseRecoveryKey(text: string): Uint8Array {
  try {
    const key = fromCrockford(text);
    if (key.length !== LENGTH || ((key[0] ?? 0) & 0xf8) !== VERSION) {
      throw new RangeError('It is of another length or version.');
    }
    return key;
  } catch (cause) {
    throw new CryptoRefusal('recovery-key-invalid', 'That is no recovery key.', { cause });
  }
}

/**
 * Derives what the server knows a recovery key by.
 *
 * @returns 16 bytes in hex
 * @throws RangeError when the key or the uid has another length
 */
export function deriveRecoveryKeyId({ key, uid }: RecoveryKeyOf): string {
  return toHex(derive({ key, uid }, 'fxa recovery fingerprint', 16));
}

function derive({ key, uid }: RecoveryKeyOf, info: string, length: number): Uint8Array {
  expectLength('The recovery key', key, LENGTH);
  expectLength('The uid', uid, 16);
  return hkdf(key, uid, info, length);
}

const encryptionKey = (of: RecoveryKeyOf) => derive(of, 'fxa recovery encrypt key', 32);

/**
 * Encrypts kB to a recovery key: the `recoveryData` that the server keeps.
 *
 * @param kB - 32 bytes
 * @returns compact JWE
 * @throws RangeError when an input has another length
 */
export async function sealRecoveryData(of: RecoveryKeyOf, kB: Uint8Array): Promise<string> {
  expectLength('kB', kB, 32);
  return new CompactEncrypt(utf8(JSON.stringify({ kB: toHex(kB) })))
    .setProtectedHeader({ enc: 'A256GCM', alg: 'dir', kid: deriveRecoveryKeyId(of) })
    .encrypt(encryptionKey(of));
}

/**
 * Opens what {@link sealRecoveryData} made.
 *
 * @param jwe - compact JWE
 * @returns kB, 32 bytes
 * @throws RangeError when the key or the uid has another length
 * @throws CryptoRefusal `recovery-data-forged` when it names other algorithms or another key, does not
 * authenticate, or holds anything but kB
 */
export async function openRecoveryData(of: RecoveryKeyOf, jwe: string): Promise<Uint8Array> {
  const [key, id] = [encryptionKey(of), deriveRecoveryKeyId(of)];
  try {
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, key, ALGORITHMS);
    if (protectedHeader.kid !== id) throw new TypeError('It is of another key.');
    if (protectedHeader.zip !== undefined) throw new TypeError('The plaintext is compressed.');
    const said: unknown = JSON.parse(fromUtf8(plaintext));
    const kB = isObject(said) ? said['kB'] : undefined;
    if (typeof kB !== 'string' || !/^[0-9a-f]{64}$/i.test(kB)) throw new TypeError('No kB.');
    return fromHex(kB.toLowerCase());
  } catch (cause) {
    throw new CryptoRefusal('recovery-data-forged', 'The recovery data does not open.', { cause });
  }
}
