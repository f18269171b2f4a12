import { DEVICE_GRANT, DeviceAuthorization, type TokenAnswer } from '#lib/protocol';
import { App } from './app.ts';
import { type AppRequest, discover, type Pending, prepare } from './app-request.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import type { DpopKey } from './dpop.ts';
import type { Server } from './server.ts';
import { askForTokens, audienceOf } from './tokens.ts';

/** What a person needs to let a device in, in a browser anywhere. */
export interface DevicePrompt {
  /** To be compared, or typed, on the page. */
  userCode: string;
  /** The page. */
  verificationUri: string;
  /** The page with the code in it: for a link, or a QR code. */
  verificationUriComplete: string;
  /** When the code ends, in milliseconds since 1970, on this device. */
  expiresAt: number;
}

/** A sign-in that waits for a person elsewhere. */
export interface StartedOnDevice {
  prompt: DevicePrompt;
  clientId: string;
  /** The key that the app's own is to be sealed to, as it was asked for; undefined for none. */
  keysJwk: string | undefined;
  /** Everything that was asked for. */
  scopes: readonly string[];
  /**
   * Waits until the person has answered.
   *
   * @throws ClientError `access_denied`, `expired_token`, `aborted`
   * @throws IntegrityError `STATE_MISMATCH`, `KEYS_REPLACED`, `SCOPES_ADDED`, `TOKEN_NOT_BOUND`
   */
  finish(signal?: AbortSignal): Promise<App>;
}

/** What is added to the interval when the server finds it short, in seconds (RFC 8628 §3.5). */
const SLOWER = 5;
/** A server that is away is not asked less often than this, in seconds. */
const INTERVAL_MAX = 60;

/**
 * Begins a sign-in on a device that has no browser, or lends none: a person lets it in elsewhere.
 *
 * @throws IntegrityError `ISSUER_MISMATCH` when the person would be sent to another server
 * @see RFC 8628
 */
export async function startOnDevice(
  server: Server,
  request: AppRequest,
  dpop?: DpopKey,
): Promise<StartedOnDevice> {
  const { device_authorization_endpoint: url = '' } = await discover(server);
  if (url === '') throw new ClientError('unsupported', 0, 'The server lets no devices in.');
  const { pending, parameters } = await prepare(request);
  const keysJwk = parameters.get('keys_jwk') ?? undefined;
  const ask = { method: 'POST', url: own(server, url), form: parameters } as const;
  const asked = await server.http.json(ask, DeviceAuthorization);
  const expiresAt = server.platform.now() + asked.expires_in * 1000;
  return {
    prompt: {
      userCode: asked.user_code,
      verificationUri: own(server, asked.verification_uri),
      verificationUriComplete: own(server, asked.verification_uri_complete),
      expiresAt,
    },
    ...{ clientId: pending.clientId, keysJwk, scopes: pending.scopes },
    finish: async (signal) => {
      const polled = { ...asked, expiresAt, dpop, signal };
      const answer = await poll(server, pending, polled);
      return App.granted(server, pending, answer, dpop);
    },
  };
}

async function poll(
  server: Server,
  { clientId, targets: [first] }: Pending,
  asked: {
    device_code: string;
    interval: number;
    expiresAt: number;
    dpop: DpopKey | undefined;
    signal: AbortSignal | undefined;
  },
): Promise<TokenAnswer> {
  const form = new URLSearchParams({
    grant_type: DEVICE_GRANT,
    client_id: clientId,
    device_code: asked.device_code,
    ...(first !== undefined && { resource: audienceOf(first) }),
  });
  for (let interval = asked.interval; ;) {
    try {
      return await askForTokens(server.http, form, asked.dpop);
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      if (error.code === 'slow_down') interval += SLOWER;
      else if (isAway(error)) interval = Math.min(interval * 2, INTERVAL_MAX);
      else if (error.code !== 'authorization_pending') throw error;
    }
    if (server.platform.now() >= asked.expiresAt) {
      throw new ClientError('expired_token', 0, 'Nobody answered in time.');
    }
    await pause(server, interval * 1000, asked.signal);
  }
}

const isAway = ({ code, status }: ClientError) =>
  status >= 500 || code === 'network' || code === 'timeout';

/** Waits, unless it is called off. @throws ClientError `aborted` */
async function pause(server: Server, ms: number, signal: AbortSignal | undefined): Promise<void> {
  const aborted = new ClientError('aborted', 0, 'The sign-in was called off.');
  if (!signal) return server.platform.sleep(ms);
  if (signal.aborted) throw aborted;
  await new Promise<void>((done, failed) => {
    const stop = () => {
      failed(aborted);
    };
    signal.addEventListener('abort', stop, { once: true });
    void server.platform.sleep(ms).then(() => {
      signal.removeEventListener('abort', stop);
      done();
    });
  });
}

/**
 * An address of the server: a person who is sent elsewhere would let in somebody else.
 *
 * @returns as a browser spells it, without what a terminal would obey
 */
function own(server: Server, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.origin === new URL(server.url).origin) return url.href;
  throw new IntegrityError(
    'ISSUER_MISMATCH',
    `The server sends to what is no page of ${server.url}.`,
  );
}
