import { utf8 } from './encoding.ts';
import { master, payloadText, token } from './tokenlib.fixture.ts';
import { deriveTokenKey, mintToken, openToken, signPayload } from './tokenlib.ts';

describe('Storage tokens', () => {
  it("are Mozilla's, byte for byte", () => {
    expect(signPayload(master, utf8(payloadText))).toBe(token);
    expect(openToken([master], token)).toEqual(JSON.parse(payloadText));
    expect(deriveTokenKey(master, token)).toBe('dSi3EoZyHwgDp-O9OG1jRHtmbGl2M1bwcWsi04C4F58=');
  });

  it('open under any secret in use, and no other', () => {
    const minted = mintToken('new', { uid: 1, salt: 'abcdef' });
    expect(openToken(['old', 'new'], minted)).toEqual({ uid: 1, salt: 'abcdef' });
    expect(openToken(['old'], minted)).toBeUndefined();
    expect(openToken([], minted)).toBeUndefined();
  });

  it('do not open when changed, cut or spelled otherwise', () => {
    const flipped = token.replace('ey', 'eY');
    const others = [flipped, token.slice(0, -1), token.slice(4), `${token}AAAA`, '', 'é', 'AA=='];
    const malleable = token.replace('cw=', 'cx=');
    for (const text of [...others, malleable]) expect(openToken([master], text)).toBeUndefined();
    expect(openToken([master], signPayload(master, utf8('[1]')))).toBeUndefined();
    expect(openToken([master], signPayload(master, utf8('{')))).toBeUndefined();
  });

  it('have no key without a salt', () => {
    expect(() => deriveTokenKey(master, mintToken(master, { uid: 1 }))).toThrow(RangeError);
    expect(() => deriveTokenKey(master, 'nonsense')).toThrow(RangeError);
  });
});
