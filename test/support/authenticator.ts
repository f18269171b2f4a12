import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { androidKey } from './certificate.ts';

/** What the server hands to a browser that is to make or show a passkey. */
export interface Options {
  challenge: string;
}

/** What an attacker may have signed instead of what is right. */
export interface Lies {
  origin?: string;
  rpId?: string;
  challenge?: string;
  type?: string;
  counter?: number;
  id?: string;
  /** Where a certificate of the key says that one is told what was revoked. */
  crl?: string;
}

type Cbor = number | string | Uint8Array | Cbor[] | Map<unknown, unknown>;

const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest();

/** As much of CBOR (RFC 8949) as a passkey is written in. */
function cbor(value: Cbor): Buffer {
  const head = (major: number, n: number) =>
    n < 24
      ? Buffer.from([(major << 5) | n])
      : n < 256
        ? Buffer.from([(major << 5) | 24, n])
        : Buffer.from([(major << 5) | 25, n >> 8, n & 255]);
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === 'string') return Buffer.concat([head(3, value.length), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  if (Array.isArray(value)) return Buffer.concat([head(4, value.length), ...value.map(cbor)]);
  const pairs = [...value].flat() as Cbor[];
  return Buffer.concat([head(5, value.size), ...pairs.map(cbor)]);
}

/** A security key of one passkey, with a counter, for whoever wants to see what the server refuses. */
export class Authenticator {
  readonly id = randomBytes(16);
  private readonly privateKey: KeyObject;
  private readonly publicKey: KeyObject;
  counter = 0;

  /** @param origin - of the page that it is used on */
  constructor(private readonly origin: string) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.privateKey = pair.privateKey;
    this.publicKey = pair.publicKey;
  }

  /** What a browser answers to the options of a registration. */
  register({ challenge }: Options, lies: Lies = {}) {
    const { x = '', y = '' } = this.publicKey.export({ format: 'jwk' });
    const bytes = (text: string) => Buffer.from(text, 'base64url');
    const key = new Map<number, number | Uint8Array>([
      ...([
        [1, 2],
        [3, -7],
        [-1, 1],
      ] as [number, number][]),
      ...([
        [-2, bytes(x)],
        [-3, bytes(y)],
      ] as [number, Uint8Array][]),
    ]);
    const credential = Buffer.concat([
      Buffer.alloc(16),
      Buffer.from([0, this.id.length]),
      this.id,
      cbor(key),
    ]);
    const authData = Buffer.concat([this.head(lies, 0x45), credential]);
    const clientData = this.clientData('webauthn.create', challenge, lies);
    const hash = sha256(clientData);
    const statement =
      lies.crl === undefined
        ? []
        : Object.entries({
            alg: -7,
            sig: sign('sha256', Buffer.concat([authData, hash]), this.privateKey),
            x5c: androidKey(this.publicKey, hash, lies.crl),
          });
    const attestation = new Map<string, Cbor>([
      ['fmt', lies.crl === undefined ? 'none' : 'android-key'],
      ['attStmt', new Map(statement)],
      ['authData', authData],
    ]);
    return this.answer({
      clientDataJSON: clientData.toString('base64url'),
      attestationObject: cbor(attestation).toString('base64url'),
      transports: ['usb'],
    });
  }

  /** What a browser answers to the options of a proof. */
  prove({ challenge }: Options, lies: Lies = {}) {
    this.counter++;
    const authData = this.head(lies, 0x05);
    const clientData = this.clientData('webauthn.get', challenge, lies);
    const signed = Buffer.concat([authData, sha256(clientData)]);
    return {
      ...this.answer({
        clientDataJSON: clientData.toString('base64url'),
        authenticatorData: authData.toString('base64url'),
        signature: sign('sha256', signed, this.privateKey).toString('base64url'),
      }),
      ...(lies.id !== undefined && { id: lies.id, rawId: lies.id }),
    };
  }

  private head({ rpId, counter = this.counter }: Lies, flags: number): Buffer {
    const rest = Buffer.alloc(5);
    rest.writeUInt8(flags);
    rest.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId ?? new URL(this.origin).hostname), rest]);
  }

  private clientData(type: string, challenge: string, lies: Lies): Buffer {
    const { origin } = this;
    return Buffer.from(JSON.stringify({ type, challenge, origin, crossOrigin: false, ...lies }));
  }

  private answer<Response extends object>(response: Response) {
    const id = this.id.toString('base64url');
    return { id, rawId: id, type: 'public-key', clientExtensionResults: {}, response };
  }
}
