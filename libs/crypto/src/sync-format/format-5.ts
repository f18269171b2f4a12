/**
 * A record of Storage Format 5, as the storage server sees it, the JSON text
 *
 *     {"ciphertext": base64, "IV": base64(16), "hmac": hex(32)}
 *
 * | field | is |
 * | --- | --- |
 * | ciphertext | AES-256-CBC with PKCS#7 padding of the cleartext, a JSON object in UTF-8 |
 * | IV | drawn for each record; **not authenticated** |
 * | hmac | HMAC-SHA256 of the base64 text of the ciphertext, lower-case hex |
 *
 * @see sync.md §6.3.4; docs/protocol/sync-format.md
 * @module
 */
import { cbc } from '@noble/ciphers/aes.js';
import { expectLength, isObject } from '../checks.ts';
import {
  equalBytes,
  fromBase64,
  fromUtf8,
  randomBytes,
  toBase64,
  toHex,
  utf8,
} from '../encoding.ts';
import { hmacSha256 } from '../hmac.ts';
import { CryptoRefusal } from '../refusal.ts';
import type { KeyBundle } from './key-bundle.ts';

/** What the payload of a record says. */
export interface Format5Envelope {
  ciphertext: string;
  IV: string;
  hmac: string;
}

const IV_LENGTH = 16;
/**
 * Whoever stores a record can change its first block at will, because the IV is not authenticated; in most
 * records that block holds the id. Ours begin with a block of spaces, which JSON ignores: changed into
 * anything else, what follows is no JSON any more.
 */
const FIRST_BLOCK = ' '.repeat(16);

/**
 * Encrypts bytes into an envelope.
 *
 * @param iv - 16 bytes; given by tests only
 * @throws RangeError when the IV is not 16 bytes long
 */
export function encryptFormat5(
  cleartext: Uint8Array,
  { encryptionKey, hmacKey }: KeyBundle,
  iv = randomBytes(IV_LENGTH),
): Format5Envelope {
  expectLength('The IV', iv, IV_LENGTH);
  const ciphertext = toBase64(cbc(encryptionKey, iv).encrypt(cleartext));
  return { ciphertext, IV: toBase64(iv), hmac: toHex(hmacSha256(hmacKey, utf8(ciphertext))) };
}

/**
 * Checks and decrypts an envelope. The HMAC is checked first: nothing is decrypted that does not pass.
 *
 * @param payload - the BSO's payload. An IV of more than 16 bytes is cut, as Firefox does
 * @throws CryptoRefusal `sync-record-forged` when it is malformed, changed or under another key
 */
export function decryptFormat5(payload: string, { encryptionKey, hmacKey }: KeyBundle): Uint8Array {
  try {
    const { ciphertext, IV, hmac } = readEnvelope(payload);
    const expected = toHex(hmacSha256(hmacKey, utf8(ciphertext)));
    if (!equalBytes(utf8(expected), utf8(hmac))) throw new RangeError('The HMAC is wrong.');
    const iv = fromBase64(IV).subarray(0, IV_LENGTH);
    return cbc(encryptionKey, iv).decrypt(fromBase64(ciphertext));
  } catch (cause) {
    const message = 'The record is not under this key, or was changed.';
    throw new CryptoRefusal('sync-record-forged', message, { cause });
  }
}

/** Seals a record. @returns the BSO's payload */
export function sealFormat5(
  record: Readonly<Record<string, unknown>> & { id: string },
  bundle: KeyBundle,
): string {
  return JSON.stringify(encryptFormat5(utf8(FIRST_BLOCK + JSON.stringify(record)), bundle));
}

/**
 * Opens the record that was stored under an id.
 *
 * @throws CryptoRefusal `sync-record-forged` as `decryptFormat5`, or when it is no JSON object;
 * `sync-record-misplaced` when it was made for another id
 */
export function openFormat5(
  payload: string,
  { id, bundle }: { id: string; bundle: KeyBundle },
): Record<string, unknown> & { id: string } {
  return readRecord(decryptFormat5(payload, bundle), id);
}

/**
 * Puts a record under another key, its cleartext unchanged to the byte.
 *
 * @throws CryptoRefusal as `openFormat5`, when it does not open under the key it is said to have
 */
export function resealFormat5(
  payload: string,
  { id, from, to }: { id: string; from: KeyBundle; to: KeyBundle },
): string {
  const cleartext = decryptFormat5(payload, from);
  readRecord(cleartext, id);
  return JSON.stringify(encryptFormat5(cleartext, to));
}

function readEnvelope(payload: string): Format5Envelope {
  const value: unknown = JSON.parse(payload);
  if (!isObject(value)) throw new TypeError('The payload is no object.');
  const { ciphertext, IV, hmac } = value;
  if (typeof ciphertext === 'string' && typeof IV === 'string' && typeof hmac === 'string') {
    return { ciphertext, IV, hmac };
  }
  throw new TypeError('The payload lacks a field.');
}

function readRecord(cleartext: Uint8Array, id: string): Record<string, unknown> & { id: string } {
  let record: unknown;
  try {
    record = JSON.parse(fromUtf8(cleartext));
    if (!isObject(record)) throw new TypeError('The cleartext is no object.');
  } catch (cause) {
    throw new CryptoRefusal('sync-record-forged', 'The record holds no JSON object.', { cause });
  }
  if (record['id'] === id) return { ...record, id };
  throw new CryptoRefusal('sync-record-misplaced', 'The record was made for another id.');
}
