import { gcm } from '@noble/ciphers/aes.js';

import { concat, equalBytes, randomBytes, utf8 } from './encoding.ts';
import type { Aead } from './aead.ts';
import {
  decryptFloe,
  encryptFloe,
  floeSize,
  openFloeSegment,
  type FloeDecryption,
} from './floe.ts';

const key = new Uint8Array(32).fill(5);
const aad = utf8('files/1');
const S = 4096;
const room = S - 32;
const forged = expect.objectContaining({ code: 'file-forged' }) as Error;

const nobleAead: Aead = {
  seal: (k, iv, data, plaintext) => gcm(k, iv, data).encrypt(plaintext),
  open: (k, iv, data, sealed) => gcm(k, iv, data).decrypt(sealed),
};

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* stream(bytes: Uint8Array, chunk = 1000): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += chunk) yield bytes.slice(i, i + chunk);
}

async function collect(chunks: AsyncIterable<Uint8Array>) {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return concat(...parts);
}

const seal = (plaintext: Uint8Array, options: object = {}) =>
  collect(encryptFloe(stream(plaintext), { key, aad, segmentLength: S, ...options }));

const open = (bytes: Uint8Array, options: Partial<FloeDecryption> = {}) =>
  collect(decryptFloe(stream(bytes), { key, aad, ...options }));

const boundaries = [0, 1, room - 1, room, room + 1, 2 * room - 1, 2 * room, 2 * room + 1, 9 * room];

describe('FLOE', () => {
  it.each(boundaries)('comes back whole: %d bytes', async (length) => {
    const plaintext = randomBytes(length);
    const sealed = await seal(plaintext);
    expect(sealed.length).toBe(floeSize(length, S));
    const expectedHeader = sealed.slice(0, 74);
    const opened = await open(sealed, { expectedHeader, plainLength: length });
    expect(equalBytes(opened, plaintext)).toBe(true);
  });

  it.each([65_536, 1_048_576])('works with segments of %d bytes', async (segmentLength) => {
    const plaintext = randomBytes(3 * segmentLength + 5);
    const sealed = await seal(plaintext, { segmentLength });
    expect(sealed.length).toBe(floeSize(plaintext.length, segmentLength));
    expect(equalBytes(await open(sealed), plaintext)).toBe(true);
  });

  it('does not depend on how the stream is cut', async () => {
    const plaintext = randomBytes(2 * room + 10);
    const sealed = await seal(plaintext);
    for (const chunk of [1, 73, 74, 75, S, 100_000]) {
      const opened = await collect(decryptFloe(stream(sealed, chunk), { key, aad }));
      expect(equalBytes(opened, plaintext)).toBe(true);
    }
  });

  it('yields the header first, then whole segments', async () => {
    const source = stream(randomBytes(room + 1));
    const sizes: number[] = [];
    for await (const chunk of encryptFloe(source, { key, aad, segmentLength: S })) {
      sizes.push(chunk.length);
    }
    expect(sizes).toEqual([74, S, 33]);
  });

  it('is byte for byte the same through WebCrypto and noble', async () => {
    const fixed = () => {
      let count = 0;
      return (length: number) => new Uint8Array(length).fill(count++);
    };
    const plaintext = randomBytes(3 * room + 17);
    const ours = await seal(plaintext, { random: fixed() });
    const theirs = await seal(plaintext, { random: fixed(), aead: nobleAead });
    expect(equalBytes(ours, theirs)).toBe(true);
    expect(equalBytes(await open(ours, { aead: nobleAead }), plaintext)).toBe(true);
  });

  it('never repeats itself', async () => {
    const plaintext = randomBytes(10);
    expect(equalBytes(await seal(plaintext), await seal(plaintext))).toBe(false);
  });

  it('opens any segment by itself', async () => {
    const plaintext = randomBytes(2 * room + 10);
    const sealed = await seal(plaintext);
    const header = sealed.subarray(0, 74);
    for (const index of [2, 0, 1]) {
      const segment = sealed.subarray(74 + index * S, 74 + (index + 1) * S);
      const input = { header, key, aad, index, isFinal: index === 2, segment };
      const expected = plaintext.subarray(index * room, (index + 1) * room);
      expect(equalBytes(await openFloeSegment(input), expected)).toBe(true);
      for (const wrong of [{ isFinal: index !== 2 }, { index: index + 1 }, { aad: utf8('x') }]) {
        await expect(openFloeSegment({ ...input, ...wrong })).rejects.toThrow(forged);
      }
      await expect(openFloeSegment({ ...input, index: -1 })).rejects.toThrow(RangeError);
    }
  });
});

describe('A FLOE file', () => {
  const plaintext = randomBytes(3 * room + 10);
  const piece = (bytes: Uint8Array, index: number) =>
    bytes.subarray(74 + index * S, 74 + (index + 1) * S);
  const header = (bytes: Uint8Array) => bytes.subarray(0, 74);

  it('is refused under another key, another aad, or another header', async () => {
    const sealed = await seal(plaintext);
    await expect(open(sealed, { key: new Uint8Array(32) })).rejects.toThrow(forged);
    await expect(open(sealed, { aad: utf8('files/2') })).rejects.toThrow(forged);
    await expect(open(sealed, { expectedHeader: new Uint8Array(74) })).rejects.toThrow(forged);
    await expect(open(sealed, { key: new Uint8Array(16) })).rejects.toThrow(RangeError);
  });

  it('is refused when a byte is changed anywhere', async () => {
    const sealed = await seal(plaintext.subarray(0, room + 1));
    const places = [...Array(74 + 20).keys(), 74 + S - 1, 74 + S, 74 + S + 3, sealed.length - 1];
    for (const at of places) {
      const changed = sealed.map((byte, i) => (i === at ? byte ^ 1 : byte));
      await expect(open(changed)).rejects.toThrow(forged);
    }
  });

  it('is refused when cut anywhere', async () => {
    const sealed = await seal(plaintext);
    const ends = [0, 1, 73, 74, 75, 74 + 31, 74 + S - 1, 74 + S, 74 + 2 * S, 74 + 3 * S];
    for (const end of [...ends, sealed.length - 1]) {
      await expect(open(sealed.subarray(0, end))).rejects.toThrow(forged);
    }
  });

  it('is refused when extended, reordered, or filled with segments of other files', async () => {
    const [sealed, other] = [await seal(plaintext), await seal(plaintext)];
    const [p0, p1, p2, last] = [0, 1, 2, 3].map((index) => piece(sealed, index)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const head = header(sealed);
    const variants = {
      trailing: concat(sealed, Uint8Array.of(0)),
      'two ends': concat(sealed, last),
      swapped: concat(head, p1, p0, p2, last),
      dropped: concat(head, p0, p2, last),
      repeated: concat(head, p0, p0, p1, p2, last),
      'early end': concat(head, p0, last),
      foreign: concat(head, p0, piece(other, 1), p2, last),
      'foreign header': concat(header(other), p0, p1, p2, last),
    };
    for (const bytes of Object.values(variants)) await expect(open(bytes)).rejects.toThrow(forged);
  });

  it('is refused when its length is not the authenticated one', async () => {
    const sealed = await seal(plaintext);
    for (const plainLength of [
      0,
      room,
      3 * room,
      plaintext.length - 1,
      plaintext.length + 1,
      9 * S,
    ]) {
      await expect(open(sealed, { plainLength })).rejects.toThrow(forged);
    }
    expect((await open(sealed, { plainLength: plaintext.length })).length).toBe(plaintext.length);
  });

  it('yields nothing that is not authenticated, and all before the forgery that it has yielded is true', async () => {
    const long = randomBytes(20 * room);
    const sealed = await seal(long);
    const changed = sealed.map((byte, i) => (i === 74 + 12 * S + 100 ? byte ^ 1 : byte));
    let yielded = 0;
    const read = async () => {
      for await (const chunk of decryptFloe(stream(changed), { key, aad })) {
        expect(equalBytes(chunk, long.subarray(yielded, yielded + chunk.length))).toBe(true);
        yielded += chunk.length;
      }
    };
    await expect(read()).rejects.toThrow(forged);
    expect(yielded).toBe(12 * room);
  });

  it('reads only a few segments ahead, and lets the source go when its reader stops', async () => {
    const plain = randomBytes(50 * room);
    const sealed = await seal(plain);
    const options = { key, aad, segmentLength: S };
    for (const [bytes, transform] of [
      [sealed, (source: AsyncIterable<Uint8Array>) => decryptFloe(source, options)],
      [plain, (source: AsyncIterable<Uint8Array>) => encryptFloe(source, options)],
    ] as const) {
      const seen = { pulled: 0, closed: false };
      async function* source() {
        try {
          for await (const chunk of stream(bytes, S)) {
            seen.pulled++;
            yield chunk;
          }
        } finally {
          seen.closed = true;
        }
      }
      let taken = 0;
      for await (const chunk of transform(source())) {
        expect(chunk.length).toBeGreaterThan(0);
        if (++taken === 2) break;
      }
      expect(seen.pulled).toBeLessThan(9);
      expect(seen.closed).toBe(true);
    }
  });

  it('passes on a failure of its source', async () => {
    // eslint-disable-next-line @typescript-eslint/require-await -- a stream
    async function* broken() {
      yield new Uint8Array(10);
      throw new Error('disk');
    }
    await expect(collect(encryptFloe(broken(), { key, aad, segmentLength: S }))).rejects.toThrow(
      'disk',
    );
    await expect(collect(decryptFloe(broken(), { key, aad }))).rejects.toThrow('disk');
  });

  it('is not made with unusual parameters, and not read with them', async () => {
    for (const segmentLength of [40, 64, 0, -1, 33, 8192, 2 ** 32]) {
      await expect(seal(plaintext, { segmentLength })).rejects.toThrow(RangeError);
    }
    await expect(seal(plaintext, { key: new Uint8Array(31) })).rejects.toThrow(RangeError);
    const parameters = { segmentLengths: [64] };
    const small = await seal(plaintext.subarray(0, 100), { segmentLength: 64, parameters });
    await expect(open(small)).rejects.toThrow(forged);
    expect((await open(small, { parameters })).length).toBe(100);
    expect(() => floeSize(-1, S)).toThrow(RangeError);
    expect(() => floeSize(1, 32)).toThrow(RangeError);
  });
});
