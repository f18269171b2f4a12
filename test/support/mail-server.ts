import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';

/** A message as the mail server got it. */
interface Received {
  to: string[];
  text: string;
}

/** A real mail server on loopback. What it refuses is what `options` says. */
export class MailServer {
  readonly received: Received[] = [];

  private constructor(
    private readonly server: SMTPServer,
    readonly port: number,
  ) {}

  static async start(options: SMTPServerOptions = {}, port = 0): Promise<MailServer> {
    const received: Received[] = [];
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ['STARTTLS'],
      logger: false,
      onData(stream, session, done) {
        const chunks: Buffer[] = [];
        stream.on('data', (chunk: Buffer) => chunks.push(chunk));
        stream.on('end', () => {
          const to = session.envelope.rcptTo.map(({ address }) => address);
          received.push({ to, text: Buffer.concat(chunks).toString() });
          done();
        });
      },
      ...options,
    });
    // A client that breaks off is what some tests are about.
    server.on('error', () => undefined);
    await new Promise<void>((listening) => {
      server.listen(port, '127.0.0.1', listening);
    });
    const { port: actual } = server.server.address() as AddressInfo;
    const started = new MailServer(server, actual);
    Object.assign(started, { received });
    return started;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  stop(): Promise<void> {
    return new Promise((stopped) => {
      this.server.close(stopped);
    });
  }
}
