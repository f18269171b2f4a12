import type { IdentityJwk } from '#lib/crypto';

/** Whom a pin is about. */
export interface PinKey {
  realm: string;
  uid: string;
  clientId: string;
}

/** What is remembered of somebody since the first contact. */
export interface Pin {
  identity: IdentityJwk;
  /** The newest version of the key list that was seen. */
  version: number;
  /** base64url SHA-256 of that list's JWS. */
  list: string;
}

/** Where pins are kept: on this device, out of the server's reach. */
export interface PinStore {
  get(key: PinKey): Promise<Pin | undefined>;
  /**
   * Replaces a pin. `change` is run alone among all who use the store, other processes too, on what is known at
   * that moment; when it throws, the pin stays as it is and the error goes on.
   */
  update(key: PinKey, change: (known: Pin | undefined) => Pin): Promise<void>;
}

/** One spelling for each pin key; no part may hold a line feed. */
export function pinName({ realm, uid, clientId }: PinKey): string {
  return [realm, uid, clientId].join('\n');
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
}
