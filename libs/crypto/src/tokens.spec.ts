import { concat, fromHex, toHex } from './encoding.ts';
import { bundleKeys, deriveToken, openKeysBundle } from './tokens.ts';

const sequence = (from: number) => Uint8Array.from({ length: 32 }, (_, i) => from + i);
const kA = sequence(0x20);
const wrapKb = fromHex('7effe354abecbcb234a8dfc2d7644b4ad339b525589738f2d27341bb8622ecd8');

describe('Tokens', () => {
  it('derive the published keyFetchToken values', () => {
    const { id, reqHMACkey, bundleKey } = deriveToken(sequence(0x80), 'keyFetchToken');
    expect(toHex(id)).toBe('3d0a7c02a15a62a2882f76e39b6494b500c022a8816e048625a495718998ba60');
    expect(toHex(reqHMACkey)).toBe(
      '87b8937f61d38d0e29cd2d5600b3f4da0aa48ac41de36a0efe84bb4a9872ceb7',
    );
    expect(toHex(bundleKey)).toBe(
      '14f338a9e8c6324d9e102d4e6ee83b209796d5c74bb734a410e729e014a4a546',
    );
  });

  it('derive the published sessionToken values', () => {
    const { id, reqHMACkey } = deriveToken(sequence(0xa0), 'sessionToken');
    expect(toHex(id)).toBe('c0a29dcf46174973da1378696e4c82ae10f723cf4f4d9f75e39f4ae3851595ab');
    expect(toHex(reqHMACkey)).toBe(
      '9d8f22998ee7f5798b887042466b72d53e56ab0c094388bf65831f702d2febc0',
    );
    expect(toHex(deriveToken(new Uint8Array(32).fill(15), 'sessionToken').id)).toBe(
      '923ee512d6153af6796ecb3aaddb1e8a48a713ef79cf0dbcfcc124456fd3ed6a',
    );
  });

  it('refuse a secret of another length', () => {
    expect(() => deriveToken(new Uint8Array(16), 'sessionToken')).toThrow(RangeError);
  });
});

describe('The bundle of account keys', () => {
  const { bundleKey } = deriveToken(sequence(0x80), 'keyFetchToken');

  it('is the published one', () => {
    expect(toHex(bundleKeys(bundleKey, kA, wrapKb))).toBe(
      'ee5c58845c7c9412b11bbd20920c2fddd83c33c9cd2c2de2d66b222613364636fc7e59d854d599f10e212801de3a47c3' +
        '4333f3b838ee3471e0f285649c332bbb4c17f42a0b319bbba327d2b326ad23e937219b4de32e3ec7b3e3f740522ad6ef',
    );
  });

  it("opens fxa-auth-client's vector", () => {
    const key = fromHex('dedd009a8275a4f672bb4b41e14a117812c0b2f400c85fa058e0293f3f45726a');
    const bundle = fromHex(
      'df4717238a738501bd2ad8f7114ef193ea69751a40108149bfb88a5643a8d683a1e75b705d4db135130f0896dbac0819' +
        'ab7d54334e0cd4f9c945e0a7ada91899756cedf4384be404844050270310bc2b396f100eeda0c7b428cfe77c40a873ae',
    );
    const keys = openKeysBundle(key, bundle);
    expect(toHex(keys.kA)).toBe('939282904b808c6003ea31aeb14bc766d2ab70ba7dcaa54f820efcf4762b9619');
    expect(toHex(keys.wrapKb)).toBe(
      '849ac9f71643ace46dcdd384633ec1bffe565852806ee2f859c3eba7fafeafec',
    );
  });

  it('is refused when any byte is changed, or one is missing or added', () => {
    const bundle = bundleKeys(bundleKey, kA, wrapKb);
    const forged = Array.from(bundle, (_, at) => bundle.map((b, i) => (i === at ? b ^ 1 : b)));
    for (const bytes of [...forged, bundle.subarray(0, 95), concat(bundle, Uint8Array.of(0))]) {
      expect(() => openKeysBundle(bundleKey, bytes)).toThrow(
        expect.objectContaining({ code: 'bundle-forged' }) as Error,
      );
    }
    expect(() => bundleKeys(bundleKey, kA, new Uint8Array(31))).toThrow(RangeError);
    expect(() => bundleKeys(bundleKey, new Uint8Array(33), wrapKb)).toThrow(RangeError);
    expect(() => bundleKeys(new Uint8Array(31), kA, wrapKb)).toThrow(RangeError);
  });
});
