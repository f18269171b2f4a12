import type { z } from 'zod';
import { utf8 } from '#lib/crypto';
import { ClientError, errorOf } from './client-error.ts';
import type { DpopKey } from './dpop.ts';
import type { Platform } from './platform.ts';

/** A request as it will be sent, for whoever signs it. */
export interface Signable {
  method: string;
  url: string;
  /** The server's time, in whole seconds since 1970, as far as its answers told. */
  ts: number;
  payload?: { contentType: string; body: Uint8Array } | undefined;
}

/** One request. */
export interface Ask {
  method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** A path below the server's address, or a whole URL. */
  url: string;
  query?: Readonly<Record<string, string | number | undefined>> | undefined;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as a form (RFC 6749). */
  form?: URLSearchParams;
  /** Sent as they are, with the content type of `headers`. */
  bytes?: Uint8Array<ArrayBuffer>;
  /** Sent as it comes, once. */
  stream?: ReadableStream<Uint8Array>;
  headers?: Readonly<Record<string, string>>;
  /** Makes the Authorization header; called for every attempt, since a signature is good once. */
  authorization?: (request: Signable) => string | Promise<string>;
  /** Proves this key with every attempt, for this token when there is one. */
  dpop?: { key: DpopKey; token?: string };
  /** Milliseconds to the head of the answer, and for small answers to their end. */
  timeoutMs?: number;
  /** False for a GET that uses something up. */
  retry?: boolean;
  /** Ends the request from outside. */
  signal?: AbortSignal;
  redirect?: RequestRedirect;
}

const TIMEOUT_MS = 30_000;
const ATTEMPTS = 3;
/** A server that asks for a longer pause is not waited for. */
const PAUSE_MS_MAX = 10_000;
/** Far above any answer of the JSON APIs; a server that sends more is not listened to. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Above any refusal. */
const REFUSAL_BYTES_MAX = 65_536;

/**
 * Requests to one server: every answer is checked against a schema, every refusal becomes a
 * {@link ClientError}, and what may be repeated is repeated when the network fails or the server answers 503
 * with Retry-After. Errors carry no URL query, header or body, where secrets could be.
 */
export class Http {
  /** Without a trailing slash. */
  readonly server: string;
  readonly #platform: Platform;
  /** What to add to this device's time to get the server's, in milliseconds. */
  #skewMs = 0;

  constructor(server: string, platform: Platform) {
    this.server = server.replace(/\/+$/, '');
    this.#platform = platform;
  }

  /** The time on this device, in milliseconds since 1970. */
  now(): number {
    return this.#platform.now();
  }

  /** The server's time, in whole seconds since 1970, as far as its answers told. */
  serverSeconds(): number {
    return Math.floor((this.now() + this.#skewMs) / 1000);
  }

  /** Sends a request as it is, to whatever address: nothing is repeated, nothing read. */
  fetch(request: Request): Promise<Response> {
    return this.#platform.fetch(request);
  }

  /**
   * Asks, and reads the answer as JSON of this shape.
   *
   * @throws ClientError
   */
  async json<T extends z.ZodType>(ask: Ask, schema: T): Promise<z.infer<T>> {
    return (await this.answer(ask, schema)).data;
  }

  /** As `json`, with the headers of the answer. */
  async answer<T extends z.ZodType>(
    ask: Ask,
    schema: T,
  ): Promise<{ data: z.infer<T>; headers: Headers }> {
    const response = await this.send(ask);
    const text = await readText(response, ANSWER_BYTES_MAX);
    if (text === undefined) throw malformed(ask, new RangeError('The answer is too long.'));
    let body: unknown;
    try {
      body = text === '' ? undefined : JSON.parse(text);
    } catch (cause) {
      throw malformed(ask, cause);
    }
    const { success, data, error } = schema.safeParse(body);
    if (!success) throw malformed(ask, error);
    return { data, headers: response.headers };
  }

  /** Asks, and drops what the answer says. */
  async run(ask: Ask): Promise<Headers> {
    const response = await this.send(ask);
    await response.body?.cancel();
    return response.headers;
  }

  /**
   * Asks, and hands over an answer of status 2xx, or 3xx with `redirect: 'manual'`, its body unread.
   *
   * @throws ClientError
   */
  async send(ask: Ask): Promise<Response> {
    const method = ask.method ?? 'GET';
    const mayRepeat = ask.retry !== false && method !== 'POST' && ask.stream === undefined;
    let mayCorrectClock = ask.authorization !== undefined && ask.stream === undefined;
    let mayLearnNonce = ask.dpop !== undefined && ask.stream === undefined;
    for (let attempt = 1; ; attempt++) {
      const skewBefore = this.#skewMs;
      try {
        const response = await this.#once(ask, method);
        this.#learnTime(response.headers);
        if (response.ok || (ask.redirect === 'manual' && response.status < 400)) return response;
        const text = await readText(response, REFUSAL_BYTES_MAX);
        const error = errorOf(response.status, text ?? '');
        const isNew = ask.dpop?.key.learn(this.#urlOf(ask), response.headers) ?? false;
        if (isNew && mayLearnNonce && wantsNonce(error, response)) {
          mayLearnNonce = false;
          continue;
        }
        const moved = Math.abs(this.#skewMs - skewBefore) > 1000;
        if (response.status === 401 && mayCorrectClock && moved) {
          mayCorrectClock = false;
          continue;
        }
        const pause = pauseAskedFor(response);
        if (!mayRepeat || pause === undefined || attempt === ATTEMPTS) throw error;
        await this.#platform.sleep(pause);
      } catch (error) {
        const isNetwork = error instanceof ClientError && error.code === 'network';
        if (!mayRepeat || !isNetwork || attempt === ATTEMPTS) throw error;
        await this.#platform.sleep(100 * 2 ** attempt);
      }
    }
  }

  async #once(ask: Ask, method: string): Promise<Response> {
    const url = this.#urlOf(ask);
    const headers = new Headers(ask.headers);
    const text = ask.form
      ? ask.form.toString()
      : ask.json === undefined
        ? undefined
        : JSON.stringify(ask.json);
    if (text !== undefined && !headers.has('content-type')) {
      headers.set('content-type', ask.form ? FORM : 'application/json');
    }
    if (ask.authorization) {
      const contentType = headers.get('content-type') ?? '';
      const payload = text === undefined ? undefined : { contentType, body: utf8(text) };
      const ts = this.serverSeconds();
      headers.set('authorization', await ask.authorization({ method, url, ts, payload }));
    }
    if (ask.dpop) {
      const { key, token } = ask.dpop;
      headers.set('dpop', await key.proof({ method, url, ts: this.serverSeconds(), token }));
    }
    const body = ask.stream ?? ask.bytes ?? text;
    // A stream lasts as long as it moves; its caller watches that.
    const patience = ask.signal ?? AbortSignal.timeout(ask.timeoutMs ?? TIMEOUT_MS);
    const init: RequestInit & { duplex?: 'half' } = {
      method,
      headers,
      redirect: ask.redirect ?? 'error',
      signal: patience,
      ...(body !== undefined && { body }),
      ...(ask.stream && { duplex: 'half' }),
    };
    try {
      return await this.#platform.fetch(url, init);
    } catch (cause) {
      if (patience.aborted)
        throw new ClientError('timeout', 0, 'The server did not answer in time.');
      throw new ClientError('network', 0, `${this.server} cannot be reached.`, {}, { cause });
    }
  }

  #urlOf({ url, query = {} }: Ask): string {
    const whole = new URL(url.startsWith('/') ? this.server + url : url);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) whole.searchParams.set(name, String(value));
    }
    return whole.href;
  }

  /** The server's clock matters for signatures only; nothing else believes it. */
  #learnTime(headers: Headers): void {
    const seconds = Number(
      headers.get('timestamp') ?? headers.get('x-weave-timestamp') ?? Number.NaN,
    );
    const serverMs = Number.isFinite(seconds)
      ? seconds * 1000
      : Date.parse(headers.get('date') ?? '');
    if (!Number.isFinite(serverMs)) return;
    const skew = serverMs - this.now();
    this.#skewMs = Math.abs(skew) < 5000 ? 0 : skew;
  }
}

/** A server that wants its own nonce in the proof says so in the body or, at an API, in a header (RFC 9449 §8, §9). */
function wantsNonce(error: ClientError, { headers }: Response): boolean {
  const says = `${error.code} ${headers.get('www-authenticate') ?? ''}`;
  return says.includes('use_dpop_nonce');
}

const FORM = 'application/x-www-form-urlencoded';

function malformed({ method = 'GET', url }: Ask, cause: unknown): ClientError {
  const path = url.split('?')[0] ?? '';
  const detail = `The answer to ${method} ${path} is not what was agreed on.`;
  return new ClientError('malformed-answer', 0, detail, {}, { cause });
}

/** @returns undefined when there is more than that; what comes after is not waited for */
async function readText(response: Response, bytesMax: number): Promise<string | undefined> {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  try {
    for (let bytes = 0; ;) {
      const next = await reader.read();
      if (next.done) return text + decoder.decode();
      bytes += next.value.length;
      if (bytes > bytesMax) return undefined;
      text += decoder.decode(next.value, { stream: true });
    }
  } catch (cause) {
    throw new ClientError('network', 0, 'The answer was cut off.', {}, { cause });
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Milliseconds; undefined when the answer is no request to come back soon. */
function pauseAskedFor(response: Response): number | undefined {
  if (response.status !== 503) return undefined;
  const header = response.headers.get('retry-after');
  if (header === null || !/^\d{1,6}$/.test(header)) return undefined;
  const pause = Number(header) * 1000;
  return pause <= PAUSE_MS_MAX ? pause : undefined;
}
