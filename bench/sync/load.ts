import { randomBytes } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request as send } from 'node:http';
import { deriveTokenKey, mintToken, signHawk, utf8 } from '#lib/crypto';
import { Meter, Mismatch } from './meter.ts';

/** A reply, with its body as it came. */
export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** One request below `/storage/1.5/<uid>`. */
export interface Call {
  /** For the list of failures. */
  kind: string;
  method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  path: string;
  body?: string;
  headers?: Readonly<Record<string, string>>;
  /** Anything else is a failure. */
  status: number | readonly number[];
}

const TOKEN_SECONDS = 3600;

/** Sends requests to one server, each signed live, and takes down what became of them. */
export class Load {
  meter = new Meter();
  private readonly agent = new Agent({ keepAlive: true });
  private readonly keys = new Map<number, { id: string; key: Uint8Array }>();

  /**
   * @param origin - without a slash at the end
   * @param secret - the one that the token server shares with the storage node
   */
  constructor(
    readonly origin: string,
    private readonly secret: string,
  ) {}

  /** Begins a measurement. */
  reset(): void {
    this.meter = new Meter();
  }

  close(): void {
    this.agent.destroy();
  }

  /**
   * @param verify - throws a Mismatch
   * @returns what `verify` made of the reply; undefined when the request failed, which is counted
   */
  async call<T>(uid: number, call: Call, verify: (reply: Reply) => T): Promise<T | undefined> {
    const { meter } = this;
    try {
      const started = performance.now();
      const reply = await this.send(uid, call);
      meter.took(performance.now() - started);
      const { status } = call;
      const isExpected =
        typeof status === 'number' ? status === reply.status : status.includes(reply.status);
      if (!isExpected) throw new Mismatch(`status ${reply.status} ${reply.text.slice(0, 60)}`);
      return verify(reply);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const isReply = error instanceof Mismatch || error instanceof SyntaxError;
      const code = 'code' in error ? String(error.code) : '';
      // what is neither a reply nor the network is a mistake of this program
      if (!isReply && code === '') throw error;
      meter.failed(`${call.kind}: ${isReply ? error.message : code}`);
      return undefined;
    }
  }

  private async send(uid: number, { method, path, body, headers }: Call): Promise<Reply> {
    const url = `${this.origin}/storage/1.5/${uid}${path}`;
    const authorization = await signHawk({
      ...{ ...this.credentials(uid), method, url },
      ...{ ts: Math.floor(Date.now() / 1000), nonce: randomBytes(6).toString('base64url') },
    });
    const about = body !== undefined && {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const options = { method, agent: this.agent, headers: { ...headers, authorization, ...about } };
    return new Promise((resolve, reject) => {
      const sent = send(url, options, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
      });
      sent.once('error', reject).end(body);
    });
  }

  /** As the token server mints them. */
  private credentials(uid: number): { id: string; key: Uint8Array } {
    const known = this.keys.get(uid);
    if (known) return known;
    const id = mintToken(this.secret, {
      ...{ uid, node: this.origin, expires: Math.floor(Date.now() / 1000) + TOKEN_SECONDS },
      salt: randomBytes(3).toString('hex'),
    });
    const made = { id, key: utf8(deriveTokenKey(this.secret, id)) };
    this.keys.set(uid, made);
    return made;
  }
}
