/**
 * Published vectors of the storage formats, from Mozilla's documents and its clients' own tests, as they are
 * collected in the reference on Sync, §6.9.
 */
import { fromBase64, fromHex } from '../encoding.ts';
import type { KeyBundle } from './key-bundle.ts';

const base64Bundle = (encryptionKey: string, hmacKey: string): KeyBundle => ({
  encryptionKey: fromBase64(encryptionKey),
  hmacKey: fromBase64(hmacKey),
});
const hexBundle = (encryptionKey: string, hmacKey: string): KeyBundle => ({
  encryptionKey: fromHex(encryptionKey),
  hmacKey: fromHex(hmacKey),
});

/** §6.9.1: the sample of the documentation; its cleartext is no JSON. */
export const documented = {
  bundle: hexBundle(
    'd3af449d2dc4b432b8cb5b59d40c8a5fe53b584b16469f5b44828b756ffb6a81',
    '2c5d98092d500a048d09fd01090bd0d3a4861fc8ea2438bd74a8f43be6f47f02',
  ),
  iv: fromHex('375a12d6de4ef26b735f6fccfbafff2d'),
  cleartext: 'SECRET MESSAGE',
  ciphertext: 'wcgqzENt5iXt9/7KPJ3rTA==',
  hmac: 'b5d1479ae2019663d6572b8e8a734e5f06c1602a0cd0becb87ca81501a08fa55',
  /** §6.5: the same in format 6. */
  format6:
    '/NtLR+qGZe7bz1Sxolts11u61VQiktftPavq3/6AnzY3WhLW3k7ya3Nfb8z7r/8twcgqzENt5iXt9/7KPJ3rTA==',
};

/** §6.9.3: Sync Keys of people, and the bundles that come of them. */
export const legacyKeys = [
  {
    username: 'st3fan',
    syncKey: 'q7ynpwq7vsc9m34hankbyi3s3i',
    bundle: hexBundle(
      '14b8c09fa84e92729ee695160af6e0385f8f6215a25d14906e1747bdaa2de426',
      '370e3566245d79fe602a3adb5137e42439cd2a571235197e0469d7d541b07875',
    ),
  },
  {
    username: 'smqvooxj664hmrkrv6bw4r4vkegjhkns',
    syncKey: 'gbh7teqqcgyzd65svjgibd7tqy',
    bundle: base64Bundle(
      '069EnS3EtDK4y1tZ1AyKX+U7WEsWRp9bRIKLdW/7aoE=',
      'LF2YCS1QCgSNCf0BCQvQ06SGH8jqJDi9dKj0O+b0fwI=',
    ),
  },
  {
    username: 'c6o7dvmr2c4ud2fyv6woz2u4zi22bcyd',
    syncKey: '6m8mv8ex2brqnrmsb9fjuvfg7y',
    bundle: base64Bundle(
      '/8RzbFT396htpZu5rwgIg2WKfyARgm7dLzsF5pwrVz8=',
      'NChGjrqoXYyw8vIYP2334cvmMtsjAMUZNqFwV2LGNkM=',
    ),
  },
];

/** §6.9.4: `crypto/keys` under a legacy Sync Key. */
export const legacyCryptoKeys = {
  username: 'b6evr62dptbxz7fvebek7btljyu322wp',
  syncKey: 'basuxv2426eqj7frhvpcwkavdi',
  payload: {
    IV: 'Jjb2oVI5uvvFfmZYRY4GaA==',
    hmac: '0b59731cb1aaedc85f54917b7058f36160826b70050b0d70cd42b0b609b1d717',
    ciphertext: [
      'L1yRyZBkVYKXC1cTpeUqqfmKgCinYV9YntGiG0PfYZSTLQ2s86WPI0VBbQbLZfx7udk6sf6CFE4w5EgiPx0XP3Fb',
      'jL7r4qIT0vjbAOrLKedZwA3cgiquc+PXMEtml8B4Dfm0crJK0iROlRkb+lePAYkzIiQn5Ba8mSWQEFoLy3zAcfCY',
      'XumA7E0FjXYD+TqTG5bqYJY4zvPaB9mn9y3WHw==',
    ].join(''),
  },
  cleartext:
    '{"default":["K8fV6PHG8RgugfHexGesbzTeOs2o12crN/G3bz0Bx1M=","nbceuI6w1RJbBzh+iCJHEs8p4lElsOmayUhx+OztVgM="],"collections":{},"collection":"crypto","id":"keys"}',
  keys: base64Bundle(
    'K8fV6PHG8RgugfHexGesbzTeOs2o12crN/G3bz0Bx1M=',
    'nbceuI6w1RJbBzh+iCJHEs8p4lElsOmayUhx+OztVgM=',
  ),
};

/** §6.9.5 to §6.9.7: records. */
export const records = [
  {
    id: 'hkZYpC-BH4Xi',
    bundle: legacyCryptoKeys.keys,
    payload: {
      IV: 'GadPajeXhpk75K2YH+Ly4w==',
      hmac: '71442d946502e3ca475c70a633d3d37f4b4e9313a6d1041d0c0550cd354e7605',
      ciphertext: [
        'F4ukf0LM+vhffiKyjaANXeUhfmOPPmQYX1XBoGRh1LiHeKHB5rqjhzd7yAoxqgmFnkIgQFYPSqRAoCxWiAeGULTX',
        '+KM4MU5drbNyR/690JBWSyE1vQSiMGwNIbTKnOLGHKkQVYHDpajg5BNFfvHNQ5Jx7uM9uJcmuEjCI6GRMDKyKjhs',
        'TqCd99MONkY5rISutaWQ0eEXFgpA9RZPv4jgWlQhe+YrVnpcrTi20bNgKp3IfIeqEelrZ5FJd2WGZOA021d3e7P3',
        'Z4qptefH4Q9/hySrWsELWngBaydyn/IjsheZuKra3kJSST/4SvRZ7qXn',
      ].join(''),
    },
    cleartext:
      '{"id":"hkZYpC-BH4Xi","histUri":"http://hathology.com/2008/06/how-to-edit-your-path-environment-variables-on-mac-os-x/","title":"How To Edit Your PATH Environment Variables On Mac OS X","visits":[{"date":1318982074310889,"type":1}]}',
  },
  {
    id: '5qRsgXWRJZXr',
    bundle: base64Bundle(
      '9K/wLdXdw+nrTtXo4ZpECyHFNr4d7aYHqeg3KW9+m6Q=',
      'MMntEfutgLTc8FlTLQFms8/xMPmCldqPlq/QQXEjx70=',
    ),
    payload: {
      IV: 'GX8L37AAb2FZJMzIoXlX8w==',
      hmac: 'b1e6c18ac30deb70236bc0d65a46f7a4dce3b8b0e02cf92182b914e3afa5eebc',
      ciphertext: [
        'NMsdnRulLwQsVcwxKW9XwaUe7ouJk5Wn80QhbD80l0HEcZGCynh45qIbeYBik0lgcHbKmlIxTJNwU+OeqipN+/j7',
        'MqhjKOGIlvbpiPQQLC6/ffF2vbzL0nzMUuSyvaQzyGGkSYM2xUFt06aNivoQTvU2GgGmUK6MvadoY38hhW2LCMko',
        'ZcNfgCqJ26lO1O0sEO6zHsk3IVz6vsKiJ2Hq6VCo7hu123wNegmujHWQSGyf8JeudZjKzfi0OFRRvvm4QAKyBWf0',
        'MgrW1F8SFDnVfkq8amCB7NhdwhgLWbN+21NitNwWYknoEWe1m6hmGZDgDT32uxzWxCV8QqqrpH/ZggViEr9uMgoy',
        '4lYaWqP7G5WKvvechc62aqnsNEYhH26A5QgzmlNyvB+KPFvPsYzxDnSCjOoRSLx7GG86wT59QZw=',
      ].join(''),
    },
    cleartext:
      '{"id":"5qRsgXWRJZXr","histUri":"file:///Users/jason/Library/Application%20Support/Firefox/Profiles/ksgd7wpk.LocalSyncServer/weave/logs/","title":"Index of file:///Users/jason/Library/Application Support/Firefox/Profiles/ksgd7wpk.LocalSyncServer/weave/logs/","visits":[{"date":1319149012372425,"type":1}]}',
  },
  {
    id: '0-P9fabp9vJD',
    bundle: base64Bundle(
      '0A7mU5SZ/tu7ZqwXW1og4qHVHN+zgEi4Xwfwjw+vEJw=',
      '11GN34O9QWXkjR06g8t0gWE1sGgQeWL0qxxWwl8Dmxs=',
    ),
    payload: {
      IV: 'v/0BFgicqYQsd70T39rraA==',
      hmac: '59605ed696f6e0e6e062a03510cff742bf6b50d695c042e8372a93f4c2d37dac',
      ciphertext: [
        'YJB4dr0vZEIWPirfU2FCJvfzeSLiOP5QWasol2R6ILUxdHsJWuUuvTZVhxYQfTVNou6hVV67jfAvi5Cs+bqhhQsv',
        '7icZTiZhPTiTdVGt+uuMotxauVA5OryNGVEZgCCTvT3upzhDFdDbJzVd9O3/gU/b7r/CmAHykX8bTlthlbWeZ8oz',
        '6gwHJB5tPRU15nM/m/qW1vyKIw5pw/ZwtAy630AieRehGIGDk+33PWqsfyuT4EUFY9/Ly+8JlnqzxfiBCunIfuXG',
        'dLuqTjJOxgrK8mI4wccRFEdFEnmHvh5x7fjl1ID52qumFNQl8zkB75C8XK25alXqwvRR6/AQSP+BgQ==',
      ].join(''),
    },
    cleartext:
      '{"id":"0-P9fabp9vJD","type":"bookmark","title":"Customize Firefox","parentName":"Mozilla Firefox","bmkUri":"http://www.mozilla.com/en-US/firefox/customize/","tags":[],"keyword":null,"description":null,"loadInSidebar":false,"parentid":"HAZiMFYmygep"}',
  },
];

/** §6.9.8: Sync Key Bundles from kB. */
export const accountKeys = [
  {
    kB: 'd02d8fe39f28b601159c543f2deeb8f72bdf2043e8279aa08496fbd9ebaea361',
    bundle: base64Bundle(
      'rsLwECkgPYeGbYl92e23FskfIbgld9TgeifEaB9ZwTI=',
      'fs75EseCD/VOLodlIGmwNabBjhTYBHFCe7CGIf0t8Tw=',
    ),
  },
  {
    kB: 'a5653a34302125fd0a72619dbcc2cfada1b51d597c9d47995ed127daffcbf6a3',
    bundle: base64Bundle(
      'M2WxH2kvEDlRW3kgPV9KMbI047UPzdVj9X2WSNcaqME=',
      'Cxbz9pbZ6RMkyeUXu9Uo4ZTebzp34yjY38/Z14ORSaM=',
    ),
  },
];

/** §6.9.8: `crypto/keys` of the second of them. */
export const accountCryptoKeys = {
  kB: 'a5653a34302125fd0a72619dbcc2cfada1b51d597c9d47995ed127daffcbf6a3',
  payload: {
    IV: 'CIV2kzCWf/aMc5ACcozreQ==',
    hmac: 'c2cca14183dfbd2f345cde850e5450ca4921486f042374de93ce36da3939a73f',
    ciphertext: [
      'PoI050UwrZvi0o4d/A5ceRQoWfangl8Z3xX81hnkun/6WmHpqx1/bos5LI12OYBfd1FNecjF21bZ8q5D/LB0gKNt',
      'pUmAgDcxwe6cyc2BLuqWdQuh/FzRzOt/HVayKFckJ0nrH10zRaR1QhZZRCyKMVjsbdWkUip4NQ/spXdiHc5hgj51',
      'oMRujvrJX6YK1bejgvIHx85fvLmt5lKiIAuRhw==',
    ].join(''),
  },
  keys: base64Bundle(
    'mGBQWTENaXcnknl4nm2GyX8RCi+KkRquGwYp48TPP1I=',
    'kEHtl0kKK4qbanGOTj0b4g+ziok9WtZus8vhmIkvFvY=',
  ),
};
