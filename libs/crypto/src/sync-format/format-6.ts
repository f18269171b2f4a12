/**
 * Storage Format 6, the proposal that was never shipped: Encrypted Data is one base64 text,
 *
 *     base64( HMAC(32) | IV(16) | ciphertext )
 *
 * with HMAC-SHA256 over the bytes `IV | ciphertext`, and AES-256-CBC. Every collection has a Collection Key
 * Bundle of its own, and there is no default. A crypto record maps collections to their bundles, in one of
 * two layouts; ENC is Encrypted Data of a bundle's 64 bytes under the Key-Encrypting Key Bundle:
 *
 * | layout | crypto record |
 * | --- | --- |
 * | 1 | `{"collections": {name: ENC}, "encryptingKey"?: ENC}` |
 * | 2 | `{"data": Encrypted Data of the JSON {name: ENC}, "encryptingKey"?: ENC}` |
 *
 * `encryptingKey` is the Key-Encrypting Key Bundle under the Sync Key; without it, the Sync Key itself is
 * that bundle.
 *
 * @see sync.md §6.5; docs/protocol/sync-format.md
 * @module
 */
import { cbc } from '@noble/ciphers/aes.js';
import { expectLength, isObject } from '../checks.ts';
import {
  concat,
  equalBytes,
  fromBase64,
  fromUtf8,
  randomBytes,
  toBase64,
  utf8,
} from '../encoding.ts';
import { hmacSha256 } from '../hmac.ts';
import { CryptoRefusal } from '../refusal.ts';
import { type KeyBundle, keyBundleFromBytes, keyBundleToBytes } from './key-bundle.ts';

const HMAC_LENGTH = 32;
const IV_LENGTH = 16;
const BUNDLE_LENGTH = 64;

/**
 * Encrypts bytes; a record's payload is this text.
 *
 * @param iv - 16 bytes; given by tests only
 * @throws RangeError when the IV is not 16 bytes long
 */
export function sealFormat6(
  cleartext: Uint8Array,
  { encryptionKey, hmacKey }: KeyBundle,
  iv = randomBytes(IV_LENGTH),
): string {
  expectLength('The IV', iv, IV_LENGTH);
  const sealed = concat(iv, cbc(encryptionKey, iv).encrypt(cleartext));
  return toBase64(concat(hmacSha256(hmacKey, sealed), sealed));
}

/**
 * Checks and decrypts Encrypted Data; nothing is decrypted that does not pass.
 *
 * @throws CryptoRefusal `sync-record-forged` when it is malformed, changed or under another key
 */
export function openFormat6(text: string, { encryptionKey, hmacKey }: KeyBundle): Uint8Array {
  try {
    const bytes = fromBase64(text);
    const sealed = bytes.subarray(HMAC_LENGTH);
    if (!equalBytes(bytes.subarray(0, HMAC_LENGTH), hmacSha256(hmacKey, sealed))) {
      throw new RangeError('The HMAC is wrong.');
    }
    const iv = sealed.subarray(0, IV_LENGTH);
    return cbc(encryptionKey, iv).decrypt(sealed.subarray(IV_LENGTH));
  } catch (cause) {
    const message = 'The data is not under this key, or was changed.';
    throw new CryptoRefusal('sync-record-forged', message, { cause });
  }
}

/** What a crypto record says. */
export interface CryptoRecord {
  layout: 1 | 2;
  /** The Collection Key Bundle of each collection. */
  bundles: ReadonlyMap<string, KeyBundle>;
  /** The Key-Encrypting Key Bundle; left out when it is the Sync Key. */
  encryptingKey?: KeyBundle | undefined;
}

/** Seals a crypto record under the Sync Key. @returns the JSON text of the record */
export function sealCryptoRecord(record: CryptoRecord, syncKey: KeyBundle): string {
  const { layout, bundles, encryptingKey } = record;
  const wrappingKey = encryptingKey ?? syncKey;
  const collections = Object.fromEntries(
    [...bundles].map(([name, bundle]) => [name, sealBundle(bundle, wrappingKey)] as const),
  );
  const mapping =
    layout === 1
      ? { collections }
      : { data: sealFormat6(utf8(JSON.stringify(collections)), wrappingKey) };
  const wrapped = encryptingKey && { encryptingKey: sealBundle(encryptingKey, syncKey) };
  return JSON.stringify({ ...mapping, ...wrapped });
}

/**
 * Opens a crypto record of either layout.
 *
 * @throws CryptoRefusal `sync-record-forged` when any part does not open; `sync-keys-malformed` when it is
 * of neither layout
 */
export function openCryptoRecord(text: string, syncKey: KeyBundle): CryptoRecord {
  const record = parseObject(text);
  const wrapped = record['encryptingKey'];
  const encryptingKey = wrapped === undefined ? undefined : openBundle(wrapped, syncKey);
  const wrappingKey = encryptingKey ?? syncKey;
  const { collections, data } = record;
  if ((collections === undefined) === (data === undefined)) throw malformed();
  const layout = data === undefined ? 1 : 2;
  const mapping =
    typeof data === 'string' ? parseObject(fromUtf8(openFormat6(data, wrappingKey))) : collections;
  if (!isObject(mapping)) throw malformed();
  const bundles = new Map(
    Object.entries(mapping).map(([name, sealed]) => [name, openBundle(sealed, wrappingKey)]),
  );
  return { layout, bundles, ...(encryptingKey && { encryptingKey }) };
}

const sealBundle = (bundle: KeyBundle, key: KeyBundle) =>
  sealFormat6(keyBundleToBytes(bundle), key);

/** A bundle may be followed by metadata that nobody has defined; it is not read. */
function openBundle(sealed: unknown, key: KeyBundle): KeyBundle {
  if (typeof sealed !== 'string') throw malformed();
  const bytes = openFormat6(sealed, key);
  if (bytes.length < BUNDLE_LENGTH) throw malformed();
  return keyBundleFromBytes(bytes.subarray(0, BUNDLE_LENGTH));
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw malformed(cause);
  }
  throw malformed();
}

const malformed = (cause?: unknown) =>
  new CryptoRefusal('sync-keys-malformed', 'This record holds no keys.', { cause });
