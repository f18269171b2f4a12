import { createCipheriv, createHmac, hkdfSync } from 'node:crypto';
import { fromHex, fromUtf8, randomBytes, toBase64, toHex, utf8 } from '../encoding.ts';
import { deriveOldSyncKey } from '../scoped-key.ts';
import {
  keyBundleOf,
  openCollectionKeys,
  sealCollectionKeys,
  type CollectionKeys,
} from './collection-keys.ts';
import {
  decryptFormat5,
  encryptFormat5,
  openFormat5,
  resealFormat5,
  sealFormat5,
} from './format-5.ts';
import { openCryptoRecord, openFormat6, sealCryptoRecord, sealFormat6 } from './format-6.ts';
import {
  deriveSyncKeyBundle,
  generateKeyBundle,
  isSameKeyBundle,
  keyBundleFromBytes,
  keyBundleId,
} from './key-bundle.ts';
import {
  deriveLegacySyncKeyBundle,
  formatSyncKey,
  fromFriendlyBase32,
  parseSyncKey,
  syncKeyFromPassphrase,
  toFriendlyBase32,
} from './legacy-sync-key.ts';
import {
  accountCryptoKeys,
  accountKeys,
  documented,
  legacyCryptoKeys,
  legacyKeys,
  records,
} from './vectors.fixture.ts';

const forged = { name: 'CryptoRefusal', code: 'sync-record-forged' };
const misplaced = { name: 'CryptoRefusal', code: 'sync-record-misplaced' };
const malformed = { name: 'CryptoRefusal', code: 'sync-keys-malformed' };
const refusalOf = (run: () => unknown): unknown => {
  try {
    run();
  } catch (error) {
    return error;
  }
  throw new Error('It was not refused.');
};
const ivOf = ({ IV }: { IV: string }) => Uint8Array.from(Buffer.from(IV, 'base64'));

describe('The Sync Key Bundle', () => {
  it.each(accountKeys)('of kB $kB is the published one', ({ kB, bundle }) => {
    expect(deriveSyncKeyBundle(fromHex(kB))).toEqual(bundle);
    expect(keyBundleFromBytes(deriveOldSyncKey(fromHex(kB), 1).k)).toEqual(bundle);
  });

  it('is the HKDF of the documentation, whose key has 16 bytes', () => {
    const info = 'identity.mozilla.com/picl/v1/oldsync';
    const key = fromHex('c71aa7cbd8b82a8ff6eda55c39479fd2');
    const okm = hkdfSync('sha256', key, new Uint8Array(), info, 64);
    expect(Buffer.from(okm).toString('hex')).toBe(
      '36ae05317f08eaa6f12c72633d6f9a1162cbbf9300a6728730db48643af73342a65574d6685dbf65a735912d272ee1ebe98c867428fb54616deae7bb7bc23dcc',
    );
    const kB = randomBytes(32);
    const expected = new Uint8Array(hkdfSync('sha256', kB, new Uint8Array(), info, 64));
    expect(deriveSyncKeyBundle(kB)).toEqual(keyBundleFromBytes(expected));
  });

  it('needs its whole length, and has a name that tells keys apart', () => {
    expect(() => keyBundleFromBytes(new Uint8Array(63))).toThrow(RangeError);
    const [one, other] = [generateKeyBundle(), generateKeyBundle()];
    expect(keyBundleId(one)).not.toBe(keyBundleId(other));
    expect(isSameKeyBundle(one, { ...one })).toBe(true);
    expect(isSameKeyBundle(one, { ...one, hmacKey: other.hmacKey })).toBe(false);
  });
});

describe('The legacy Sync Key', () => {
  it.each(legacyKeys)(
    'of $username gives the published bundle',
    ({ username, syncKey, bundle }) => {
      expect(deriveLegacySyncKeyBundle(parseSyncKey(syncKey), username)).toEqual(bundle);
    },
  );

  it('is expanded without extracting, as the earlier documentation shows', () => {
    const key = fromHex('c71aa7cbd8b82a8ff6eda55c39479fd2');
    expect(toFriendlyBase32(key)).toBe('y4nkps6yxavi75xnuv9dsr472i');
    const { encryptionKey, hmacKey } = deriveLegacySyncKeyBundle(key, 'johndoe@example.com');
    expect(toHex(encryptionKey)).toBe(
      '8d0765430ea0d9dbd53c536c6c5c4cb639c093075ef2bd77cd30cf485138b905',
    );
    expect(toHex(hmacKey)).toBe('bf9e48ac50a2fcc400ae4d30a58dc6a83a7720c32f58c60fd9d02db16e406216');
    const info = 'Sync-AES_256_CBC-HMAC256johndoe@example.com';
    const first = createHmac('sha256', key).update(`${info}\u0001`).digest();
    expect(Buffer.from(encryptionKey)).toEqual(first);
  });

  it('is spelled in base32 without l and o', () => {
    expect(toFriendlyBase32(utf8('foobarbafoobarba'))).toBe('mzxw6ytb9jrgcztpn5rgc4tcme');
    expect(fromUtf8(fromFriendlyBase32('mzxw6ytb9jrgcztpn5rgc4tcme'))).toBe('foobarbafoobarba');
    expect(toHex(parseSyncKey('6m8mv8ex2brqnrmsb9fjuvfg7y'))).toBe(
      'f316caac97d06306c5920b8a9a54a6fe',
    );
    for (let length = 0; length < 20; length++) {
      const bytes = randomBytes(length);
      expect(fromFriendlyBase32(toFriendlyBase32(bytes))).toEqual(bytes);
    }
  });

  it('is read as people type it', () => {
    const key = parseSyncKey('q7ynpwq7vsc9m34hankbyi3s3i');
    expect(formatSyncKey(key)).toBe('q-7ynpw-q7vsc-9m34h-ankby-i3s3i');
    expect(parseSyncKey('  Q-7YNPW-q7vsc-9m34h-ankby-i3s3i\n')).toEqual(key);
  });

  it.each([
    ['too short', 'q7ynpwq7vsc9m34hankbyi3s3'],
    ['too long', 'q7ynpwq7vsc9m34hankbyi3s3ia'],
    ['with an l', 'l7ynpwq7vsc9m34hankbyi3s3i'],
    ['with an o', 'o7ynpwq7vsc9m34hankbyi3s3i'],
    ['with a hyphen in another place', 'q7-ynpwq7vsc9m34hankbyi3s3i'],
    ['with bits beyond its end', 'q7ynpwq7vsc9m34hankbyi3s3j'],
    ['that is empty', ''],
  ])('is refused %s', (_, text) => {
    expect(refusalOf(() => parseSyncKey(text))).toMatchObject({ code: 'sync-key-malformed' });
  });

  it('is made of the passphrase of an older store', async () => {
    const key = await syncKeyFromPassphrase('secret phrase', 'DNXPzPpiwn');
    expect(toBase64(key)).toBe('d2zG0d2cBfXnRwMUGyMwyg==');
    expect(formatSyncKey(key)).toBe('9-5wmnu-95tqc-78z2h-amkbw-izqzi');
    const upgraded = await syncKeyFromPassphrase('abcde-abcde-abcde-abcde', '1234567890');
    expect(toFriendlyBase32(upgraded)).toBe('t4pbbs2cfiyk295jufzrfzx7rm');
  });
});

describe('A record of format 5', () => {
  it('is the sample of the documentation', () => {
    const { bundle, iv, cleartext, ciphertext, hmac } = documented;
    const envelope = encryptFormat5(utf8(cleartext), bundle, iv);
    expect(envelope).toEqual({ ciphertext, IV: toBase64(iv), hmac });
    expect(fromUtf8(decryptFormat5(JSON.stringify(envelope), bundle))).toBe(cleartext);
  });

  it.each(records)('is the published $id', ({ id, bundle, payload, cleartext }) => {
    expect(openFormat5(JSON.stringify(payload), { id, bundle })).toEqual(JSON.parse(cleartext));
    expect(fromUtf8(decryptFormat5(JSON.stringify(payload), bundle))).toBe(cleartext);
    expect(encryptFormat5(utf8(cleartext), bundle, ivOf(payload))).toEqual(payload);
  });

  const bundle = generateKeyBundle();
  const record = { id: 'abcdefghijkl', title: 'Ünïcode 💥', n: [1, null, true] };

  it('opens under its key and its id', () => {
    expect(openFormat5(sealFormat5(record, bundle), { id: record.id, bundle })).toEqual(record);
    expect(sealFormat5(record, bundle)).not.toBe(sealFormat5(record, bundle));
  });

  it('opens under another id for nobody', () => {
    const payload = sealFormat5(record, bundle);
    expect(refusalOf(() => openFormat5(payload, { id: 'another', bundle }))).toMatchObject(
      misplaced,
    );
  });

  it.each([
    ['without its hmac', { hmac: undefined }],
    [
      'with an hmac in capitals',
      (text: string) => text.replace(/"hmac":"\w+"/, (m) => m.toUpperCase()),
    ],
    ['with a byte of the ciphertext changed', flip('ciphertext')],
    ['with a byte of the hmac changed', flip('hmac')],
    ['with an IV that is too short', { IV: 'AAAA' }],
    ['with an IV that is no base64', { IV: '****' }],
    ['with a number for ciphertext', { ciphertext: 1 }],
  ])('is refused %s', (_, change) => {
    const sealed = sealFormat5(record, bundle);
    const payload =
      typeof change === 'function'
        ? change(sealed)
        : JSON.stringify({ ...(JSON.parse(sealed) as object), ...change });
    expect(refusalOf(() => openFormat5(payload, { id: record.id, bundle }))).toMatchObject(forged);
  });

  it.each(['', 'null', '[]', '"x"', '{', '{}'])('is refused when its payload is %j', (payload) => {
    expect(refusalOf(() => openFormat5(payload, { id: 'x', bundle }))).toMatchObject(forged);
  });

  it('is refused under another key, and when it holds no object', () => {
    const sealed = sealFormat5(record, bundle);
    const other = generateKeyBundle();
    expect(refusalOf(() => openFormat5(sealed, { id: record.id, bundle: other }))).toMatchObject(
      forged,
    );
    for (const cleartext of ['[]', 'null', 'x', '']) {
      const payload = JSON.stringify(encryptFormat5(utf8(cleartext), bundle));
      expect(refusalOf(() => openFormat5(payload, { id: 'x', bundle }))).toMatchObject(forged);
    }
  });

  it('is never decrypted when its HMAC is wrong', () => {
    // Under the right encryption key it would decrypt well.
    const payload = sealFormat5(record, { ...bundle, hmacKey: randomBytes(32) });
    const error = refusalOf(() => openFormat5(payload, { id: record.id, bundle }));
    expect((error as Error).cause).toMatchObject({ message: 'The HMAC is wrong.' });
  });

  it('cannot be given another id, another value or an end by changing its IV', () => {
    const sealed = JSON.parse(sealFormat5({ id: 'aaaa', deleted: false }, bundle)) as {
      IV: string;
    };
    const iv = ivOf(sealed);
    const wished = [
      '{"deleted":true,',
      '{"id":"bbbb"}   ',
      '{"id":"aaaa","x":',
      '[               ',
      '"aaaaaaaaaaaaaa"',
      '{"id":"bbbb","x"',
    ];
    for (const wish of wished) {
      const IV = toBase64(iv.map((byte, i) => byte ^ 0x20 ^ (wish.charCodeAt(i) || 0x20)));
      const payload = JSON.stringify({ ...sealed, IV });
      expect(fromUtf8(decryptFormat5(payload, bundle)).startsWith(wish.slice(0, 16))).toBe(true);
      for (const id of ['aaaa', 'bbbb']) {
        expect(refusalOf(() => openFormat5(payload, { id, bundle }))).toMatchObject(forged);
      }
    }
  });

  it('opens with the first 16 bytes of a longer IV, as in Firefox', () => {
    const sealed = JSON.parse(sealFormat5(record, bundle)) as { IV: string };
    const IV = toBase64(Uint8Array.from([...ivOf(sealed), 1, 2, 3]));
    const payload = JSON.stringify({ ...sealed, IV });
    expect(openFormat5(payload, { id: record.id, bundle })).toEqual(record);
  });

  it('keeps its cleartext to the byte under another key', () => {
    const cleartext = '{ "id":"x",  "big":12345678901234567890, "é":1.0 }';
    const to = generateKeyBundle();
    const payload = JSON.stringify(encryptFormat5(utf8(cleartext), bundle));
    const moved = resealFormat5(payload, { id: 'x', from: bundle, to });
    expect(fromUtf8(decryptFormat5(moved, to))).toBe(cleartext);
    expect(refusalOf(() => resealFormat5(payload, { id: 'y', from: bundle, to }))).toMatchObject(
      misplaced,
    );
    expect(refusalOf(() => resealFormat5(payload, { id: 'x', from: to, to }))).toMatchObject(
      forged,
    );
  });
});

describe('crypto/keys', () => {
  it('is the published one, under a legacy Sync Key', () => {
    const { username, syncKey, payload, keys, cleartext } = legacyCryptoKeys;
    const bundle = deriveLegacySyncKeyBundle(parseSyncKey(syncKey), username);
    const opened = openCollectionKeys(JSON.stringify(payload), bundle);
    expect(opened).toEqual({ default: keys, collections: new Map() });
    expect(openFormat5(JSON.stringify(payload), { id: 'keys', bundle })).toEqual(
      JSON.parse(cleartext),
    );
  });

  it('is the published one, under a key of an account', () => {
    const { kB, payload, keys } = accountCryptoKeys;
    const opened = openCollectionKeys(JSON.stringify(payload), deriveSyncKeyBundle(fromHex(kB)));
    expect(opened.default).toEqual(keys);
  });

  const syncKey = generateKeyBundle();

  it('gives a collection its own key, else the default', () => {
    const own = generateKeyBundle();
    const keys: CollectionKeys = {
      default: generateKeyBundle(),
      collections: new Map([['notes', own]]),
    };
    const opened = openCollectionKeys(sealCollectionKeys(keys, syncKey), syncKey);
    expect(opened).toEqual(keys);
    expect(keyBundleOf(opened, 'notes')).toEqual(own);
    expect(keyBundleOf(opened, 'constructor')).toEqual(keys.default);
  });

  it('is refused under another Sync Key', () => {
    const keys = { default: generateKeyBundle(), collections: new Map<string, never>() };
    const sealed = sealCollectionKeys(keys, generateKeyBundle());
    expect(refusalOf(() => openCollectionKeys(sealed, syncKey))).toMatchObject(forged);
  });

  const pair = [toBase64(randomBytes(32)), toBase64(randomBytes(32))];
  it.each([
    ['without a default', { collections: {} }],
    ['of another collection', { default: pair, collection: 'notes' }],
    ['with half a pair', { default: pair.slice(1) }],
    ['with a short key', { default: [pair[0], 'AAAA'] }],
    ['with keys of 31 and 33 bytes', { default: [31, 33].map((n) => toBase64(randomBytes(n))) }],
    ['with a list of collections', { default: pair, collections: [] }],
    ['with a collection that has no key', { default: pair, collections: { notes: null } }],
    ['with a text for a pair', { default: 'AAAA' }],
  ])('is refused %s', (_, record) => {
    const payload = sealFormat5({ id: 'keys', ...record }, syncKey);
    expect(refusalOf(() => openCollectionKeys(payload, syncKey))).toMatchObject(malformed);
  });

  it('is refused when it is another record of its collection', () => {
    const payload = sealFormat5({ id: 'other', default: pair }, syncKey);
    expect(refusalOf(() => openCollectionKeys(payload, syncKey))).toMatchObject(misplaced);
  });
});

describe('Format 6', () => {
  it('is what the layout says, by another implementation', () => {
    const { bundle, iv, cleartext, format6 } = documented;
    expect(sealFormat6(utf8(cleartext), bundle, iv)).toBe(format6);
    const cipher = createCipheriv('aes-256-cbc', bundle.encryptionKey, iv);
    const sealed = Buffer.concat([iv, cipher.update(cleartext), cipher.final()]);
    const mac = createHmac('sha256', bundle.hmacKey).update(sealed).digest();
    expect(Buffer.concat([mac, sealed]).toString('base64')).toBe(format6);
    expect(fromUtf8(openFormat6(format6, bundle))).toBe(cleartext);
  });

  const key = generateKeyBundle();

  it('is refused with any of its parts changed: HMAC, IV, ciphertext', () => {
    const bytes = Buffer.from(sealFormat6(utf8('a secret of some length'), key), 'base64');
    for (let i = 0; i < bytes.length; i++) {
      const changed = Uint8Array.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      expect(refusalOf(() => openFormat6(toBase64(changed), key))).toMatchObject(forged);
    }
    for (const text of ['', 'AAAA', '*']) {
      expect(refusalOf(() => openFormat6(text, key))).toMatchObject(forged);
    }
  });

  const bundles = new Map([
    ['bookmarks', generateKeyBundle()],
    ['history', generateKeyBundle()],
  ]);

  it.each([
    { layout: 1 as const, bundles },
    { layout: 2 as const, bundles },
    { layout: 1 as const, bundles, encryptingKey: generateKeyBundle() },
    { layout: 2 as const, bundles, encryptingKey: generateKeyBundle() },
  ])('keeps the bundle of each collection in layout $layout', (record) => {
    const text = sealCryptoRecord(record, key);
    expect(openCryptoRecord(text, key)).toEqual(record);
    expect(text.includes('bookmarks')).toBe(record.layout === 1);
    expect(refusalOf(() => openCryptoRecord(text, generateKeyBundle()))).toMatchObject(forged);
  });

  it('ignores what may follow a bundle', () => {
    const sealed = sealFormat6(new Uint8Array(80), key);
    const text = JSON.stringify({ collections: { a: sealed } });
    expect(openCryptoRecord(text, key).bundles.get('a')?.hmacKey).toEqual(new Uint8Array(32));
  });

  it.each([
    '',
    '[]',
    '{}',
    '{"collections":[]}',
    '{"collections":{"a":1}}',
    '{"collections":{},"data":""}',
    JSON.stringify({ collections: { a: sealFormat6(new Uint8Array(63), key) } }),
    JSON.stringify({ data: sealFormat6(utf8('[]'), key) }),
  ])('refuses the crypto record %j', (text) => {
    expect(refusalOf(() => openCryptoRecord(text, key))).toMatchObject(malformed);
  });
});

/** Changes the first character of a field into another of the same alphabet. */
function flip(field: string) {
  return (text: string) =>
    text.replace(new RegExp(`("${field}":")(.)`), (_, head: string, first: string) =>
      head.concat(first === 'a' ? 'b' : 'a'),
    );
}
