import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import type { Limits } from '../platform/config.ts';

/** What one end is told of the other. Places are empty: this server does not look addresses up. */
export interface Sender {
  /** Its `User-Agent`, as it says. */
  ua: string;
  city: string;
  region: string;
  country: string;
  /** Its address. */
  remote: string;
}

/** Close codes of RFC 6455 §7.4.1 that this relay uses. */
export const closing = {
  done: 1000,
  stopping: 1001,
  notText: 1003,
  tooMany: 1008,
  slow: 1013,
} as const;
type ClosingCode = (typeof closing)[keyof typeof closing];

/** As many frames of the greatest size may wait for an end that does not read. */
const WAITING_FRAMES = 4;
/** An end that does not answer the goodbye in that time is hung up on. */
const GOODBYE_MS = 1000;

interface End {
  socket: WebSocket;
  sender: Sender;
  /** When it was last heard of, in milliseconds. */
  heardAt: number;
}

/**
 * Two ends that were introduced to each other by the id of this channel. Each hears what the other says,
 * and who that is. When one of them leaves, or a limit is met, it is over for both: what they speak does
 * not survive another connection.
 */
export class Channel {
  /** 128 random bits, base64url. */
  readonly id = randomBytes(16).toString('base64url');
  private readonly ends: End[] = [];
  private exchanges = 0;
  private hasEnded = false;

  /**
   * @param endsAt - milliseconds
   * @param ended - told once
   */
  constructor(
    private readonly limits: Limits,
    private readonly endsAt: number,
    private readonly ended: (why: string) => void,
  ) {}

  /** Whether both are there. */
  get isFull(): boolean {
    return this.ends.length >= 2;
  }

  /** Whether it is over: nobody can join it any more. */
  get isOver(): boolean {
    return this.hasEnded;
  }

  /** Takes an end in, and tells it where it is. @param now - milliseconds, whenever it is called */
  join(socket: WebSocket, sender: Sender, now: () => number): void {
    const end: End = { socket, sender, heardAt: now() };
    this.ends.push(end);
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      end.heardAt = now();
      this.forward(end, data, isBinary);
    });
    const hear = () => (end.heardAt = now());
    socket.on('pong', hear).on('ping', hear);
    // ws closes by itself what breaks the protocol or is too large, with the code for it.
    socket.on('error', () => {
      this.end('broken', closing.done);
    });
    socket.on('close', () => {
      this.end('left', closing.done);
    });
    socket.send(JSON.stringify({ link: `/v1/ws/${this.id}`, channelid: this.id }));
  }

  /** Ends it if its time is over or an end is dead; asks both ends whether they are there. */
  check(now: number): void {
    if (now >= this.endsAt) this.end('expired', closing.done);
    const idleMs = this.limits.pairingIdleSeconds * 1000;
    if (this.ends.some(({ heardAt }) => now - heardAt >= idleMs)) this.end('idle', closing.done);
    if (this.hasEnded) return;
    for (const { socket } of this.ends) if (socket.readyState === WebSocket.OPEN) socket.ping();
  }

  /** Says goodbye to both. */
  end(why: string, code: ClosingCode): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    for (const { socket } of this.ends) {
      socket.close(code, why);
      const hangUp = setTimeout(() => {
        socket.terminate();
      }, GOODBYE_MS);
      socket.once('close', () => {
        clearTimeout(hangUp);
      });
    }
    this.ended(why);
  }

  private forward(from: End, data: Buffer, isBinary: boolean): void {
    if (this.hasEnded) return;
    if (isBinary) {
      this.end('not-text', closing.notText);
      return;
    }
    if (++this.exchanges > this.limits.pairingExchangesMax) {
      this.end('too-many-messages', closing.tooMany);
      return;
    }
    const text = JSON.stringify({ message: data.toString(), sender: from.sender });
    for (const { socket } of this.ends) {
      if (socket === from.socket) continue;
      const waiting = socket.bufferedAmount;
      if (waiting > WAITING_FRAMES * this.limits.pairingMessageBytesMax) {
        this.end('slow-reader', closing.slow);
        return;
      }
      socket.send(text);
    }
  }
}
