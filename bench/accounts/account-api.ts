import { randomBytes } from 'node:crypto';
import { Agent, type IncomingHttpHeaders, request as send } from 'node:http';
import { deriveToken, fromHex, signHawk, toHex } from '#lib/crypto';

/** A reply, with its body as it came. */
export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  /** From the first byte sent to the last received. */
  ms: number;
}

/** What stands in the place of a password: any 32 bytes, in hex, without stretching. */
export interface Person {
  email: string;
  authPW: string;
}

/** One call of an account API. */
export interface Call {
  method?: 'GET' | 'POST';
  /** From the origin on. */
  path: string;
  body?: object;
  authorization?: string;
  /** The address that it comes from: any of 127.0.0.0/8. */
  from?: string;
}

/** Calls a server as many people do, each from an address of their own. */
export class AccountApi {
  private readonly agent = new Agent({ keepAlive: true });
  private peopleCount = 0;

  /** @param origin - on loopback, without a slash at the end */
  constructor(readonly origin: string) {}

  close(): void {
    this.agent.destroy();
  }

  call({ method = 'POST', path, body, authorization, from = '127.0.0.1' }: Call): Promise<Reply> {
    const { host, port } = new URL(this.origin);
    const json = body && JSON.stringify(body);
    const headers = {
      host,
      ...(authorization !== undefined && { authorization }),
      ...(json !== undefined && {
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(json),
      }),
    };
    const options = { method, path, headers, port, host: '127.0.0.1', localAddress: from };
    const started = performance.now();
    return new Promise((resolve, reject) => {
      const sent = send({ ...options, agent: this.agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk)).once('error', reject);
        response.once('end', () => {
          const text = Buffer.concat(chunks).toString();
          const { statusCode: status = 0, headers } = response;
          resolve({ status, headers, text, ms: performance.now() - started });
        });
      });
      sent.once('error', reject).end(json);
    });
  }

  /** An address that nobody signed up with, and one to come from. */
  stranger(): Person & { from: string } {
    const id = ++this.peopleCount;
    return {
      ...{ email: `person-${id}@example.org`, authPW: randomBytes(32).toString('hex') },
      from: `127.1.${id >> 8}.${id & 255}`,
    };
  }

  /** Signs so many people up. @throws Error when the server refuses one */
  async signUp(count: number): Promise<(Person & { from: string; sessionToken: string })[]> {
    const people = Array.from({ length: count }, () => this.stranger());
    const signedUp = [];
    for (const { email, authPW, from } of people) {
      const path = '/auth/v1/account/create';
      const reply = await this.call({ path, body: { email, authPW }, from });
      if (reply.status !== 200) throw new Error(`No sign-up: ${reply.status} ${reply.text}`);
      const { sessionToken } = JSON.parse(reply.text) as { sessionToken: string };
      signedUp.push({ email, authPW, from, sessionToken });
    }
    return signedUp;
  }

  login({ email, authPW, from }: Person & { from: string }): Promise<Reply> {
    return this.call({ path: '/auth/v1/account/login?keys=true', body: { email, authPW }, from });
  }

  /** `Bearer fxs_…` of a session. */
  bearer(sessionToken: string): string {
    return `Bearer fxs_${toHex(deriveToken(fromHex(sessionToken), 'sessionToken').id)}`;
  }

  /** Signs a GET with a session, as Firefox does. */
  hawk({ id, reqHMACkey }: Signer, path: string): Promise<string> {
    return signHawk({
      ...{ id: toHex(id), key: reqHMACkey, method: 'GET', url: this.origin + path },
      ...{ ts: Math.floor(Date.now() / 1000), nonce: randomBytes(6).toString('base64url') },
    });
  }
}

/** What a session token signs with. */
export type Signer = Pick<ReturnType<typeof deriveToken>, 'id' | 'reqHMACkey'>;

/** Derives it. */
export const signerOf = (sessionToken: string): Signer =>
  deriveToken(fromHex(sessionToken), 'sessionToken');
