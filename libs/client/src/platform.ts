import { createSha256, type Aead, type Sha256, webCryptoAead } from '#lib/crypto';

/** What the client takes from its surroundings, so that it runs in a browser, in Node and in a test. */
export interface Platform {
  /** The time on this device, in milliseconds since 1970. */
  now(): number;
  fetch: typeof globalThis.fetch;
  /** Resolves after `ms` milliseconds. */
  sleep(ms: number): Promise<void>;
  /** AES-256-GCM for files: the platform's fastest. */
  aead: Aead;
  /** A running SHA-256 for files: the platform's fastest. */
  createSha256(): Sha256;
}

/** The clock has no default: it is the caller's. */
export type PlatformOptions = Pick<Platform, 'now'> & Partial<Platform>;

/** Fills in what every platform has: `fetch`, timers, WebCrypto. */
export function platform(options: PlatformOptions): Platform {
  return {
    fetch: (input, init) => globalThis.fetch(input, init),
    sleep: (ms) => new Promise((done) => setTimeout(done, ms)),
    aead: webCryptoAead,
    createSha256,
    ...options,
  };
}
