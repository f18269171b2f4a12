import { concat, equalBytes, fromHex, hmacSha256, randomBytes, sha256, utf8 } from '#lib/crypto';

/** The other end does not have the key, or somebody in between changed something. */
export class ChannelRefusal extends Error {
  override readonly name = 'ChannelRefusal';
}

const record = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
const handshake = { serverHello: 2, newSessionTicket: 4, encryptedExtensions: 8, finished: 20 };
const CLOSE_NOTIFY = 0;
const HASH = 32;
const RECORD_MAX = 16_384;
const SEALED_MAX = RECORD_MAX + 256;
const EMPTY = new Uint8Array(0);

/** TLS 1.3 behind the face of 1.2, TLS_AES_128_GCM_SHA256, a key that both have and nothing else. */
const SUITE = '1301';
const SUPPORTED_VERSIONS = '002b0003020304';
const PSK_MODES = '002d00020100';
const SERVER_EXTENSIONS = ['002b00020304', '002900020000'];

/** A number of so many bytes, and then the bytes that it counts. */
function vector(sizeOfLength: 1 | 2 | 3, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(...parts);
  return concat(number(body.length, sizeOfLength), body);
}

function number(value: number, bytes: number): Uint8Array {
  return Uint8Array.from({ length: bytes }, (_, i) => (value / 256 ** (bytes - 1 - i)) & 255);
}

/** HKDF-Expand-Label of at most one hash. RFC 8446 §7.1 */
function expandLabel(secret: Uint8Array, label: string, context: Uint8Array, length = HASH) {
  const info = concat(number(length, 2), vector(1, utf8(`tls13 ${label}`)), vector(1, context));
  return hmacSha256(secret, concat(info, number(1, 1))).slice(0, length);
}

const deriveSecret = (secret: Uint8Array, label: string, transcript: Uint8Array) =>
  expandLabel(secret, label, sha256(transcript));

const finishedMac = (secret: Uint8Array, transcript: Uint8Array) =>
  hmacSha256(expandLabel(secret, 'finished', EMPTY), sha256(transcript));

/** One direction under one key: records are numbered, so none can be left out, repeated or moved. */
class Direction {
  private readonly key: Promise<CryptoKey>;
  private readonly iv: Uint8Array;
  private sequence = 0;

  constructor(secret: Uint8Array, use: 'encrypt' | 'decrypt') {
    const raw = Uint8Array.from(expandLabel(secret, 'key', EMPTY, 16));
    this.key = crypto.subtle.importKey('raw', raw, 'AES-GCM', false, [use]);
    this.iv = expandLabel(secret, 'iv', EMPTY, 12);
  }

  async seal(type: number, content: Uint8Array): Promise<Uint8Array> {
    const inner = concat(content, number(type, 1));
    const header = concat(number(record.data, 1), fromHex('0303'), number(inner.length + 16, 2));
    const sealed = await crypto.subtle.encrypt(
      this.next(header),
      await this.key,
      Uint8Array.from(inner),
    );
    return concat(header, new Uint8Array(sealed));
  }

  async open(header: Uint8Array, sealed: Uint8Array): Promise<{ type: number; body: Uint8Array }> {
    const parameters = this.next(header);
    let inner: Uint8Array;
    try {
      const opened = await crypto.subtle.decrypt(
        parameters,
        await this.key,
        Uint8Array.from(sealed),
      );
      inner = new Uint8Array(opened);
    } catch (cause) {
      throw new ChannelRefusal('A record does not open.', { cause });
    }
    const end = inner.findLastIndex((byte) => byte !== 0);
    if (end < 0) throw new ChannelRefusal('A record holds nothing.');
    return { type: inner[end] ?? 0, body: inner.slice(0, end) };
  }

  private next(header: Uint8Array) {
    const nonce = Uint8Array.from(this.iv);
    const low = number(this.sequence++, 4);
    for (const [i, byte] of low.entries()) nonce[8 + i] = (nonce[8 + i] ?? 0) ^ byte;
    return { name: 'AES-GCM', iv: nonce, additionalData: Uint8Array.from(header) };
  }
}

/** What came of a record. */
export interface Received {
  /** To be sent back. */
  reply?: Uint8Array;
  /** What the other end says. */
  data?: Uint8Array;
  /** The other end says no more. */
  isOver?: boolean;
}

/**
 * The client of TLS 1.3 with a key that was shared beforehand and no certificates, as a Firefox that shows a
 * QR code is the server of it: one cipher, one record in each frame, nothing that is optional.
 *
 * @see RFC 8446 §2.2, §4.2.11; accounts.md §10
 */
export class TlsClient {
  /** The first record to send. */
  readonly hello: Uint8Array;
  private readonly earlySecret: Uint8Array;
  private transcript: Uint8Array;
  private state: 'server-hello' | 'encrypted-extensions' | 'finished' | 'open' | 'over' =
    'server-hello';
  private handshakeSecret: Uint8Array = EMPTY;
  private clientSecret: Uint8Array = EMPTY;
  private serverSecret: Uint8Array = EMPTY;
  private sending: Direction | undefined;
  private receiving: Direction | undefined;

  /** @param key - 32 bytes @param identity - what both call the key */
  constructor(key: Uint8Array, identity: string) {
    this.earlySecret = hmacSha256(new Uint8Array(HASH), key);
    const binderKey = deriveSecret(this.earlySecret, 'ext binder', EMPTY);
    const identities = vector(2, vector(2, utf8(identity)), number(0, 4));
    const bindersLength = 2 + 1 + HASH;
    const sharedKey = concat(identities, new Uint8Array(bindersLength));
    const extensions = vector(
      2,
      fromHex(SUPPORTED_VERSIONS),
      fromHex(PSK_MODES),
      fromHex('0029'),
      vector(2, sharedKey),
    );
    const body = concat(
      ...[fromHex('0303'), randomBytes(32), vector(1), vector(2, fromHex(SUITE))],
      ...[vector(1, number(0, 1)), extensions],
    );
    const message = concat(number(1, 1), vector(3, body));
    // The proof of the key covers everything before it.
    const proven = message.slice(0, -bindersLength);
    const binders = vector(2, vector(1, finishedMac(binderKey, proven)));
    this.transcript = concat(proven, binders);
    this.hello = plain(record.handshake, this.transcript);
  }

  /** Whether the other end has shown that it has the key. */
  get isOpen(): boolean {
    return this.state === 'open';
  }

  /** Takes one record, in the order in which they come and one at a time. @throws ChannelRefusal */
  async receive(bytes: Uint8Array): Promise<Received> {
    if (this.state === 'over') throw new ChannelRefusal('It is over.');
    try {
      const { type, body } = await this.unwrap(bytes);
      if (type === record.changeCipherSpec) return {};
      if (type === record.alert) return this.hearAlert(body);
      if (type === record.handshake) return await this.shakeHands(body);
      if (type === record.data && this.state === 'open') return { data: body };
      throw new ChannelRefusal('This record does not belong here.');
    } catch (error) {
      this.state = 'over';
      throw error;
    }
  }

  /** The record that says something. @throws ChannelRefusal when it is not open, or this is too long */
  async say(data: Uint8Array): Promise<Uint8Array> {
    if (!this.sending || this.state !== 'open' || data.length > RECORD_MAX) {
      throw new ChannelRefusal('That cannot be said now.');
    }
    return this.sending.seal(record.data, data);
  }

  /** The record that says goodbye. @throws ChannelRefusal when it is not open */
  async sayGoodbye(): Promise<Uint8Array> {
    if (!this.sending || this.state !== 'open') throw new ChannelRefusal('It is not open.');
    return this.sending.seal(record.alert, Uint8Array.of(1, CLOSE_NOTIFY));
  }

  private async unwrap(bytes: Uint8Array): Promise<{ type: number; body: Uint8Array }> {
    const header = bytes.slice(0, 5);
    const body = bytes.slice(5);
    const [type = 0, major, minor, high = 0, low = 0] = header;
    const isWhole = header.length === 5 && body.length === high * 256 + low;
    if (!isWhole || major !== 3 || minor !== 3) throw new ChannelRefusal('This is no record.');
    if (type === record.changeCipherSpec) {
      // Says nothing, once, while hands are shaken.
      if (this.state !== 'encrypted-extensions' || !equalBytes(body, Uint8Array.of(1))) {
        throw new ChannelRefusal('This record does not belong here.');
      }
      return { type, body };
    }
    if (!this.receiving) {
      if (body.length > RECORD_MAX) throw new ChannelRefusal('A record is too long.');
      return { type, body };
    }
    if (type !== record.data || body.length > SEALED_MAX) {
      throw new ChannelRefusal('A record is not encrypted, or too long.');
    }
    return this.receiving.open(header, body);
  }

  private hearAlert(body: Uint8Array): Received {
    const [level, what] = body;
    if (body.length !== 2 || what !== CLOSE_NOTIFY || level !== 1 || this.state !== 'open') {
      throw new ChannelRefusal(`The other end refuses (${what ?? ''}).`);
    }
    this.state = 'over';
    return { isOver: true };
  }

  /** One record may hold several messages, and none is cut. */
  private async shakeHands(body: Uint8Array): Promise<Received> {
    let rest = body;
    let received: Received = {};
    do {
      const [type = 0, high = 0, middle = 0, low = 0] = rest;
      const length = 4 + high * 65_536 + middle * 256 + low;
      if (rest.length < 4 || rest.length < length) {
        throw new ChannelRefusal('A message is cut off.');
      }
      const message = rest.slice(0, length);
      rest = rest.slice(length);
      // Whatever follows would be under another key.
      const isLast = type === handshake.serverHello || type === handshake.finished;
      if (isLast && rest.length > 0) throw new ChannelRefusal('A message is too many.');
      received = await this.take(type, message);
    } while (rest.length > 0);
    return received;
  }

  private async take(type: number, message: Uint8Array): Promise<Received> {
    if (type === handshake.serverHello && this.state === 'server-hello') {
      this.takeServerHello(message);
      return {};
    }
    if (type === handshake.encryptedExtensions && this.state === 'encrypted-extensions') {
      // None that this end asked for.
      if (!equalBytes(message, fromHex('080000020000'))) throw unexpected();
      this.transcript = concat(this.transcript, message);
      this.state = 'finished';
      return {};
    }
    if (type === handshake.finished && this.state === 'finished') return this.finish(message);
    // Nobody comes back with a ticket.
    if (type === handshake.newSessionTicket && this.state === 'open') return {};
    throw unexpected();
  }

  private takeServerHello(message: Uint8Array): void {
    const fixed = concat(fromHex('0303'), message.slice(6, 38), vector(1), fromHex(SUITE + '00'));
    // In either order.
    const answers = [SERVER_EXTENSIONS, [...SERVER_EXTENSIONS].reverse()].map((extensions) => {
      const body = concat(fixed, vector(2, fromHex(extensions.join(''))));
      return concat(number(handshake.serverHello, 1), vector(3, body));
    });
    if (!answers.some((answer) => equalBytes(message, answer))) throw unexpected();
    this.transcript = concat(this.transcript, message);
    const derived = deriveSecret(this.earlySecret, 'derived', EMPTY);
    this.handshakeSecret = hmacSha256(derived, new Uint8Array(HASH));
    this.clientSecret = deriveSecret(this.handshakeSecret, 'c hs traffic', this.transcript);
    this.serverSecret = deriveSecret(this.handshakeSecret, 's hs traffic', this.transcript);
    this.sending = new Direction(this.clientSecret, 'encrypt');
    this.receiving = new Direction(this.serverSecret, 'decrypt');
    this.state = 'encrypted-extensions';
  }

  private async finish(message: Uint8Array): Promise<Received> {
    const mac = finishedMac(this.serverSecret, this.transcript);
    if (!this.sending || !equalBytes(message, finished(mac))) {
      throw new ChannelRefusal('The other end does not have the key.');
    }
    this.transcript = concat(this.transcript, message);
    const own = finished(finishedMac(this.clientSecret, this.transcript));
    const reply = await this.sending.seal(record.handshake, own);
    const derived = deriveSecret(this.handshakeSecret, 'derived', EMPTY);
    const master = hmacSha256(derived, new Uint8Array(HASH));
    this.sending = new Direction(deriveSecret(master, 'c ap traffic', this.transcript), 'encrypt');
    this.receiving = new Direction(
      deriveSecret(master, 's ap traffic', this.transcript),
      'decrypt',
    );
    this.state = 'open';
    return { reply };
  }
}

const plain = (type: number, content: Uint8Array) =>
  concat(number(type, 1), fromHex('0303'), vector(2, content));

const finished = (mac: Uint8Array) => concat(number(handshake.finished, 1), vector(3, mac));

const unexpected = () => new ChannelRefusal('The other end speaks something else.');
