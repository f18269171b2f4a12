import { gcm } from '@noble/ciphers/aes.js';

import {
  concat,
  decryptFloe,
  encryptFloe,
  fromHex,
  openFloeSegment,
  toHex,
  utf8,
  webCryptoAead,
  type Aead,
} from '#lib/crypto';

import { describeVectors } from './vectors.ts';

const key = new Uint8Array(32);
const aad = utf8('This is AAD');

const nobleAead: Aead = {
  seal: (k, iv, data, plaintext) => gcm(k, iv, data).encrypt(plaintext),
  open: (k, iv, data, sealed) => gcm(k, iv, data).decrypt(sealed),
};

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* once(bytes: Uint8Array) {
  yield bytes;
}

async function collect(chunks: AsyncIterable<Uint8Array>) {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return concat(...parts);
}

/** The files of five implementations; "rotation" changes the segment key every 4 segments of 40 bytes. */
describeVectors('floe', 'The known answers of the FLOE specification', (vectors) => {
  const hex = (name: string) => vectors.text(name).toLowerCase();
  const names = vectors.names().flatMap((name) => /^(.+)_ct\.txt$/.exec(name)?.[1] ?? []);
  const rotated = (name: string) => ({
    segmentLengths: [40, 64, 4096],
    ...(name.includes('rotation') && { rotationBits: 2 }),
  });

  it.each(names)('%s opens', async (name) => {
    const ciphertext = fromHex(hex(`${name}_ct.txt`));
    for (const aead of [webCryptoAead, nobleAead]) {
      const opened = await collect(
        decryptFloe(once(ciphertext), { key, aad, aead, parameters: rotated(name) }),
      );
      expect(toHex(opened)).toBe(hex(`${name}_pt.txt`));
    }
  });

  // The format has random ivs; taking them from the known answer makes encryption deterministic.
  it.each(names)('%s is made again from its own ivs', async (name) => {
    const ciphertext = fromHex(hex(`${name}_ct.txt`));
    const plaintext = fromHex(hex(`${name}_pt.txt`));
    const segmentLength = new DataView(ciphertext.buffer).getUint32(2);
    const segments = Math.max(1, Math.ceil(plaintext.length / (segmentLength - 32)));
    if (ciphertext.length !== 74 + plaintext.length + 32 * segments) return; // an empty final segment; we write none
    const ivs = [ciphertext.slice(10, 42)];
    for (let at = 74; at < ciphertext.length; at += segmentLength) {
      ivs.push(ciphertext.slice(at + 4, at + 16));
    }
    const random = () => ivs.shift() ?? new Uint8Array();
    const options = { key, aad, segmentLength, random, parameters: rotated(name) };
    const made = await collect(encryptFloe(once(plaintext), options));
    expect(toHex(made)).toBe(toHex(ciphertext));
  });

  it.each(names)('%s opens segment by segment from the end', async (name) => {
    const ciphertext = fromHex(hex(`${name}_ct.txt`));
    const header = ciphertext.subarray(0, 74);
    const segmentLength = new DataView(ciphertext.buffer).getUint32(2);
    const count = Math.ceil((ciphertext.length - 74) / segmentLength);
    let opened = '';
    for (let index = count - 1; index >= 0; index--) {
      const segment = ciphertext.subarray(74 + index * segmentLength).subarray(0, segmentLength);
      const isFinal = index === count - 1;
      const input = { header, key, aad, index, isFinal, segment, parameters: rotated(name) };
      opened = toHex(await openFloeSegment(input)) + opened;
    }
    expect(opened).toBe(hex(`${name}_pt.txt`));
  });

  it('rotation is refused under the ordinary rotation', async () => {
    const ciphertext = fromHex(hex('go_rotation_ct.txt'));
    const parameters = { segmentLengths: [40] };
    await expect(collect(decryptFloe(once(ciphertext), { key, aad, parameters }))).rejects.toThrow(
      expect.objectContaining({ code: 'file-forged' }) as Error,
    );
  });
});
