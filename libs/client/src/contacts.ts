import {
  compareSafetyCode,
  type EncryptionPublicJwk,
  type IdentityJwk,
  safetyCode,
  safetyNumber,
  deriveIdentity,
} from '#lib/crypto';
import { Discovered, type Found, KeyEvents, KEYS_LIMITS, PublicKeys } from '#lib/protocol';
import { isSameAddress } from './address.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import type { Ask } from './http.ts';
import {
  type CheckedList,
  type ListAnswer,
  mainOf,
  openKeyList,
  publicKeyOf,
  usableKeys,
} from './key-list.ts';
import { askKeyService, type Contact, type KeyHolder } from './contact.ts';
import { afterReset, followPin, isChecked } from './pin-rules.ts';
import { isSamePin, type Pin, type PinKey, type PinStore } from './pin-store.ts';

/** What two people compare. */
export interface Safety {
  /** 60 digits, the same for both. */
  number: string;
  /** For the other's camera. */
  code: string;
  isChecked: boolean;
}

/** Somebody whose identity is remembered. */
export interface Known {
  uid: string;
  identity: IdentityJwk;
  isChecked: boolean;
  /** The address that led to them last. */
  name?: string;
}

/** Who changed their keys. */
export interface Watched {
  /** Checked anew; a list that is refused is set apart. */
  changed: Contact[];
  refused: { uid: string; error: IntegrityError }[];
  /** For the next call. */
  cursor: string;
}

interface Remembered {
  checked: CheckedList;
  etag: string;
  /** Seconds since 1970. */
  seenAt: number;
}

/**
 * The other people of an app, as far as their lists prove. What the server said is used again for some minutes at
 * most, and never when it can be asked.
 *
 * @see keys.md §3.6, §3.7
 */
export class Contacts {
  readonly #app: KeyHolder;
  readonly #pins: PinStore;
  readonly #freshForSeconds: number;
  readonly #seen = new Map<string, Remembered>();

  constructor(app: KeyHolder, pins: PinStore, freshForSeconds: number) {
    this.#app = app;
    this.#pins = pins;
    this.#freshForSeconds = freshForSeconds;
  }

  /**
   * Fetches somebody's current keys. When the server does not answer, what it said some minutes ago counts.
   *
   * @throws ClientError `not-found` when nobody of this id uses the app
   * @throws IntegrityError `IDENTITY_CHANGED`, `IDENTITY_RESET`, `IDENTITY_CONFLICT`, `KEY_LIST_INVALID`,
   * `KEY_LIST_EXPIRED`, `KEY_LIST_ROLLBACK`, `KEY_LIST_FORKED`, `KEY_LIST_STALE`, `KEY_DOWNGRADED`, `KEY_REVOKED`,
   * `REVOCATION_FORGED`
   */
  async lookUp(uid: string): Promise<Contact> {
    const known = this.#seen.get(uid);
    const headers = known && { 'if-none-match': known.etag };
    const ask: Ask = { url: `/keys/v1/users/${uid}`, ...(headers && { headers }) };
    try {
      const { data, headers: answered } = await askKeyService(this.#app, ask, PublicKeys);
      return await this.#contact(uid, data, answered.get('etag') ?? '');
    } catch (error) {
      if (!(error instanceof ClientError)) throw error;
      const isUnchanged = known && error.status === 304;
      if (isUnchanged) return this.#meet(uid, { ...known, seenAt: this.#now });
      if (!known || (error.status > 0 && error.status < 500)) throw error;
      return this.#meet(uid, this.#stillFresh(uid, known, error));
    }
  }

  /** Fetches many at once; who cannot be found is left out, and a list that is refused is set apart. */
  async lookUpAll(
    uids: readonly string[],
  ): Promise<{ contacts: Contact[]; refused: { uid: string; error: IntegrityError }[] }> {
    const contacts: Contact[] = [];
    const refused: { uid: string; error: IntegrityError }[] = [];
    for (let i = 0; i < uids.length; i += KEYS_LIMITS.lookups) {
      const some = uids.slice(i, i + KEYS_LIMITS.lookups);
      const ask: Ask = { method: 'POST', url: '/keys/v1/lookups', json: { uids: some } };
      const { data } = await askKeyService(this.#app, ask, Discovered);
      for (const [j, uid] of some.entries()) {
        try {
          const contact = await this.#found(uid, data.results[j]);
          if (contact) contacts.push(contact);
        } catch (error) {
          if (!(error instanceof IntegrityError)) throw error;
          refused.push({ uid, error });
        }
      }
    }
    return { contacts, refused };
  }

  /**
   * Looks people up by verified address. Addresses that nobody has, and people who do not use this app, are
   * left out.
   *
   * @param emails - 1 to 20
   * @returns by the address as it was asked for
   * @throws IntegrityError as `lookUp`; `IDENTITY_CHANGED` also when an address led to another account before
   */
  async discover(emails: readonly string[]): Promise<Map<string, Contact>> {
    const contacts = new Map<string, Contact>();
    const found = await this.#discover(emails);
    for (const [email, { uid, ...answer }] of found) {
      await this.#expectSameAccount(email, uid);
      contacts.set(email, await this.#contact(uid, answer, ''));
      await this.#pins.update(this.#place(uid), (pin) => named(pin, email, uid));
    }
    return contacts;
  }

  /** Which account has an address is the server's word; it is held to the one that it gave before. */
  async #expectSameAccount(email: string, uid: string): Promise<void> {
    const called = (await this.known()).filter(({ name = '' }) => isSameAddress(name, email));
    if (called.length === 0 || called.some((one) => one.uid === uid)) return;
    const detail = `${email} led to another account before: ask them, and compare the safety number.`;
    throw new IntegrityError('IDENTITY_CHANGED', detail);
  }

  async #discover(emails: readonly string[]): Promise<Map<string, ListAnswer & { uid: string }>> {
    const ask: Ask = { method: 'POST', url: '/keys/v1/discoveries', json: { emails } };
    const { data } = await askKeyService(this.#app, ask, Discovered);
    const found = new Map<string, ListAnswer & { uid: string }>();
    for (const [i, email] of emails.entries()) {
      const { uid, skl, revocations } = data.results[i] ?? {};
      if (uid !== undefined && skl !== undefined) found.set(email, { uid, skl, revocations });
    }
    return found;
  }

  /**
   * A contact that was asked for no longer ago than is good, asked for again if need be.
   *
   * @throws as `lookUp`
   */
  async fresh(contact: Contact): Promise<Contact> {
    const age = this.#now - contact.seenAt;
    return age >= 0 && age < this.#freshForSeconds ? contact : this.lookUp(contact.uid);
  }

  /**
   * Tells who of these people changed their keys since the last call, and fetches and checks the new ones.
   *
   * @param uids - up to 500, looked up before
   * @param since - the cursor of the call before
   */
  async changes(uids: readonly string[], since?: string): Promise<Watched> {
    const json = { uids, ...(since !== undefined && { since }) };
    const ask: Ask = { method: 'POST', url: '/keys/v1/events', json };
    const { data } = await askKeyService(this.#app, ask, KeyEvents);
    const concerned = uids.filter((uid) => data.events.some((event) => event.uid === uid));
    const { contacts, refused } = await this.lookUpAll(concerned);
    return { changed: contacts, refused, cursor: data.cursor };
  }

  /**
   * What to compare with somebody, of the identities that are in use now.
   *
   * @throws as `lookUp`
   */
  async safety(uid: string): Promise<Safety> {
    const identity = await this.#identityOf(uid);
    const pin = await this.#pins.get(this.#place(uid));
    const { own, other } = await this.#parties(uid, identity);
    return {
      ...{ number: safetyNumber(own, other), code: safetyCode(own, other) },
      isChecked: pin !== undefined && isChecked(pin),
    };
  }

  /**
   * Compares what the other person read aloud, or what their device showed, and remembers it when it fits.
   *
   * @param said - 60 digits, with or without spaces, or a scanned code
   * @returns whether it is the same
   */
  async compare(uid: string, said: string): Promise<boolean> {
    const identity = await this.#identityOf(uid);
    const { own, other } = await this.#parties(uid, identity);
    const digits = said.replaceAll(/\D/g, '');
    const isSame =
      compareSafetyCode(own, other, said.trim()) ?? digits === safetyNumber(own, other);
    if (isSame) await this.#mark(uid, identity);
    return isSame;
  }

  /**
   * Takes somebody's new identity in place of the pinned one, when the person decided so.
   *
   * @returns the contact, not checked
   */
  async accept(uid: string): Promise<Contact> {
    const { data } = await askKeyService(this.#app, { url: `/keys/v1/users/${uid}` }, PublicKeys);
    const place = this.#place(uid);
    const checked = await openKeyList(data, place, { now: this.#now });
    await this.#pins.update(place, (pin) => {
      if (!pin || pin.identity.x === checked.signer) return followPin(pin, checked, uid);
      return afterReset(pin, checked, uid);
    });
    return this.lookUp(uid);
  }

  /**
   * Takes whoever is found at an address now in place of whom it led to before, when the person decided so.
   *
   * @returns the contact, not checked unless it was before; undefined when nobody has the address
   */
  async acceptAt(email: string): Promise<Contact | undefined> {
    const found = (await this.#discover([email])).get(email);
    if (!found) return undefined;
    const contact = await this.accept(found.uid);
    await this.#pins.update(this.#place(found.uid), (pin) => ({
      ...named(pin, email, found.uid),
      name: email,
    }));
    return contact;
  }

  /**
   * Begins the record of people that does not open anew, from what this device remembers, when the person decided so:
   * whoever other devices met is new again.
   */
  async restore(): Promise<void> {
    await this.#pins.restore?.();
  }

  /** Everybody whose identity is remembered in this app, but oneself. */
  async known(): Promise<Known[]> {
    const { server, clientId, uid: own } = this.#app;
    const pins = await this.#pins.all({ realm: server.realm, clientId });
    return pins
      .filter(({ uid }) => uid !== own)
      .map(({ uid, pin }) => ({
        ...{ uid, identity: pin.identity, isChecked: isChecked(pin) },
        ...(pin.name !== undefined && { name: pin.name }),
      }));
  }

  /** Comparing is what resolves it when one's own devices disagree. */
  async #identityOf(uid: string): Promise<IdentityJwk> {
    try {
      return (await this.lookUp(uid)).identity;
    } catch (error) {
      const isConflict = error instanceof IntegrityError && error.code === 'IDENTITY_CONFLICT';
      const pin = isConflict ? await this.#pins.get(this.#place(uid)) : undefined;
      if (!pin) throw error;
      return pin.identity;
    }
  }

  async #mark(uid: string, identity: IdentityJwk): Promise<void> {
    await this.#pins.update(this.#place(uid), (pin) => {
      if (pin?.identity.x !== identity.x) {
        throw new IntegrityError('IDENTITY_CHANGED', `The identity of ${uid} changed meanwhile.`);
      }
      return { ...pin, checked: { x: identity.x, at: this.#now } };
    });
  }

  async #parties(uid: string, identity: IdentityJwk) {
    const { publicJwk } = await deriveIdentity(this.#app.kBr.k);
    return {
      own: { ...this.#place(this.#app.uid), identity: publicJwk },
      other: { ...this.#place(uid), identity },
    };
  }

  async #found(uid: string, found: Found | undefined): Promise<Contact | undefined> {
    const { skl, revocations } = found ?? {};
    return skl === undefined ? undefined : this.#contact(uid, { skl, revocations }, '');
  }

  async #contact(uid: string, answer: ListAnswer, etag: string): Promise<Contact> {
    const now = this.#now;
    const checked = await openKeyList(answer, this.#place(uid), { now });
    return this.#meet(uid, { checked, etag, seenAt: now });
  }

  async #meet(uid: string, seen: Remembered): Promise<Contact> {
    const { checked, seenAt } = seen;
    const { list, identity } = checked;
    if (list.exp <= this.#now) {
      throw new IntegrityError('KEY_LIST_EXPIRED', `The key list of ${uid} has expired.`);
    }
    const { isNew, pin } = await this.#remember(this.#place(uid), checked);
    const keys = usableKeys(checked).map(publicKeyOf);
    const publicJwk = mainOf(keys);
    if (!publicJwk) {
      const detail = `${uid} revoked the key, and has published no other yet.`;
      throw new IntegrityError('KEY_REVOKED', detail);
    }
    if (seen.etag !== '') this.#seen.set(uid, seen);
    return {
      ...{ uid, identity, version: list.ver, publicJwk, keys, seenAt },
      ...{ isNew, isChecked: isChecked(pin) },
    };
  }

  /** In one step, or of two first contacts at once the later one would replace the identity of the earlier. */
  async #remember(owner: PinKey, checked: CheckedList): Promise<{ isNew: boolean; pin: Pin }> {
    let isNew = false;
    let next: Pin | undefined;
    await this.#pins.update(owner, (pin) => {
      isNew = pin === undefined;
      next = followPin(pin, checked, owner.uid);
      return pin && isSamePin(pin, next) ? pin : next;
    });
    return { isNew, pin: next ?? followPin(undefined, checked, owner.uid) };
  }

  #stillFresh(uid: string, known: Remembered, cause: unknown): Remembered {
    const age = this.#now - known.seenAt;
    if (age < this.#freshForSeconds) return known;
    const detail = `The keys of ${uid} were last seen ${Math.floor(age / 60)} minutes ago, and the server shows no newer ones.`;
    throw new IntegrityError('KEY_LIST_STALE', detail, { cause });
  }

  #place(uid: string): PinKey {
    return { realm: this.#app.server.realm, uid, clientId: this.#app.clientId };
  }

  get #now(): number {
    return this.#app.server.seconds();
  }
}

function named(pin: Pin | undefined, name: string, uid: string): Pin {
  if (!pin) throw new IntegrityError('IDENTITY_CHANGED', `${uid} was forgotten meanwhile.`);
  // Who was compared keeps the address, or a server could take it away to give it to another.
  const isKept = pin.name !== undefined && isChecked(pin);
  return isKept || pin.name === name ? pin : { ...pin, name };
}

/**
 * One key of each recipient, all of one algorithm: the hybrid one where everybody has one.
 *
 * @throws IntegrityError `KEY_DOWNGRADED` when they have no algorithm in common
 */
export function keysFor(
  recipients: readonly Contact[],
): { contact: Contact; publicJwk: EncryptionPublicJwk }[] {
  for (const wanted of ['HPKE-11-KE', 'HPKE-4-KE'] as const) {
    const chosen = recipients.flatMap((contact) => {
      const publicJwk = contact.keys.find(({ alg }) => alg === wanted);
      return publicJwk ? [{ contact, publicJwk }] : [];
    });
    if (chosen.length === recipients.length) return chosen;
  }
  throw new IntegrityError('KEY_DOWNGRADED', 'The recipients have no kind of key in common.');
}
