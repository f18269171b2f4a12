/**
 * A record as the storage server sees it: `{"v":1,"k":"<key id>","c":"<b64url of FLOE>"}`.
 *
 * @see files-and-sharing.md §2(b), "Records"
 * @module
 */
import { expectLength, expectNone, isObject } from './checks.ts';
import { concat, fromBase64Url, fromUtf8, toBase64Url, utf8 } from './encoding.ts';
import { decryptFloe, encryptFloe } from './floe.ts';
import { hkdf } from './hkdf.ts';
import { CryptoRefusal } from './refusal.ts';

/** The key of one collection, from `deriveRecordKey`, and the id under which readers find it. */
export interface RecordKey {
  id: string;
  k: Uint8Array;
}

/** Where a record lives; it opens nowhere else. */
export interface RecordPlace {
  /** The storage root: an account's or a space's. */
  root: string;
  collection: string;
  id: string;
}

const SEGMENT_LENGTH = 1_048_576;

/**
 * Derives the key of one collection.
 *
 *     k = HKDF(appKey, no salt, "rec-key/1" | collection, 32)
 *
 * @param appKey - an application's or a space's key, 32 bytes
 * @returns 32 bytes
 * @throws RangeError when the key is not 32 bytes long
 */
export function deriveRecordKey(appKey: Uint8Array, collection: string): Uint8Array {
  expectLength('The application key', appKey, 32);
  return hkdf(appKey, new Uint8Array(), `rec-key/1${collection}`, 32);
}

function recordAad({ root, collection, id }: RecordPlace, keyId: string): Uint8Array {
  expectNone('\0', { root, collection, id, keyId });
  return utf8(['rec/1', root, collection, id, keyId].join('\0'));
}

// eslint-disable-next-line @typescript-eslint/require-await -- FLOE reads streams
async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return concat(...parts);
}

/**
 * Encrypts a record for its place.
 *
 *     c = FLOE(k, aad: "rec/1" 0x00 root 0x00 collection 0x00 id 0x00 key.id; JSON of the plaintext), S = 1 MiB
 *
 * @returns the BSO payload; the ciphertext is 106 bytes longer than the plaintext up to 1 MiB
 * @throws RangeError when the key is not 32 bytes long or a field holds a zero byte
 */
export async function sealRecord(
  input: RecordPlace & { key: RecordKey; plaintext: object },
): Promise<string> {
  const { key, plaintext } = input;
  const options = { key: key.k, aad: recordAad(input, key.id), segmentLength: SEGMENT_LENGTH };
  const sealed = await collect(encryptFloe(once(utf8(JSON.stringify(plaintext))), options));
  return JSON.stringify({ v: 1, k: key.id, c: toBase64Url(sealed) });
}

/**
 * Reads under which key a record says that it is; nothing of it is checked.
 *
 * @returns undefined when the payload is no record
 */
export function recordKeyId(payload: string): string | undefined {
  try {
    const outer: unknown = JSON.parse(payload);
    return isObject(outer) && typeof outer['k'] === 'string' ? outer['k'] : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Opens a record in the place it was asked for.
 *
 * @param payload - the BSO payload
 * @returns the plaintext
 * @throws RangeError when the key is not 32 bytes long or a field holds a zero byte
 * @throws CryptoRefusal `record-forged` when the payload is malformed, under another key, or from another place
 */
export async function openRecord(
  payload: string,
  input: RecordPlace & { key: RecordKey },
): Promise<Record<string, unknown>> {
  const { key } = input;
  expectLength('The record key', key.k, 32);
  const aad = recordAad(input, key.id);
  try {
    const outer: unknown = JSON.parse(payload);
    if (!isObject(outer) || outer['v'] !== 1 || outer['k'] !== key.id) {
      throw new TypeError('The record is of another version or under another key.');
    }
    if (typeof outer['c'] !== 'string') throw new TypeError('The record has no ciphertext.');
    const opened = await collect(decryptFloe(once(fromBase64Url(outer['c'])), { key: key.k, aad }));
    const plaintext: unknown = JSON.parse(fromUtf8(opened));
    if (!isObject(plaintext)) throw new TypeError('The plaintext is not an object.');
    return plaintext;
  } catch (cause) {
    throw new CryptoRefusal('record-forged', 'The record does not open in this place.', { cause });
  }
}
