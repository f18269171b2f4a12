import { hkdfSync } from 'node:crypto';

import { fromHex, toBase64, toBase64Url, utf8 } from './encoding.ts';
import { appKeyIdentifier, deriveOldSyncKey, deriveScopedKey } from './scoped-key.ts';
import { deriveSubKey, type SubKeyPurpose } from './sub-keys.ts';

const uid = fromHex('aeaa1725c7a24ff983c6295725d5fc9b');
const notes = {
  kB: fromHex('bc3851e9e610f631df94d7883d5defd5e5f55ab520bd5a9ae33dae26575c6b1a'),
  keyRotationSecret: new Uint8Array(32),
  keyRotationTimestamp: 1_494_446_722_583,
  uid,
  identifier: 'https://identity.mozilla.com/apps/notes',
};

describe('Scoped keys', () => {
  it('are the published ones', () => {
    const first = deriveScopedKey(notes);
    expect(toBase64Url(first.k)).toBe('b9SaftekqPfXDOEeZx8714ktkcG9mBbNnKIyoUmhShE');
    expect(first.kid).toBe('1494446723-sXWpWP2sQkP-KsjIPGm1gg');
    const second = deriveScopedKey({
      kB: fromHex('8b2e1303e21eee06a945683b8d495b9bf079ca30baa37eb8392d9ffa4767be45'),
      keyRotationSecret: fromHex(
        '517d478cb4f994aa69930416648a416fdaa1762c5abf401a2acf11a0f185e98d',
      ),
      keyRotationTimestamp: 1_510_726_317_000,
      uid,
      identifier: 'app_key:https%3A//example.com',
    });
    expect(toBase64Url(second.k)).toBe('Kkbk1_Q0oCcTmggeDH6880bQrxin2RLu5D00NcJazdQ');
    expect(second.kid).toBe('1510726317-Voc-Eb9IpoTINuo9ll7bjA');
  });

  it('differ by application', () => {
    const keyOf = (clientId: string) =>
      toBase64Url(deriveScopedKey({ ...notes, identifier: appKeyIdentifier(clientId) }).k);
    expect(appKeyIdentifier('abc')).toBe('app:abc');
    expect(keyOf('abc')).not.toBe(keyOf('abd'));
  });

  it.each([
    { kB: new Uint8Array(31) },
    { keyRotationSecret: new Uint8Array() },
    { uid: new Uint8Array(32) },
    { identifier: 'a\nb' },
    { keyRotationTimestamp: 1.5 },
    { keyRotationTimestamp: -1 },
  ])('refuse %j', (wrong) => {
    expect(() => deriveScopedKey({ ...notes, ...wrong })).toThrow(RangeError);
  });
});

describe('The legacy Sync key', () => {
  it('is the published one', () => {
    const kB = fromHex('eaf9570b7219a4187d3d6bf3cec2770c2e0719b7cc0dfbb38243d6f1881675e9');
    const { kid, k } = deriveOldSyncKey(kB, 1_510_726_317_123);
    expect(kid).toBe('1510726317123-IqQv4onc7VcVE1kTQkyyOw');
    expect(toBase64Url(k)).toBe(
      'DW_ll5GwX6SJ5GPqJVAuMUP2t6kDqhUulc2cbt26xbTcaKGQl-9l29FHAQ7kUiJETma4s9fIpEHrt909zgFang',
    );
  });

  it.each([
    {
      kB: 'd02d8fe39f28b601159c543f2deeb8f72bdf2043e8279aa08496fbd9ebaea361',
      encryption: 'rsLwECkgPYeGbYl92e23FskfIbgld9TgeifEaB9ZwTI=',
      hmac: 'fs75EseCD/VOLodlIGmwNabBjhTYBHFCe7CGIf0t8Tw=',
    },
    {
      kB: 'a5653a34302125fd0a72619dbcc2cfada1b51d597c9d47995ed127daffcbf6a3',
      encryption: 'M2WxH2kvEDlRW3kgPV9KMbI047UPzdVj9X2WSNcaqME=',
      hmac: 'Cxbz9pbZ6RMkyeUXu9Uo4ZTebzp34yjY38/Z14ORSaM=',
    },
  ])("is the client's for kB $kB", ({ kB, encryption, hmac }) => {
    const { k } = deriveOldSyncKey(fromHex(kB), 0);
    expect(toBase64(k.subarray(0, 32))).toBe(encryption);
    expect(toBase64(k.subarray(32))).toBe(hmac);
  });

  it("carries the client's X-Client-State in its kid", () => {
    const kB = fromHex('6b813696a1f83a87e41506b7f33b991b985f3d6e0c934f867544e711882c179c');
    const state = toBase64Url(fromHex('630b070cdd4369880a82762436c5399d'));
    expect(deriveOldSyncKey(kB, 12).kid).toBe(`12-${state}`);
    expect(() => deriveOldSyncKey(kB.subarray(1), 12)).toThrow(RangeError);
    expect(() => deriveOldSyncKey(kB, Number.NaN)).toThrow(RangeError);
  });
});

describe('The keys under kBr', () => {
  const kBr = Uint8Array.from({ length: 32 }, (_, i) => i);
  it.each<SubKeyPurpose>(['wrap', 'identity', 'state'])('for %s is HKDF', (purpose) => {
    const expected = hkdfSync(
      'sha256',
      kBr,
      new Uint8Array(),
      utf8(`keyservice/v1/${purpose}`),
      32,
    );
    expect(deriveSubKey(kBr, purpose)).toEqual(new Uint8Array(expected));
  });

  it('need 32 bytes', () => {
    expect(() => deriveSubKey(new Uint8Array(64), 'wrap')).toThrow(RangeError);
  });
});
