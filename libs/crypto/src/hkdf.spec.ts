import { hkdfSync } from 'node:crypto';

import fc from 'fast-check';
import Hkdf from 'hkdf';

import { utf8 } from './encoding.ts';
import { hkdf } from './hkdf.ts';

const bytes = (maxLength: number) => fc.uint8Array({ maxLength });

describe('HKDF', () => {
  it('gives what Node and the npm package hkdf give', async () => {
    const inputs = [fc.uint8Array({ minLength: 1, maxLength: 96 }), bytes(80), bytes(96)] as const;
    await fc.assert(
      fc.asyncProperty(
        ...inputs,
        fc.integer({ min: 1, max: 8160 }),
        async (ikm, salt, info, length) => {
          const okm = hkdf(ikm, salt, info, length);
          expect(okm).toEqual(new Uint8Array(hkdfSync('sha256', ikm, salt, info, length)));
          const other = new Hkdf('sha256', salt.length > 0 ? Buffer.from(salt) : undefined, ikm);
          const theirs = await new Promise<Buffer>((resolve) => {
            other.derive(Buffer.from(info), length, resolve);
          });
          expect(okm).toEqual(new Uint8Array(theirs));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads a text info as UTF-8', () => {
    const [ikm, salt] = [new Uint8Array(32), new Uint8Array()];
    expect(hkdf(ikm, salt, 'é', 32)).toEqual(hkdf(ikm, salt, utf8('é'), 32));
  });

  it.each([0, -1, 1.5, 8161, Number.NaN])('refuses to give %d bytes', (length) => {
    expect(() => hkdf(new Uint8Array(32), new Uint8Array(), '', length)).toThrow(RangeError);
  });
});
