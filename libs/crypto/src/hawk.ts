/**
 * Hawk request signing, header scheme with SHA-256.
 *
 *     Authorization: Hawk id="…", ts="<unix seconds>", nonce="…", mac="<base64>"[, hash="<base64>"][, ext="…"]
 *
 * @module
 */
import { expectNone } from './checks.ts';
import { concat, sha256, toBase64, utf8 } from './encoding.ts';
import { hmacSha256 } from './hmac.ts';

/** What a Hawk MAC covers. */
export interface HawkArtifacts {
  /** Unix time in whole seconds. */
  ts: number;
  nonce: string;
  method: string;
  /** Path and query, exactly as sent. */
  path: string;
  host: string;
  port: number;
  /** Base64 of the payload's hash, when the payload is signed. */
  hash?: string | undefined;
  ext?: string | undefined;
}

/** The attributes of a Hawk `Authorization` header. */
export interface HawkHeader {
  id: string;
  ts: number;
  nonce: string;
  mac: string;
  hash?: string;
  ext?: string;
}

/**
 * Spells out what the request MAC covers.
 *
 *     "hawk.1.header" LF ts LF nonce LF METHOD LF path LF host LF port LF hash LF ext LF
 *
 * @throws RangeError when a field holds a line feed
 * @see Hawk, "Payload Validation" and "Request MAC"; sync.md §5.9
 */
export function hawkString(kind: 'header', artifacts: HawkArtifacts): string {
  const { ts, nonce, method, path, host, port, hash = '', ext = '' } = artifacts;
  expectNone('\n', { ts, nonce, method, path, host, port, hash, ext });
  const lines = [ts, nonce, method.toUpperCase(), path, host.toLowerCase(), port, hash, ext];
  return [`hawk.1.${kind}`, ...lines, ''].join('\n');
}

/**
 * Spells out what the payload hash covers.
 *
 *     "hawk.1.payload" LF content type, lower case and without parameters LF body LF
 */
export function hawkPayloadString(contentType: string, body: Uint8Array): Uint8Array {
  const type = (contentType.split(';')[0] ?? '').trim().toLowerCase();
  return concat(utf8(`hawk.1.payload\n${type}\n`), body, utf8('\n'));
}

/** Hashes a payload: `hash = base64(SHA-256(hawkPayloadString))`. */
export function hawkPayloadHash(contentType: string, body: Uint8Array): string {
  return toBase64(sha256(hawkPayloadString(contentType, body)));
}

/** Authenticates a request: `mac = base64(HMAC-SHA256(key, hawkString))`. */
export function hawkMac(key: Uint8Array, artifacts: HawkArtifacts): string {
  return toBase64(hmacSha256(key, utf8(hawkString('header', artifacts))));
}

// The attributes we sign. `app` and `dlg` would change the signed string, so a header with them is refused.
const ATTRIBUTES = new Set(['id', 'ts', 'nonce', 'mac', 'hash', 'ext']);

/**
 * Reads a Hawk `Authorization` header; it checks the form, not the MAC.
 *
 * @returns undefined when the header is of another scheme, names an attribute twice or an unknown one,
 * lacks id, ts, nonce or mac, or its ts is not a whole number of seconds
 */
export function parseHawkHeader(header: string): HawkHeader | undefined {
  const list = /^hawk +(.+)$/i.exec(header)?.[1];
  if (list === undefined || header.length > 4096) return undefined;
  const found = new Map<string, string>();
  for (const attribute of list.trim().split(/\s*,\s*(?=\w+=")/)) {
    const [, name, value] = /^(\w+)="([\x20\x21\x23-\x5b\x5d-\x7e]*)"$/.exec(attribute) ?? [];
    if (name === undefined || value === undefined) return undefined;
    if (!ATTRIBUTES.has(name) || found.has(name)) return undefined;
    found.set(name, value);
  }
  const [id, ts, nonce, mac] = ['id', 'ts', 'nonce', 'mac'].map((name) => found.get(name));
  if (!id || !nonce || !mac || !/^(?:0|[1-9]\d{0,14})$/.test(ts ?? '')) return undefined;
  const [hash, ext] = [found.get('hash'), found.get('ext')];
  return { id, ts: Number(ts), nonce, mac, ...(hash && { hash }), ...(ext && { ext }) };
}

/** A request to sign. */
export interface HawkRequest {
  id: string;
  key: Uint8Array;
  method: string;
  url: string;
  /** Unix time in whole seconds. */
  ts: number;
  nonce: string;
  payload?: { contentType: string; body: Uint8Array } | undefined;
}

/**
 * Signs a request.
 *
 * @param request - the key is used as raw bytes; the URL is signed in its normalised form, as `fetch` sends it
 * @returns the value of the `Authorization` header
 * @throws TypeError when the URL cannot be parsed
 */
export function signHawk(request: HawkRequest): Promise<string> {
  const { id, key, method, ts, nonce, payload } = request;
  const { protocol, hostname, port, pathname, search } = new URL(request.url);
  const hash = payload && hawkPayloadHash(payload.contentType, payload.body);
  const mac = hawkMac(key, {
    ...{ ts, nonce, method, hash },
    path: pathname + search,
    host: hostname,
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  });
  const attributes = { id, ts, nonce, ...(hash && { hash }), mac };
  const list = Object.entries(attributes).map(([name, value]) => `${name}="${value}"`);
  return Promise.resolve(`Hawk ${list.join(', ')}`);
}
