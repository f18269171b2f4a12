import { recordKeyId } from '#lib/crypto';
import { generationOf } from '#lib/protocol';
import { z } from 'zod';
import { ClientError, IntegrityError, isOvertaken } from './client-error.ts';
import type { KeyHolder } from './contact.ts';
import { mergePins } from './pin-rules.ts';
import { isSamePin, Pin, type PinKey, type PinStore } from './pin-store.ts';
import type { Storage } from './storage.ts';

const COLLECTION = 'people';
const RECORD = 'pins';
/** How often the record is read. */
const PULL_SECONDS = 60;
/** How often a change is merged anew when another device was faster. */
const TRIES = 3;

/** The record: who was met in this app, by uid. */
const People = z.object({ v: z.literal(1), pins: z.record(z.string(), Pin) });
type Pins = z.infer<typeof People>['pins'];

/**
 * Pins that one's own devices share: a record of the app (`rec/1`), which the server can neither read nor forge,
 * merged with what this device remembers. What the server puts back to an older state, or leaves out, a device
 * with a memory of its own restores; what two devices cannot agree on is an error, not a choice. While the record does
 * not open, it stays as it is, and nobody is met for the first time: another device may know better.
 *
 * @see keys.md §3.7; docs/protocol/formats.md §8
 */
export class SyncedPinStore implements PinStore {
  readonly #local: PinStore;
  readonly #storage: Storage;
  readonly #app: KeyHolder;
  readonly #conflicts = new Map<string, IntegrityError>();
  #pulledAt = -Infinity;
  #pulled: Promise<void> | undefined;
  #trouble: IntegrityError | undefined;

  constructor(local: PinStore, app: KeyHolder, storage: Storage) {
    this.#local = local;
    this.#app = app;
    this.#storage = storage;
  }

  async get(key: PinKey): Promise<Pin | undefined> {
    await this.#pull();
    return this.#local.get(key);
  }

  /**
   * What other devices knew meanwhile is held against the change, too: `change` is run again on it.
   *
   * @throws IntegrityError `IDENTITY_CONFLICT`, `KEY_LIST_FORKED`, once what was found is remembered; `RECORD_FORGED`
   * for somebody whom this device does not know
   */
  async update(key: PinKey, change: (known: Pin | undefined) => Pin): Promise<void> {
    await this.#pull();
    for (let tries = 1; tries <= TRIES; tries++) {
      const changed: Pin[] = [];
      await this.#local.update(key, (known) => {
        const isOwn = key.uid === this.#app.uid;
        if (!known && !isOwn && this.#trouble) throw this.#trouble;
        const next = change(known);
        if (next !== known) changed.push(next);
        return next;
      });
      const [next] = changed;
      if (!next) break;
      await this.#unlessAway(() => this.#push());
      const standing = await this.#local.get(key);
      if (standing && isSamePin(standing, next)) break;
    }
    const conflict = this.#conflicts.get(key.uid);
    if (conflict) throw conflict;
  }

  async all(place: Omit<PinKey, 'uid'>): Promise<{ uid: string; pin: Pin }[]> {
    await this.#pull();
    return this.#local.all(place);
  }

  async trouble(): Promise<IntegrityError | undefined> {
    await this.#pull();
    return this.#trouble ?? [...this.#conflicts.values()][0];
  }

  async restore(): Promise<void> {
    const stored = await this.#storage.rawOne(COLLECTION, RECORD);
    await this.#write(await this.#together({}), stored?.modified);
    this.#trouble = undefined;
  }

  async #pull(): Promise<void> {
    const now = this.#app.server.seconds();
    const age = now - this.#pulledAt;
    if (age < 0 || age >= PULL_SECONDS) {
      this.#pulledAt = now;
      this.#pulled = this.#unlessAway(() => this.#push());
    }
    await this.#pulled;
  }

  /** Merges both ways, and writes what the record lacks. */
  async #push(): Promise<void> {
    for (let tries = 1; ; tries++) {
      const { pins: theirs, modified } = await this.#read();
      if (this.#trouble) return;
      for (const [uid, pin] of Object.entries(theirs)) await this.#learn(uid, pin);
      const pins = await this.#together(theirs);
      if (JSON.stringify(sorted(pins)) === JSON.stringify(sorted(theirs))) return;
      try {
        await this.#write(pins, modified);
        return;
      } catch (error) {
        if (!isOvertaken(error) || tries === TRIES) throw error;
      }
    }
  }

  async #learn(uid: string, pin: Pin): Promise<void> {
    try {
      await this.#local.update(this.#place(uid), (known) => {
        const merged = known ? mergePins(known, pin, uid) : pin;
        return known && isSamePin(known, merged) ? known : merged;
      });
      this.#conflicts.delete(uid);
    } catch (error) {
      if (!(error instanceof IntegrityError)) throw error;
      this.#conflicts.set(uid, error);
    }
  }

  /** What the record is to say; where the devices disagree it stays as it is. */
  async #together(theirs: Pins): Promise<Pins> {
    const { server, clientId } = this.#app;
    const mine = await this.#local.all({ realm: server.realm, clientId });
    const agreed = mine.filter(({ uid }) => !this.#conflicts.has(uid));
    return { ...theirs, ...Object.fromEntries(agreed.map(({ uid, pin }) => [uid, pin])) };
  }

  async #read(): Promise<{ pins: Pins; modified: number | undefined }> {
    this.#trouble = undefined;
    const stored = await this.#storage.rawOne(COLLECTION, RECORD);
    if (!stored) return { pins: {}, modified: undefined };
    const { payload, modified } = stored;
    try {
      const value = await this.#storage.open({ collection: COLLECTION, id: RECORD }, payload);
      return { pins: People.parse(value).pins, modified };
    } catch (cause) {
      if (!(cause instanceof z.ZodError) && !(cause instanceof IntegrityError)) throw cause;
      // As after a password reset: nobody opens it any more, and it is begun anew.
      const generation = generationOf(recordKeyId(payload) ?? '');
      if (generation < generationOf(this.#app.kBr.kid)) return { pins: {}, modified };
      const detail =
        'The record of the people whom your devices met does not open: who is new to this one may not be new to you.';
      this.#trouble = new IntegrityError('RECORD_FORGED', detail, { cause });
      return { pins: {}, modified };
    }
  }

  async #write(pins: Pins, modified: number | undefined): Promise<void> {
    const record = { v: 1, pins: sorted(pins) } satisfies z.infer<typeof People>;
    const condition = modified === undefined ? { isNew: true } : { ifUnmodified: modified };
    await this.#storage.put(COLLECTION, RECORD, record, condition);
  }

  /** Without the record, this device's own memory is what counts. */
  async #unlessAway(action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      this.#pulledAt = -Infinity;
    }
  }

  #place(uid: string): PinKey {
    return { realm: this.#app.server.realm, uid, clientId: this.#app.clientId };
  }
}

const sorted = (pins: Pins): Pins =>
  Object.fromEntries(Object.entries(pins).sort(([a], [b]) => (a < b ? -1 : 1)));
