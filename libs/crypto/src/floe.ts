/**
 * FLOE with AES-256-GCM and HKDF-Expand-SHA-384: authenticated encryption of files of any length, readable
 * from any position.
 *
 * | part | bytes |
 * | --- | --- |
 * | header, 74 | 0x00 0x00, u32 S, u32 32, iv(32), header tag(32) |
 * | segment i, S bytes | 0xFFFFFFFF, iv(12), ciphertext, tag(16) |
 * | final segment, 32 to S bytes | u32 its own length, iv(12), ciphertext, tag(16) |
 *
 *     KDF(key, purpose, L) = HKDF-Expand-SHA-384(key, header[0..42) | purpose | aad, L)
 *     header tag = KDF(key, "HEADER_TAG:", 32)          commits to key, iv and aad
 *     messageKey = KDF(key, "MESSAGE_KEY:", 48)
 *     segment key = KDF(messageKey, "DEK:" | u64(i with its low 20 bits cleared), 32)
 *     segment aad = u64(i) | 0x01 for the final segment, 0x00 for others
 *
 * S is the segment length; a segment carries S - 32 plaintext bytes.
 *
 * @see FLOE specification (c2sp.org/FLOE); files-and-sharing.md §2(b)
 * @module
 */
import { webCryptoAead, type Aead } from './aead.ts';
import { ByteReader } from './byte-reader.ts';
import { equalBytes, randomBytes } from './encoding.ts';
import {
  FLOE_HEADER_LENGTH,
  FLOE_SEGMENT_OVERHEAD,
  FloeMessage,
  type FloeParameters,
} from './floe-message.ts';
import { inOrder, start } from './in-order.ts';
import { CryptoRefusal } from './refusal.ts';

export { FLOE_HEADER_LENGTH, FLOE_SEGMENT_LENGTHS, FLOE_SEGMENT_OVERHEAD } from './floe-message.ts';

/** Segments worked on at once: enough to keep the platform's workers busy, and the bound on memory. */
const IN_FLIGHT = 4;

interface FloeOptions {
  /** 32 bytes, used for this file version only. */
  key: Uint8Array;
  /** What the file is bound to; stated again by the reader. */
  aad: Uint8Array;
  aead?: Aead | undefined;
  /** Other segment lengths and key rotation, for the specification's test vectors only. */
  parameters?: FloeParameters | undefined;
}

/** How to encrypt. */
export interface FloeEncryption extends FloeOptions {
  /** S: 4096, 65536 or 1048576. */
  segmentLength: number;
  /** Where ivs come from; a fixed source is for comparing implementations only. */
  random?: ((length: number) => Uint8Array) | undefined;
}

/** How to decrypt. */
export interface FloeDecryption extends FloeOptions {
  /** The header kept elsewhere, authenticated; the stream must start with the same 74 bytes. */
  expectedHeader?: Uint8Array | undefined;
  /** The plaintext length known from an authenticated place; the stream must be exactly that long. */
  plainLength?: number | undefined;
}

/** One segment to open by itself. */
export interface FloeSegment extends FloeOptions {
  header: Uint8Array;
  /** Which segment, from 0. */
  index: number;
  /** From the authenticated length of the file, never from the segment itself. */
  isFinal: boolean;
  segment: Uint8Array;
}

/**
 * Tells how long the encrypted file is: `74 + L + 32 * max(1, ceil(L / (S - 32)))`.
 *
 * @param plainLength - L
 * @param segmentLength - S
 * @throws RangeError when the length is not a whole number, or S is too short
 */
export function floeSize(plainLength: number, segmentLength: number): number {
  const room = segmentLength - FLOE_SEGMENT_OVERHEAD;
  if (!Number.isSafeInteger(plainLength) || plainLength < 0 || room < 1) {
    throw new RangeError('There is no such file.');
  }
  const segments = Math.max(1, Math.ceil(plainLength / room));
  return FLOE_HEADER_LENGTH + plainLength + FLOE_SEGMENT_OVERHEAD * segments;
}

/**
 * Encrypts a stream, holding a few segments in memory.
 *
 * @returns the header first (74 bytes), then one chunk for each segment
 * @throws RangeError when the key or the segment length is wrong
 */
export async function* encryptFloe(
  source: AsyncIterable<Uint8Array>,
  options: FloeEncryption,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { random = randomBytes, aead = webCryptoAead } = options;
  const message = FloeMessage.create(options, random(32));
  yield message.header.slice();
  const reader = new ByteReader(source);
  async function* segments() {
    for (let index = 0, isFinal = false; !isFinal; index++) {
      const plaintext = await reader.read(message.room);
      isFinal = await reader.atEnd();
      yield message.seal({ aead, index, isFinal, plaintext, iv: random(12) });
    }
  }
  try {
    yield* inOrder(segments(), IN_FLIGHT);
  } finally {
    await reader.close();
  }
}

/**
 * Decrypts a stream, holding a few segments in memory. Every byte it yields is authenticated in its place; the
 * end of the file is authenticated only once the generator returns.
 *
 * @throws RangeError when the key is not 32 bytes long
 * @throws CryptoRefusal `file-forged` when the file was cut, extended, reordered, altered, made from other
 * files' segments, or encrypted under another key or aad
 */
export async function* decryptFloe(
  source: AsyncIterable<Uint8Array>,
  options: FloeDecryption,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { aead = webCryptoAead, expectedHeader, plainLength } = options;
  const reader = new ByteReader(source);
  try {
    const header = await reader.read(FLOE_HEADER_LENGTH);
    if (expectedHeader && !equalBytes(header, expectedHeader)) {
      throw new CryptoRefusal('file-forged', 'The file begins with another header.');
    }
    const message = FloeMessage.open(options, header);
    yield* inOrder(openSegments(reader, message, { aead, plainLength }), IN_FLIGHT);
  } finally {
    await reader.close();
  }
}

async function* openSegments(
  reader: ByteReader,
  message: FloeMessage,
  { aead, plainLength }: { aead: Aead; plainLength: number | undefined },
) {
  const expected =
    plainLength === undefined ? undefined : floeSize(plainLength, message.segmentLength);
  let size = FLOE_HEADER_LENGTH;
  for (let index = 0, isFinal = false; !isFinal; index++) {
    const segment = await reader.read(message.segmentLength);
    // The stream's end decides which segment is final; its own length field must then agree.
    isFinal = await reader.atEnd();
    size += segment.length;
    if (expected !== undefined && (isFinal ? size !== expected : size >= expected)) {
      throw new CryptoRefusal('file-forged', 'The file has another length.');
    }
    yield start(message.open({ aead, index, isFinal, segment }));
  }
}

/**
 * Opens one segment, for reading a range of a file.
 *
 * @returns its plaintext
 * @throws RangeError when the key is not 32 bytes long or the index is not a position
 * @throws CryptoRefusal `file-forged` when the header or the segment does not authenticate in this place
 */
export async function openFloeSegment(input: FloeSegment): Promise<Uint8Array> {
  const { header, index, isFinal, segment, aead = webCryptoAead } = input;
  return FloeMessage.open(input, header).open({ aead, index, isFinal, segment });
}
