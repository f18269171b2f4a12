import { once } from 'node:events';
import { Duplex } from 'node:stream';
import { constants } from 'node:crypto';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type Envelope, RelayEnd } from './relay.ts';

/**
 * The device that shows the QR code: OpenSSL speaks the TLS of it, so that ours is not only understood by
 * itself. It is as strict as a Firefox, and leaves the padding on as that does.
 */
export class Authority {
  private heard = '';
  private wake: () => void = () => undefined;

  private constructor(
    readonly end: RelayEnd,
    readonly channelId: string,
    readonly key: Buffer,
    private readonly tls: TLSSocket,
  ) {
    tls.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString();
      this.wake();
    });
    tls.on('error', () => undefined);
  }

  /**
   * @param url - origin of the server
   * @param tamper - changes a record on its way, either way; undefined drops it
   */
  static async open(
    url: string,
    key: Buffer,
    tamper: (record: Buffer, direction: 'in' | 'out') => Buffer | undefined = (record) => record,
  ): Promise<Authority> {
    const end = await RelayEnd.connect(url);
    const { channelid: channelId } = (await end.next()) as { channelid: string };
    let rest = Buffer.alloc(0);
    const wire = new Duplex({
      read: () => undefined,
      write(chunk: Buffer, _encoding, done) {
        rest = Buffer.concat([rest, chunk]);
        while (rest.length >= 5 && rest.length >= 5 + rest.readUInt16BE(3)) {
          const length = 5 + rest.readUInt16BE(3);
          const record = tamper(Buffer.from(rest.subarray(0, length)), 'out');
          rest = rest.subarray(length);
          if (record) end.send(padded(record));
        }
        done();
      },
    });
    const tls = new TLSSocket(wire, {
      isServer: true,
      secureContext: createSecureContext({
        minVersion: 'TLSv1.3',
        ciphers: 'TLS_AES_128_GCM_SHA256',
        secureOptions: constants.SSL_OP_ALLOW_NO_DHE_KEX,
      }),
      pskCallback: (_socket: TLSSocket, identity: string) => (identity === channelId ? key : null),
    } as ConstructorParameters<typeof TLSSocket>[1]);
    void (async () => {
      for (;;) {
        const { message } = (await end.next()) as Envelope;
        const record = tamper(Buffer.from(message, 'base64url'), 'in');
        if (record) wire.push(record);
      }
    })();
    return new Authority(end, channelId, key, tls);
  }

  /** What stands behind the `#` of its QR code. */
  get fragment(): string {
    return `#channel_id=${this.channelId}&channel_key=${this.key.toString('base64url')}`;
  }

  send(message: string, data?: object): void {
    this.tls.write(JSON.stringify({ message, data }));
  }

  /** The next message, which comes whole in one record. */
  async next(): Promise<{ message: string; data: Record<string, string> }> {
    while (this.heard === '') await new Promise<void>((done) => (this.wake = done));
    const heard = this.heard;
    this.heard = '';
    return JSON.parse(heard) as { message: string; data: Record<string, string> };
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    this.tls.end();
    await once(this.tls, 'finish');
  }
}

const padded = (record: Buffer) =>
  record.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
