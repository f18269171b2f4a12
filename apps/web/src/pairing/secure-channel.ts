import { z } from 'zod';
import { fromBase64Url, fromUtf8, toBase64Url, utf8 } from '#lib/crypto';
import { ChannelRefusal, TlsClient } from './tls-client.ts';

/** Where the two meet, and the key that the QR code showed: 32 bytes. */
export interface Meeting {
  channelId: string;
  channelKey: Uint8Array;
}

const Opening = z.object({ channelid: z.string() });
const Envelope = z.object({ message: z.string() });
const Message = z.object({ message: z.string(), data: z.unknown() });

/**
 * Reads what stands behind the `#` of the address that a QR code shows.
 *
 * @returns undefined when it is not whole
 */
export function readMeeting(fragment: string): Meeting | undefined {
  const said = new URLSearchParams(fragment.replace(/^#/, ''));
  const channelId = said.get('channel_id') ?? '';
  if (!/^[\w-]{8,64}$/.test(channelId)) return undefined;
  try {
    const channelKey = fromBase64Url(said.get('channel_key') ?? '');
    return channelKey.length === 32 ? { channelId, channelKey } : undefined;
  } catch {
    return undefined;
  }
}

/** What the device that shows the QR code says, in order. Whoever carries it can neither read nor change it. */
export class SecureChannel {
  private readonly heard: { message: string; data: unknown }[] = [];
  private failure: Error | undefined;
  private wake: () => void = () => undefined;
  private working: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly socket: WebSocket,
    private readonly tls: TlsClient,
  ) {
    socket.addEventListener('message', ({ data }) => {
      // One after the other: each is numbered.
      this.working = this.working
        .then(() => this.take(data))
        .catch((error: unknown) => {
          this.fail(error instanceof Error ? error : new ChannelRefusal(String(error)));
        });
    });
    socket.addEventListener('close', () => {
      this.working = this.working.then(() => {
        this.fail(new ChannelRefusal('The other end is gone.'));
      });
    });
  }

  /**
   * Meets the other end. It has the key when this resolves.
   *
   * @param relay - its origin, `wss://…`
   * @throws ChannelRefusal
   */
  static async connect(relay: string, { channelId, channelKey }: Meeting): Promise<SecureChannel> {
    const socket = new WebSocket(`${relay}/v1/ws/${channelId}`);
    const first = await new Promise<unknown>((resolve, reject) => {
      const refuse = () => {
        reject(new ChannelRefusal('Nobody waits there.'));
      };
      socket.addEventListener('close', refuse, { once: true });
      socket.addEventListener('error', refuse, { once: true });
      const take = ({ data }: MessageEvent) => {
        resolve(data);
      };
      socket.addEventListener('message', take, { once: true });
    });
    const channel = new SecureChannel(socket, new TlsClient(channelKey, channelId));
    try {
      if (Opening.parse(JSON.parse(String(first))).channelid !== channelId) {
        throw new ChannelRefusal('This is another channel.');
      }
      channel.sendRecord(channel.tls.hello);
      while (!channel.tls.isOpen) await channel.news();
    } catch (error) {
      socket.close();
      throw error;
    }
    return channel;
  }

  /** @throws ChannelRefusal when it is over */
  async send(message: string, data?: object): Promise<void> {
    const bytes = utf8(JSON.stringify({ message, ...(data && { data }) }));
    this.sendRecord(await this.tls.say(bytes));
  }

  /**
   * Waits for what the other end says next.
   *
   * @throws ChannelRefusal when it says something else, or nothing any more
   */
  async next<T extends z.ZodType>(message: string, schema: T): Promise<z.infer<T>> {
    while (this.heard.length === 0) await this.news();
    const found = this.heard.shift();
    const data = schema.safeParse(found?.data);
    if (found?.message !== message || !data.success) {
      throw new ChannelRefusal('The other end says something else.');
    }
    return data.data;
  }

  /** Resolves when the other end says goodbye or is gone. */
  async ended(): Promise<void> {
    while (!this.failure) await this.news().catch(() => undefined);
  }

  /** Says goodbye. */
  async close(): Promise<void> {
    if (this.tls.isOpen) this.sendRecord(await this.tls.sayGoodbye());
    this.socket.close();
  }

  private async take(frame: unknown): Promise<void> {
    const { message } = Envelope.parse(JSON.parse(String(frame)));
    const { reply, data, isOver } = await this.tls.receive(fromFrame(message));
    if (reply) this.sendRecord(reply);
    if (data) this.heard.push(Message.parse(JSON.parse(fromUtf8(data))));
    if (isOver === true) this.fail(new ChannelRefusal('The other end said goodbye.'));
    this.wake();
  }

  private fail(error: Error): void {
    this.failure ??= error;
    this.wake();
  }

  /** Resolves with the next event. @throws ChannelRefusal when there will be none */
  private async news(): Promise<void> {
    this.expectNoFailure();
    await new Promise<void>((done) => (this.wake = done));
    if (this.heard.length === 0) this.expectNoFailure();
  }

  private expectNoFailure(): void {
    if (this.failure) throw this.failure;
  }

  private sendRecord(bytes: Uint8Array): void {
    this.socket.send(toBase64Url(bytes));
  }
}

/** Firefox leaves the padding on. */
const fromFrame = (text: string) => fromBase64Url(text.replace(/=+$/, ''));
