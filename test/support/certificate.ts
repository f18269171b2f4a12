import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** One DER value. */
function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...content: Uint8Array[]) => der(0x30, ...content);
const text = (value: string) => der(0x0c, Buffer.from(value));
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const time = (date: Date) =>
  der(0x18, Buffer.from(date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')));

const ECDSA_WITH_SHA256 = sequence(oid('2a8648ce3d040302'));
const COMMON_NAME = oid('550403');
const ALT_NAMES = oid('551d11');
const REVOCATION_LISTS = oid('551d1f');
const ANDROID_KEY = oid('2b06010401d679020111');

/** A certificate. @see RFC 5280 §4.1 */
function certificateOf(said: {
  by: string;
  signingKey: KeyObject;
  for: string;
  publicKey: KeyObject;
  extensions: Uint8Array[];
}): Buffer {
  const nameOf = (value: string) => sequence(der(0x31, sequence(COMMON_NAME, text(value))));
  const now = Date.now();
  const validity = sequence(time(new Date(now - 3_600_000)), time(new Date(now + 86_400_000)));
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    ...[nameOf(said.by), validity, nameOf(said.for)],
    said.publicKey.export({ type: 'spki', format: 'der' }),
    ...(said.extensions.length > 0 ? [der(0xa3, sequence(...said.extensions))] : []),
  );
  const signature = Buffer.concat([Buffer.from([0]), sign('sha256', body, said.signingKey)]);
  return sequence(body, ECDSA_WITH_SHA256, der(0x03, signature));
}

/**
 * The certificates of an Android key, under a root of somebody's own making, which say where it is told what was
 * revoked.
 *
 * @param challenge - SHA-256 of the client data
 */
export function androidKey(publicKey: KeyObject, challenge: Uint8Array, crl: string): Buffer[] {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const [integer, level] = [der(0x02, Buffer.from([3])), der(0x0a, Buffer.from([1]))];
  const described = sequence(
    ...[integer, level, integer, level],
    ...[der(0x04, challenge), der(0x04), sequence(), sequence()],
  );
  const lists = sequence(sequence(der(0xa0, der(0xa0, der(0x86, Buffer.from(crl))))));
  const by = { by: 'a root', signingKey: root.privateKey };
  const leaf = certificateOf({
    ...{ ...by, for: 'a key', publicKey },
    extensions: [
      sequence(REVOCATION_LISTS, der(0x04, lists)),
      sequence(ANDROID_KEY, der(0x04, described)),
    ],
  });
  return [leaf, certificateOf({ ...by, for: 'a root', publicKey: root.publicKey, extensions: [] })];
}

/**
 * A certificate that signed itself, for a day and these names, and its key.
 *
 * @see RFC 5280
 */
export function selfSigned(names: string[], addresses: number[][] = []) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const name = 'push service of a test';
  const alternatives = sequence(
    ...names.map((value) => der(0x82, Buffer.from(value))),
    ...addresses.map((bytes) => der(0x87, Buffer.from(bytes))),
  );
  const certificate = certificateOf({
    ...{ by: name, signingKey: privateKey, for: name, publicKey },
    extensions: [sequence(ALT_NAMES, der(0x04, alternatives))],
  });
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n');
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}
