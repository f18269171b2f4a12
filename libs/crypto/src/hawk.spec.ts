import { utf8 } from './encoding.ts';
import { hawkMac, hawkPayloadHash, hawkString, parseHawkHeader, signHawk } from './hawk.ts';
import { deriveTokenKey } from './tokenlib.ts';
import { master, token } from './tokenlib.fixture.ts';

/** The example of the Hawk specification. */
const example = { ts: 1_353_832_234, nonce: 'j4h3g2', ext: 'some-app-ext-data' };
const key = utf8('werxhqb98rpaxn39848xrunpaw3489ruxnpa98w4rxn');
const place = { path: '/resource/1?b=1&a=2', host: 'example.com', port: 8000 };

describe('Hawk', () => {
  it('computes the MAC of the specification', () => {
    expect(hawkString('header', { ...example, ...place, method: 'get', host: 'Example.COM' })).toBe(
      'hawk.1.header\n1353832234\nj4h3g2\nGET\n/resource/1?b=1&a=2\nexample.com\n8000\n\nsome-app-ext-data\n',
    );
    expect(hawkMac(key, { ...example, ...place, method: 'GET' })).toBe(
      '6R4rV5iE+NPoym+WwjeHzjAGXUtLNIxmo1vpMofpLAE=',
    );
  });

  it('covers the payload', () => {
    const hash = hawkPayloadHash('Text/Plain; charset=utf-8', utf8('Thank you for flying Hawk'));
    expect(hash).toBe('Yi9LfIIFRtBEPt74PVmbTF/xVAwPn7ub15ePICfgnuY=');
    expect(hawkMac(key, { ...example, ...place, method: 'POST', hash })).toBe(
      'aSe1DERmZuRl3pI36/9BdZmnErTw3sNzOOAUlfeKjVw=',
    );
  });

  it('computes the MACs of syncstorage-rs with the derived token key', () => {
    const derived = utf8(deriveTokenKey(master, token));
    const request = { ts: 1_569_608_439, host: 'localhost', port: 5000 };
    const path = '/storage/1.5/1/storage/col2';
    expect(hawkMac(derived, { ...request, method: 'GET', nonce: 'h1Ch4vo=', path })).toBe(
      'UwDpC+DSrHCSTQSfMOWlueB6kM6gHb0Hsv8eU9ZcTVs=',
    );
    const batch = `${path}?batch=MTUzNjE5ODk3NjkyMQ==&commit=true`;
    expect(hawkMac(derived, { ...request, method: 'POST', nonce: '4Rj7c+0=', path: batch })).toBe(
      'E7j1UjN7//mh7pYXsgGi3n0KGR+sUPpuyogDVzJWaHg=',
    );
  });

  it('signs requests that its reader understands', async () => {
    const request = { id: 'dh37fgj492je', key, method: 'GET', ts: 1_353_832_234, nonce: 'j4h3g2' };
    const url = 'http://example.com:8000/resource/1?b=1&a=2';
    const header = await signHawk({ ...request, url });
    expect(parseHawkHeader(header)).toEqual({
      ...{ id: 'dh37fgj492je', ts: 1_353_832_234, nonce: 'j4h3g2' },
      mac: hawkMac(key, { ...request, ...place }),
    });
    const payload = { contentType: 'text/plain', body: utf8('x') };
    const signed = parseHawkHeader(await signHawk({ ...request, url: 'https://h/p', payload }));
    expect(signed?.hash).toBe(hawkPayloadHash('text/plain', utf8('x')));
    expect(signed?.mac).toBe(
      hawkMac(key, { ...request, path: '/p', host: 'h', port: 443, hash: signed?.hash }),
    );
  });

  it('refuses a field that holds a line feed', () => {
    const request = { ...example, ...place, method: 'GET' };
    expect(() => hawkString('header', { ...request, nonce: 'a\nb' })).toThrow(RangeError);
    expect(() => hawkString('header', { ...request, ext: 'a\nb' })).toThrow(RangeError);
  });

  it('reads a header in any order and spacing', () => {
    expect(
      parseHawkHeader('hawk mac="m=" ,ts="12",  nonce="a, b=c",id="i", ext="", hash="h"'),
    ).toEqual({ id: 'i', ts: 12, nonce: 'a, b=c', mac: 'm=', hash: 'h' });
  });

  it.each([
    ['another scheme', 'Bearer abc'],
    ['no attributes', 'Hawk '],
    ['no id', 'Hawk ts="1", nonce="n", mac="m"'],
    ['no mac', 'Hawk id="i", ts="1", nonce="n"'],
    ['an empty nonce', 'Hawk id="i", ts="1", nonce="", mac="m"'],
    ['a name twice', 'Hawk id="i", id="j", ts="1", nonce="n", mac="m"'],
    ['an unknown name', 'Hawk id="i", ts="1", nonce="n", mac="m", app="a"'],
    ['a fractional time', 'Hawk id="i", ts="1.5", nonce="n", mac="m"'],
    ['a time spelled otherwise', 'Hawk id="i", ts="01", nonce="n", mac="m"'],
    ['a huge time', 'Hawk id="i", ts="1000000000000000", nonce="n", mac="m"'],
    ['a line feed', 'Hawk id="i", ts="1", nonce="n\nm", mac="m"'],
    ['a quote', String.raw`Hawk id="i", ts="1", nonce="n\"", mac="m"`],
    ['trailing text', 'Hawk id="i", ts="1", nonce="n", mac="m" x'],
    ['too much', `Hawk id="${'i'.repeat(4096)}", ts="1", nonce="n", mac="m"`],
  ])('does not read a header with %s', (_, header) => {
    expect(parseHawkHeader(header)).toBeUndefined();
  });
});
