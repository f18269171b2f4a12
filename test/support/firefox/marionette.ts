import { connect, type Socket } from 'node:net';

/** What Firefox says of a command that it could not carry out. */
export class MarionetteError extends Error {
  override readonly name = 'MarionetteError';

  /** @param code - of the WebDriver specification §6.6, such as `no such element` */
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(`${code}: ${message}`);
  }
}

interface Waiting {
  resolve: (result: unknown) => void;
  reject: (error: Error) => void;
}

/**
 * A connection to the remote control that is built into Firefox.
 *
 * Each message is JSON behind its length in bytes and a colon. Firefox begins with a greeting;
 * from then on `[0, id, command, parameters]` is answered by `[1, id, error, result]`.
 *
 * @see https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
 */
export class Marionette {
  private received = Buffer.alloc(0);
  private lastId = 0;
  private readonly waiting = new Map<number, Waiting>();
  private ended: Error | undefined;

  private constructor(private readonly socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.readMessages();
    });
    socket.once('error', (error) => {
      this.end(error);
    });
    socket.once('close', () => {
      this.end(new Error('Firefox closed the connection.'));
    });
  }

  /** @param port - on 127.0.0.1, where Firefox listens already */
  static async connect(port: number): Promise<Marionette> {
    const socket = await new Promise<Socket>((connected, failed) => {
      const made = connect(port, '127.0.0.1', () => {
        connected(made);
      }).once('error', failed);
    });
    const marionette = new Marionette(socket);
    await new Promise((resolve, reject) => marionette.waiting.set(0, { resolve, reject }));
    return marionette;
  }

  /**
   * @returns the `value` of the answer
   * @throws MarionetteError when Firefox refuses; Error when the connection ends before the answer
   */
  async send(command: string, parameters: object = {}): Promise<unknown> {
    if (this.ended) throw this.ended;
    const id = ++this.lastId;
    const message = Buffer.from(JSON.stringify([0, id, command, parameters]));
    const result = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    this.socket.write(Buffer.concat([Buffer.from(`${message.length}:`), message]));
    return result;
  }

  close(): void {
    this.socket.destroy();
  }

  private readMessages(): void {
    for (;;) {
      const colon = this.received.indexOf(':');
      const end = colon + 1 + Number(this.received.subarray(0, colon).toString());
      if (colon < 0 || this.received.length < end) return;
      const message: unknown = JSON.parse(this.received.subarray(colon + 1, end).toString());
      this.received = this.received.subarray(end);
      this.take(message);
    }
  }

  private take(message: unknown): void {
    // The greeting answers no command.
    const [, id, error, result] = (Array.isArray(message) ? message : [1, 0, null, message]) as [
      number,
      number,
      { error: string; message: string } | null,
      object | null,
    ];
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error) waiting?.reject(new MarionetteError(error.error, error.message));
    else waiting?.resolve(result && 'value' in result ? result.value : result);
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.waiting.values()) reject(this.ended);
    this.waiting.clear();
  }
}
