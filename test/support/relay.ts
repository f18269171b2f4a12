import { once } from 'node:events';
import { WebSocket } from 'ws';

/** What the relay hands on: docs/protocol/pairing.md */
export interface Envelope {
  message: string;
  sender: { ua: string; city: string; region: string; country: string; remote: string };
}

/** A device at the relay. */
export class RelayEnd {
  /** Resolves with the close code and the reason. */
  readonly closed: Promise<[number, string]>;
  private readonly heard: string[] = [];
  private wake: () => void = () => undefined;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => {
      this.heard.push(data.toString());
      this.wake();
    });
    socket.on('error', () => undefined);
    this.closed = new Promise((done) => {
      socket.once('close', (code: number, reason: Buffer) => {
        done([code, reason.toString()]);
      });
    });
  }

  /** @param link - the path, of a channel or of none. @throws Error with the status when it is refused */
  static async connect(
    url: string,
    link = '/v1/ws/',
    options: { headers?: Record<string, string>; autoPong?: boolean } = {},
  ): Promise<RelayEnd> {
    const socket = new WebSocket(url.replace(/^http/, 'ws') + link, options);
    const end = new RelayEnd(socket);
    await once(socket, 'open');
    return end;
  }

  /** The next frame, as it came. */
  async next(): Promise<unknown> {
    while (this.heard.length === 0) await new Promise<void>((done) => (this.wake = done));
    return JSON.parse(this.heard.shift() ?? '');
  }

  /** Frames that nobody asked for yet. */
  get unread(): number {
    return this.heard.length;
  }

  send(text: string): void {
    this.socket.send(text);
  }
}

/** Two devices that were introduced, and the path of their channel. */
export async function introduced(
  url: string,
  options: { headers?: Record<string, string>; autoPong?: boolean } = {},
) {
  const authority = await RelayEnd.connect(url, undefined, options);
  const { link } = (await authority.next()) as { link: string };
  const supplicant = await RelayEnd.connect(url, link, options);
  await supplicant.next();
  return { authority, supplicant, link };
}

/** The status that a request for a WebSocket is refused with, and the answer. */
export function refusal(
  url: string,
  link = '/v1/ws/',
  headers: Record<string, string> = {},
): Promise<{ status: number; body: string; headers: NodeJS.Dict<string | string[]> }> {
  const socket = new WebSocket(url.replace(/^http/, 'ws') + link, { headers });
  return new Promise((done, failed) => {
    socket.on('error', failed);
    socket.on('open', () => {
      socket.terminate();
      failed(new Error('It was let in.'));
    });
    socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => {
        done({ status: response.statusCode ?? 0, body, headers: response.headers });
      });
    });
  });
}
