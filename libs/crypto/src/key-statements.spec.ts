import { createPublicKey, verify } from 'node:crypto';

import { fromBase64Url, toBase64Url, utf8 } from './encoding.ts';
import { deriveIdentity } from './identity.ts';
import {
  linkText,
  readRevocation,
  revocationText,
  signLink,
  signRevocation,
  verifyLink,
  verifyRevocation,
  writeRevocation,
} from './key-statements.ts';

const place = { realm: 'r3alm', uid: 'aeaa1725c7a24ff983c6295725d5fc9b', clientId: 'abc' };
const old = await deriveIdentity(new Uint8Array(32).fill(1));
const next = await deriveIdentity(new Uint8Array(32).fill(2));
const kid = toBase64Url(new Uint8Array(32).fill(7));
const elsewhere = [
  { ...place, realm: 'other' },
  { ...place, uid: '0'.repeat(32) },
  { ...place, clientId: 'abcd' },
];

describe('A link between identities', () => {
  it('is a signature that Node agrees with', async () => {
    const link = await signLink(old, place, { new: next.publicJwk.x, ver: 3 });
    const key = createPublicKey({ key: { ...old.publicJwk }, format: 'jwk' });
    const text = utf8(linkText(place, link));
    expect(verify(null, text, key, fromBase64Url(link.sig))).toBe(true);
    expect(linkText(place, link).split('\n')).toEqual([
      'keyservice/v1/idk-link',
      ...Object.values(place),
      old.kid,
      next.kid,
      '3',
    ]);
    expect(await verifyLink(place, link)).toBe(true);
  });

  it('is good for one place, one pair and one version', async () => {
    const link = await signLink(old, place, { new: next.publicJwk.x, ver: 3 });
    for (const other of elsewhere) expect(await verifyLink(other, link)).toBe(false);
    const { x } = (await deriveIdentity(new Uint8Array(32).fill(3))).publicJwk;
    for (const change of [{ ver: 4 }, { new: x }, { old: x }, { sig: 'AAAA' }, { sig: '=' }]) {
      expect(await verifyLink(place, { ...link, ...change })).toBe(false);
    }
    expect(await verifyLink(place, { ...link, old: 'no key' })).toBe(false);
  });
});

describe('A revocation', () => {
  it('is good for one key, one identity and one place', async () => {
    const revocation = await signRevocation(old, place, kid);
    expect(revocationText(place, kid)).toBe(
      `keyservice/v1/revoke\nr3alm\n${place.uid}\nabc\n${kid}`,
    );
    expect(await verifyRevocation(old.publicJwk, place, revocation)).toBe(true);
    expect(await verifyRevocation(next.publicJwk, place, revocation)).toBe(false);
    for (const other of elsewhere) {
      expect(await verifyRevocation(old.publicJwk, other, revocation)).toBe(false);
    }
    const another = { ...revocation, kid: toBase64Url(new Uint8Array(32)) };
    expect(await verifyRevocation(old.publicJwk, place, another)).toBe(false);
  });

  it('is not a link, nor the other way round', async () => {
    const { sig } = await signLink(old, place, { new: next.publicJwk.x, ver: 3 });
    expect(await verifyRevocation(old.publicJwk, place, { kid: old.kid, sig })).toBe(false);
    const revocation = await signRevocation(old, place, next.kid);
    const link = { ver: 1, old: old.publicJwk.x, new: next.publicJwk.x, sig: revocation.sig };
    expect(await verifyLink(place, link)).toBe(false);
  });

  it('does not exist where a field could be read as two', async () => {
    const odd = { ...place, clientId: 'a\nb' };
    await expect(signRevocation(old, odd, kid)).rejects.toThrow(RangeError);
  });

  it('comes back from paper as it went there, however it is typed', async () => {
    const revocation = await signRevocation(old, place, kid);
    const text = writeRevocation(revocation);
    expect(text).toMatch(/^([0-9A-HJKMNP-TV-Z]{5}-)+[0-9A-HJKMNP-TV-Z]{1,5}$/);
    expect(readRevocation(text)).toEqual(revocation);
    const typed = text.toLowerCase().replaceAll('-', ' \n').replaceAll('0', 'o');
    expect(readRevocation(typed.replaceAll('1', 'l'))).toEqual(revocation);
  });

  it('is refused with one wrong, missing or additional character', async () => {
    const text = writeRevocation(await signRevocation(old, place, kid));
    const malformed = expect.objectContaining({ code: 'revocation-malformed' }) as Error;
    const swapped = text.startsWith('0') ? '1' : '0';
    for (const wrong of ['', 'A', swapped + text.slice(1), text.slice(1), `${text}0`, `${text}!`]) {
      expect(() => readRevocation(wrong)).toThrow(malformed);
    }
  });
});
