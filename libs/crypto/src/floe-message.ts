import { hmac } from '@noble/hashes/hmac.js';
import { sha384 } from '@noble/hashes/sha2.js';

import type { Aead } from './aead.ts';
import { expectLength } from './checks.ts';
import { concat, equalBytes, utf8 } from './encoding.ts';
import { start, type Started } from './in-order.ts';
import { CryptoRefusal } from './refusal.ts';

/** The length of a FLOE header in bytes. */
export const FLOE_HEADER_LENGTH = 74;

/** How many bytes a segment is longer than its plaintext. */
export const FLOE_SEGMENT_OVERHEAD = 32;

/** The segment lengths this project writes and reads: tests, files below 4 MiB, everything else. */
export const FLOE_SEGMENT_LENGTHS: readonly number[] = [4096, 65_536, 1_048_576];

/** What the specification's test vectors vary. */
export interface FloeParameters {
  segmentLengths?: readonly number[] | undefined;
  /** A key serves 2^rotationBits segments. */
  rotationBits?: number | undefined;
}

const PREFIX_LENGTH = 42;
const NOT_FINAL = 0xffffffff;
const MAX_SEGMENTS = 2 ** 40;
const ROTATION_BITS = 20;

interface Secret {
  key: Uint8Array;
  aad: Uint8Array;
  parameters?: FloeParameters | undefined;
}

const u32 = (value: number) => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
};

const u64 = (value: number) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
};

const readU32 = (bytes: Uint8Array, offset: number) =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset);

const forged = (why: string, cause?: unknown) => new CryptoRefusal('file-forged', why, { cause });

/** One FLOE ciphertext: its header, and the keys of its segments. */
export class FloeMessage {
  readonly header: Uint8Array;
  /** S, bytes of a segment. */
  readonly segmentLength: number;
  /** Plaintext bytes of a segment. */
  readonly room: number;
  readonly #secret: Secret;
  readonly #prefix: Uint8Array;
  readonly #messageKey: Uint8Array;
  #segmentKey: { epoch: number; key: Uint8Array } | undefined;

  private constructor(secret: Secret, prefix: Uint8Array) {
    expectLength('The file key', secret.key, 32);
    this.#secret = secret;
    this.#prefix = prefix;
    this.segmentLength = readU32(prefix, 2);
    this.room = this.segmentLength - FLOE_SEGMENT_OVERHEAD;
    this.header = concat(prefix, this.#derive(secret.key, utf8('HEADER_TAG:'), 32));
    this.#messageKey = this.#derive(secret.key, utf8('MESSAGE_KEY:'), 48);
  }

  /** Starts a message. @throws RangeError when the segment length is not allowed */
  static create(options: Secret & { segmentLength: number }, iv: Uint8Array): FloeMessage {
    const { segmentLength, parameters } = options;
    if (!(parameters?.segmentLengths ?? FLOE_SEGMENT_LENGTHS).includes(segmentLength)) {
      throw new RangeError(`Segments of ${segmentLength} bytes are not in use.`);
    }
    const prefix = concat(Uint8Array.of(0, 0), u32(segmentLength), u32(32), iv);
    expectLength('The header prefix', prefix, PREFIX_LENGTH);
    return new FloeMessage(options, prefix);
  }

  /** Reads a message's header. @throws CryptoRefusal `file-forged` when key, aad or parameters are others */
  static open(options: Secret, header: Uint8Array): FloeMessage {
    const { parameters } = options;
    expectLength('The file key', options.key, 32);
    if (header.length !== FLOE_HEADER_LENGTH) throw forged('The file has no whole header.');
    const lengths = parameters?.segmentLengths ?? FLOE_SEGMENT_LENGTHS;
    const known = header[0] === 0 && header[1] === 0 && readU32(header, 6) === 32;
    if (!known || !lengths.includes(readU32(header, 2))) {
      throw forged('The header asks for parameters that are not in use.');
    }
    const message = new FloeMessage(options, header.slice(0, PREFIX_LENGTH));
    if (!equalBytes(message.header, header))
      throw forged('The header is for another key or place.');
    return message;
  }

  /** Begins to encrypt one segment. */
  seal(input: {
    aead: Aead;
    index: number;
    isFinal: boolean;
    plaintext: Uint8Array;
    iv: Uint8Array;
  }): Started<Uint8Array> {
    const { aead, index, isFinal, plaintext, iv } = input;
    const key = this.#keyOf(index);
    const length = isFinal ? plaintext.length + FLOE_SEGMENT_OVERHEAD : NOT_FINAL;
    const seal = async () => {
      const sealed = await aead.seal(key, iv, segmentAad(index, isFinal), plaintext);
      return concat(u32(length), iv, sealed);
    };
    return start(seal());
  }

  /** Opens one segment. @throws CryptoRefusal `file-forged` */
  async open(input: {
    aead: Aead;
    index: number;
    isFinal: boolean;
    segment: Uint8Array;
  }): Promise<Uint8Array> {
    const { aead, index, isFinal, segment } = input;
    const key = this.#keyOf(index);
    const { length } = segment;
    const fits = isFinal
      ? length >= FLOE_SEGMENT_OVERHEAD && length <= this.segmentLength
      : length === this.segmentLength;
    if (!fits || readU32(segment, 0) !== (isFinal ? length : NOT_FINAL)) {
      throw forged(`Segment ${index} has another length than its place asks for.`);
    }
    try {
      const [iv, sealed] = [segment.subarray(4, 16), segment.subarray(16)];
      return await aead.open(key, iv, segmentAad(index, isFinal), sealed);
    } catch (cause) {
      throw forged(`Segment ${index} does not authenticate.`, cause);
    }
  }

  #keyOf(index: number): Uint8Array {
    const { rotationBits = ROTATION_BITS } = this.#secret.parameters ?? {};
    if (!Number.isSafeInteger(index) || index < 0 || index >= MAX_SEGMENTS) {
      throw new RangeError('A file has 2^40 segments at most.');
    }
    const epoch = index - (index % 2 ** rotationBits);
    if (this.#segmentKey?.epoch !== epoch) {
      const purpose = concat(utf8('DEK:'), u64(epoch));
      this.#segmentKey = { epoch, key: this.#derive(this.#messageKey, purpose, 32) };
    }
    return this.#segmentKey.key;
  }

  // One block of HKDF-Expand, as nothing here is longer than 48 bytes. Noble's own `expand` insists on a key of
  // 48 bytes, while FLOE's is 32.
  #derive(key: Uint8Array, purpose: Uint8Array, length: 32 | 48): Uint8Array {
    const info = concat(this.#prefix, purpose, this.#secret.aad);
    return hmac(sha384, key, concat(info, Uint8Array.of(1))).slice(0, length);
  }
}

const segmentAad = (index: number, isFinal: boolean) =>
  concat(u64(index), Uint8Array.of(isFinal ? 1 : 0));
