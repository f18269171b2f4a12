import { z } from 'zod';
import type { KeyPlace } from '#lib/crypto';
import { LISTED_KEYS_MAX } from '#lib/protocol';
import type { IntegrityError } from './client-error.ts';

/** Whom a pin is about. */
export type PinKey = KeyPlace;

const Text = z.string().max(64);

/** What is remembered of somebody since the first contact. */
export const Pin = z.object({
  identity: z.object({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: Text }),
  /** The newest version of the key list that was seen. */
  version: z.number().int().min(1),
  /** base64url SHA-256 of that list's JWS. */
  list: Text,
  /** The kid of the hybrid key seen last: from then on its absence has to be signed. */
  hybrid: Text.optional(),
  /** Kids of that list that were revoked by token. */
  revoked: z.array(Text).max(LISTED_KEYS_MAX).optional(),
  /** `x` of the identities before this one, which it was linked from, or taken in place of. */
  before: z.array(Text).max(32).optional(),
  /** The `x` that was compared with its owner, and when, in seconds since 1970. */
  checked: z.object({ x: Text, at: z.number().int() }).optional(),
  /** The address that led to this person last: the server's word. */
  name: z.string().max(256).optional(),
});
export type Pin = z.infer<typeof Pin>;

/** Whether two pins say the same, in the same spelling. */
export const isSamePin = (a: Pin, b: Pin): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Where pins are kept: on this device, out of the server's reach. */
export interface PinStore {
  get(key: PinKey): Promise<Pin | undefined>;
  /**
   * Replaces a pin. `change` is run alone among all who use the store, other processes too, on what is known at
   * that moment; when it throws, the pin stays as it is and the error goes on.
   */
  update(key: PinKey, change: (known: Pin | undefined) => Pin): Promise<void>;
  /** What is wrong with what one's devices remember together, if there is such a memory. */
  trouble?(): Promise<IntegrityError | undefined>;
  /** Writes what one's devices remember together anew, from this device's memory, when the person decided so. */
  restore?(): Promise<void>;
  /** Everybody of one app. */
  all(place: Omit<PinKey, 'uid'>): Promise<{ uid: string; pin: Pin }[]>;
}

/** One spelling for each pin key; no part may hold a line feed. */
export function pinName({ realm, uid, clientId }: PinKey): string {
  return [realm, uid, clientId].join('\n');
}

/** The pins of one app, out of all by name. */
export function pinsOf(
  pins: Iterable<readonly [string, Pin]>,
  place: Omit<PinKey, 'uid'>,
): { uid: string; pin: Pin }[] {
  return [...pins].flatMap(([name, pin]) => {
    const [realm, uid = '', clientId] = name.split('\n');
    return realm === place.realm && clientId === place.clientId ? [{ uid, pin }] : [];
  });
}

/** Pins that last as long as the process. */
export class MemoryPinStore implements PinStore {
  readonly #pins = new Map<string, Pin>();

  get(key: PinKey): Promise<Pin | undefined> {
    return Promise.resolve(this.#pins.get(pinName(key)));
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- a refusal is to be a rejection
  async update(key: PinKey, change: (known: Pin | undefined) => Pin): Promise<void> {
    this.#pins.set(pinName(key), change(this.#pins.get(pinName(key))));
  }

  all(place: Omit<PinKey, 'uid'>): Promise<{ uid: string; pin: Pin }[]> {
    return Promise.resolve(pinsOf(this.#pins, place));
  }
}
