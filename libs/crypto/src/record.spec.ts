import { hkdfSync } from 'node:crypto';

import { fromBase64Url, toBase64Url, utf8 } from './encoding.ts';
import { decryptFloe, encryptFloe } from './floe.ts';
import { deriveRecordKey, openRecord, sealRecord } from './record.ts';

const appKey = Uint8Array.from({ length: 32 }, (_, i) => i);
const key = { id: 'e1', k: deriveRecordKey(appKey, 'notes') };
const place = { root: 'root', collection: 'notes', id: 'abc' };
const plaintext = { title: 'é', list: [1, 2], nested: { a: null } };
const forged = expect.objectContaining({ code: 'record-forged' }) as Error;

// eslint-disable-next-line @typescript-eslint/require-await -- a stream
async function* once(bytes: Uint8Array) {
  yield bytes;
}

describe('A record', () => {
  it('has a key for its collection', () => {
    const expected = hkdfSync('sha256', appKey, new Uint8Array(), utf8('rec-key/1notes'), 32);
    expect(key.k).toEqual(new Uint8Array(expected));
    expect(() => deriveRecordKey(appKey.subarray(1), 'notes')).toThrow(RangeError);
  });

  it('comes back in its place', async () => {
    const payload = await sealRecord({ ...place, key, plaintext });
    expect(await openRecord(payload, { ...place, key })).toEqual(plaintext);
  });

  it('is FLOE, bound to its place, 106 bytes longer', async () => {
    const payload = await sealRecord({ ...place, key, plaintext });
    const { v, k, c, ...others } = JSON.parse(payload) as Record<string, string>;
    expect({ v, k, others }).toEqual({ v: 1, k: 'e1', others: {} });
    const sealed = fromBase64Url(c ?? '');
    const text = JSON.stringify(plaintext);
    expect(sealed.length).toBe(utf8(text).length + 106);
    const aad = utf8('rec/1\0root\0notes\0abc\0e1');
    const opened: string[] = [];
    for await (const chunk of decryptFloe(once(sealed), { key: key.k, aad })) {
      opened.push(Buffer.from(chunk).toString());
    }
    expect(opened.join('')).toBe(text);
  });

  it.each([{ root: 'r' }, { collection: 'other' }, { id: 'abd' }, { key: { ...key, id: 'e2' } }])(
    'does not open elsewhere: %j',
    async (change) => {
      const payload = await sealRecord({ ...place, key, plaintext });
      await expect(openRecord(payload, { ...place, key, ...change })).rejects.toThrow(forged);
    },
  );

  it('does not open under another key id even when the payload is relabelled', async () => {
    const payload = await sealRecord({ ...place, key, plaintext });
    const relabelled = JSON.stringify({ ...(JSON.parse(payload) as object), k: 'e2' });
    await expect(openRecord(relabelled, { ...place, key })).rejects.toThrow(forged);
    const other = { ...key, id: 'e2' };
    await expect(openRecord(relabelled, { ...place, key: other })).rejects.toThrow(forged);
    const secret = { ...key, k: new Uint8Array(32) };
    await expect(openRecord(payload, { ...place, key: secret })).rejects.toThrow(forged);
  });

  it('does not open when changed or malformed', async () => {
    const parts = JSON.parse(await sealRecord({ ...place, key, plaintext })) as { c: string };
    const variants = [
      { ...parts, v: 2 },
      { ...parts, v: '1' },
      { ...parts, c: undefined },
      { ...parts, c: parts.c.slice(0, -4) },
      { ...parts, c: `${parts.c}AAAA` },
      { ...parts, c: `${parts.c}=` },
      { ...parts, c: '' },
      [parts],
      null,
    ];
    for (const variant of variants) {
      await expect(openRecord(JSON.stringify(variant), { ...place, key })).rejects.toThrow(forged);
    }
    await expect(openRecord('{', { ...place, key })).rejects.toThrow(forged);
  });

  it('does not open to anything but an object', async () => {
    const aad = utf8('rec/1\0root\0notes\0abc\0e1');
    for (const text of ['[1]', '"x"', 'null', '{', '{"a":1}']) {
      const parts: Uint8Array[] = [];
      const options = { key: key.k, aad, segmentLength: 1_048_576 };
      for await (const part of encryptFloe(once(utf8(text)), options)) parts.push(part);
      const payload = JSON.stringify({ v: 1, k: 'e1', c: toBase64Url(Buffer.concat(parts)) });
      const opening = openRecord(payload, { ...place, key });
      if (text === '{"a":1}') expect(await opening).toEqual({ a: 1 });
      else await expect(opening).rejects.toThrow(forged);
    }
  });

  it('is not sealed for a place that could be read in two ways, or with a short key', async () => {
    await expect(sealRecord({ ...place, id: 'a\0b', key, plaintext })).rejects.toThrow(RangeError);
    await expect(openRecord('{}', { ...place, root: '\0', key })).rejects.toThrow(RangeError);
    const short = { id: 'e1', k: new Uint8Array(16) };
    await expect(sealRecord({ ...place, key: short, plaintext })).rejects.toThrow(RangeError);
    await expect(openRecord('{}', { ...place, key: short })).rejects.toThrow(RangeError);
  });
});
