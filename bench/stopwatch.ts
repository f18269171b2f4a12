import type { PlatformOptions } from '#lib/client';
import { nodePlatform } from '#lib/client-node';
import type { Aead } from '#lib/crypto';

/** Milliseconds. */
export interface Spent {
  /** While at least one request was under way, less the file encryption done in that time. */
  http: number;
  /** Encrypting, decrypting and hashing files. */
  files: number;
}

/** Node's platform, with a watch on what the client does with it. */
export class Stopwatch {
  #underWay = 0;
  #since = 0;
  #http = 0;
  #files = 0;

  /** For the client under measurement. */
  readonly platform: PlatformOptions = {
    ...nodePlatform,
    fetch: (input, init) => this.#fetch(input, init),
    ...(nodePlatform.aead && { aead: this.#timed(nodePlatform.aead) }),
    createSha256: () => {
      const hash = nodePlatform.createSha256?.();
      if (!hash) throw new TypeError('Node has SHA-256.');
      return {
        update: (bytes) => {
          this.#count(() => {
            hash.update(bytes);
          });
        },
        digest: () => this.#count(() => hash.digest()),
      };
    },
  };

  /** What was spent since the last call. */
  lap(): Spent {
    const spent = { http: Math.max(0, this.#http - this.#files), files: this.#files };
    [this.#http, this.#files] = [0, 0];
    return spent;
  }

  async #fetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    if (this.#underWay++ === 0) this.#since = performance.now();
    let isOver = false;
    const over = () => {
      if (isOver) return;
      isOver = true;
      if (--this.#underWay === 0) this.#http += performance.now() - this.#since;
    };
    try {
      const response = await fetch(input, init);
      if (!response.body) {
        over();
        return response;
      }
      const { status, headers } = response;
      return new Response(untilRead(response.body, over), { status, headers });
    } catch (error) {
      over();
      throw error;
    }
  }

  #timed(aead: Aead): Aead {
    return {
      seal: (...parameters) => this.#count(() => aead.seal(...parameters)),
      open: (...parameters) => this.#count(() => aead.open(...parameters)),
    };
  }

  #count<T>(work: () => T): T {
    const started = performance.now();
    try {
      return work();
    } finally {
      this.#files += performance.now() - started;
    }
  }
}

/** The same body; calls back when it has been read to its end, or dropped. */
function untilRead(body: ReadableStream<Uint8Array>, over: () => void): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const next = await reader.read();
        if (next.done) {
          over();
          controller.close();
        } else {
          controller.enqueue(next.value);
        }
      },
      async cancel() {
        over();
        await reader.cancel();
      },
    },
    { highWaterMark: 0 },
  );
}
