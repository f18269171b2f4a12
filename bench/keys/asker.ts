import { Agent, request as send } from 'node:http';

/** One request. */
export interface Ask {
  method: 'GET' | 'POST' | 'PUT';
  /** From the origin on. */
  path: string;
  token?: string;
  body?: object;
  /** Says `If-None-Match: *`. */
  isFirst?: boolean;
  /** 404 is what has to come. */
  isMissing?: boolean;
}

/** Asks a server on connections that stay open. */
export class Asker {
  private readonly agent = new Agent({ keepAlive: true });

  /** @param origin - on loopback, without a slash at the end */
  constructor(private readonly origin: string) {}

  close(): void {
    this.agent.destroy();
  }

  /** @throws Error when it was refused */
  async ask(asked: Ask): Promise<{ text: string }> {
    const { status, text } = await this.send(asked);
    const isMeant = asked.isMissing === true ? status === 404 : status < 300;
    if (!isMeant) throw new Error(`${asked.method} ${asked.path}: ${status} ${text}`);
    return { text };
  }

  private send({ method, path, token, body, isFirst }: Ask) {
    const { hostname, port } = new URL(this.origin);
    const json = body && JSON.stringify(body);
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(isFirst === true && { 'if-none-match': '*' }),
      ...(json !== undefined && {
        ...{ 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) },
      }),
    };
    return new Promise<{ status: number; text: string }>((resolve, reject) => {
      const sent = send(
        { method, path, headers, hostname, port, agent: this.agent },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
          response.once('end', () => {
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
          });
        },
      );
      sent.once('error', reject).end(json);
    });
  }
}
