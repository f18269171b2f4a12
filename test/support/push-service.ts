import { createDecipheriv, createECDH, hkdfSync, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { createServer, globalAgent } from 'node:https';
import type { AddressInfo } from 'node:net';
import { selfSigned } from './certificate.ts';

/** A message as it came in. */
export interface Pushed {
  path: string;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** How the service answers; 201 unless told. */
type Answer = (reply: ServerResponse, path: string) => void;

/** A push service on loopback: an https server with a certificate of its own. */
export class TestPushService {
  readonly got: Pushed[] = [];
  connections = 0;
  answer: Answer = (reply) => reply.writeHead(201).end();
  private readonly waiting: ((message: Pushed) => void)[] = [];
  private unread = 0;

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    private readonly authorities: string[],
  ) {}

  /** @param isTrusted - whether this process takes its certificate, until it is closed */
  static async start({ isTrusted = true } = {}): Promise<TestPushService> {
    const certificate = selfSigned(['localhost', 'push.example.org'], [[127, 0, 0, 1]]);
    const server = createServer(certificate).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const service = new TestPushService(server, isTrusted ? [certificate.cert] : []);
    const trusted = [globalAgent.options.ca ?? []].flat();
    globalAgent.options.ca = [...trusted, ...service.authorities];
    server.on('connection', () => service.connections++);
    server.on('request', (request, reply) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const path = request.url ?? '';
        service.arrived({ path, headers: request.headers, body: Buffer.concat(chunks) });
        service.answer(reply, path);
      });
    });
    return service;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Another address at which messages are taken. */
  at(host = '127.0.0.1'): string {
    return `https://${host}:${this.port}/push/${randomBytes(6).toString('hex')}`;
  }

  /** The next message that was not read yet; waits for it. */
  next(): Promise<Pushed> {
    const ready = this.got[this.unread++];
    if (ready) return Promise.resolve(ready);
    return new Promise((found) => this.waiting.push(found));
  }

  async close(): Promise<void> {
    globalAgent.options.ca = [globalAgent.options.ca ?? []]
      .flat()
      .filter((cert) => !this.authorities.includes(String(cert)));
    if (globalAgent.options.ca.length === 0) delete globalAgent.options.ca;
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private arrived(message: Pushed): void {
    this.got.push(message);
    this.waiting.shift()?.(message);
  }
}

/** The keys of a subscription, of which the push service knows none. */
export class Subscriber {
  private readonly ecdh = createECDH('prime256v1');
  private readonly auth: Buffer;

  constructor({ privateKey = undefined as Buffer | undefined, auth = randomBytes(16) } = {}) {
    if (privateKey) this.ecdh.setPrivateKey(privateKey);
    else this.ecdh.generateKeys();
    this.auth = auth;
  }

  /** What a device registers with it. */
  subscription(pushCallback: string) {
    return {
      pushCallback,
      pushPublicKey: this.ecdh.getPublicKey('base64url'),
      pushAuthKey: this.auth.toString('base64url'),
    };
  }

  /**
   * Opens one message of one record.
   *
   * @see RFC 8188 §2, RFC 8291 §3
   */
  open(body: Buffer): string {
    const [salt, idLength] = [body.subarray(0, 16), body.readUInt8(20)];
    const sender = body.subarray(21, 21 + idLength);
    const sealed = body.subarray(21 + idLength);
    if (sealed.length > body.readUInt32BE(16)) throw new Error('More than one record');
    const derive = (key: Uint8Array, by: Uint8Array, info: Uint8Array, length: number) =>
      Buffer.from(hkdfSync('sha256', key, by, info, length));
    const both = Buffer.concat([
      ...[Buffer.from('WebPush: info\0'), this.ecdh.getPublicKey(), sender],
    ]);
    const secret = derive(this.ecdh.computeSecret(sender), this.auth, both, 32);
    const key = derive(secret, salt, Buffer.from('Content-Encoding: aes128gcm\0'), 16);
    const nonce = derive(secret, salt, Buffer.from('Content-Encoding: nonce\0'), 12);
    const decipher = createDecipheriv('aes-128-gcm', key, nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    const padded = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    const end = padded.findLastIndex((byte) => byte !== 0);
    if (padded[end] !== 2) throw new Error('Not the last record');
    return padded.subarray(0, end).toString();
  }
}

/** A DNS server on loopback that answers from a table, and counts what it is asked. */
export class TestNameServer {
  readonly asked: string[] = [];
  private constructor(private readonly socket: ReturnType<typeof createSocket>) {}

  /** @param addresses - of a name, IPv4 or IPv6, when it is asked for the n-th time, from 0 */
  static async start(addresses: (name: string, n: number) => string[]): Promise<TestNameServer> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const names = new TestNameServer(socket);
    socket.on('message', (query, from) => {
      const labels: string[] = [];
      let at = 12;
      for (let length = query.readUInt8(at); length > 0; length = query.readUInt8(at)) {
        labels.push(query.toString('ascii', at + 1, at + 1 + length));
        at += length + 1;
      }
      const question = query.subarray(12, at + 5);
      const kind = query.readUInt16BE(at + 1) === 28 ? 'AAAA' : 'A';
      const name = labels.join('.');
      const n = names.asked.filter((before) => before === `${kind} ${name}`).length;
      names.asked.push(`${kind} ${name}`);
      const found = addresses(name, n)
        .filter((address) => address.includes(':') === (kind === 'AAAA'))
        .map((address) => record(kind, address));
      const head = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, found.length, 0, 0, 0, 0]);
      query.copy(head, 0, 0, 2);
      socket.send(Buffer.concat([head, question, ...found]), from.port, from.address);
    });
    return names;
  }

  get server(): string {
    return `127.0.0.1:${this.socket.address().port}`;
  }

  close(): void {
    this.socket.close();
  }
}

/** An answer about the name that was asked for, good for no time. */
function record(kind: 'A' | 'AAAA', address: string): Buffer {
  const bytes = kind === 'A' ? Buffer.from(address.split('.').map(Number)) : addressBytes(address);
  const type = kind === 'A' ? 1 : 28;
  return Buffer.concat([
    Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length]),
    bytes,
  ]);
}

function addressBytes(address: string): Buffer {
  const [before = '', after = ''] = address.split('::');
  const words = (part: string) => (part === '' ? [] : part.split(':'));
  const missing = 8 - words(before).length - words(after).length;
  const all = [...words(before), ...Array<string>(missing).fill('0'), ...words(after)];
  return Buffer.from(all.map((word) => word.padStart(4, '0')).join(''), 'hex');
}
