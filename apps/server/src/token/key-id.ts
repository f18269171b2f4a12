import { Failure } from '#lib/protocol';

/** What a client shows of its account's history. */
export interface KeyState {
  /**
   * When the account's authentication last changed, as the access token says, in milliseconds;
   * undefined when it does not say.
   */
  generation?: number | undefined;
  /** When the key came into use; in a unit of the client's choice, the same at every visit. */
  keysChangedAt: number;
  /** Fingerprint of the key, lower-case hex. */
  clientState: string;
}

/**
 * Reads `X-KeyID: <keys_changed_at>-<base64url client state>` and, when it came too, the
 * `X-Client-State` that older clients send, in hex.
 *
 * @throws Failure `invalid-key-id`, `unauthenticated`, `malformed`, `invalid-client-state`
 * @see Token server 1.0, "Request"
 */
export function readKeyId(
  keyId: string | undefined,
  header: string | undefined,
): Omit<KeyState, 'generation'> {
  if (header !== undefined && !/^[a-zA-Z0-9._-]{1,32}$/.test(header)) {
    throw refusal('malformed', 'X-Client-State', 'Invalid client state value');
  }
  if (keyId === undefined || keyId === '') {
    throw refusal('invalid-key-id', 'X-KeyID', 'Missing X-KeyID header');
  }
  const [, time, state] = /^(\d{1,15})-([A-Za-z0-9_-]{0,43})$/.exec(keyId) ?? [];
  if (time === undefined || state === undefined || state.length % 4 === 1) {
    throw refusal('unauthenticated', 'X-KeyID', 'Invalid X-KeyID header');
  }
  const clientState = Buffer.from(state, 'base64url').toString('hex');
  if (header !== undefined && header.toLowerCase() !== clientState) {
    throw unacceptable('that differs from X-KeyID');
  }
  if (clientState === '') throw unacceptable('empty string');
  return { keysChangedAt: Number(time), clientState };
}

/** The form that clients and storage tokens have it in: at least 13 digits, base64url. */
export function writeKeyId({ keysChangedAt, clientState }: KeyState): string {
  const state = Buffer.from(clientState, 'hex').toString('base64url');
  return `${String(keysChangedAt).padStart(13, '0')}-${state}`;
}

/** A client state that the account's history rules out. */
export function unacceptable(reason: string): Failure {
  const description = `Unacceptable client-state value ${reason}`;
  return refusal('invalid-client-state', 'X-Client-State', description);
}

/** A refusal on account of a header, in the words other token servers use. */
export function refusal(
  code:
    | 'invalid-key-id'
    | 'invalid-client-state'
    | 'invalid-keys-changed-at'
    | 'invalid-generation'
    | 'not-acceptable'
    | 'unauthenticated'
    | 'malformed',
  name: string,
  description: string,
): Failure {
  return new Failure(code, description, { extra: { location: 'header', name } });
}
