import {
  type EncryptionAlgorithm,
  type EncryptionPublicJwk,
  deriveIdentity,
  type KeyWithId,
  readRevocation,
  signRevocation,
  writeRevocation,
} from '#lib/crypto';
import { KEY_SETTINGS_TYPE, type KeySettingsNow, OwnKeys, type PublishKeys } from '#lib/protocol';
import { type Audit, auditKeys } from './key-audit.ts';
import { ClientError, IntegrityError, isOvertaken } from './client-error.ts';
import { askKeyService, type Contact, type KeyHolder } from './contact.ts';
import { Contacts, type Watched } from './contacts.ts';
import type { Ask } from './http.ts';
import {
  type Fate,
  firstList,
  linkedList,
  nextList,
  type Publisher,
  resetList,
  type RevocationReason,
} from './key-draft.ts';
import { type HistoryEntry, readHistory } from './key-history.ts';
import { type CheckedList, openKeyList } from './key-list.ts';
import { claimPackage, type OwnPackage, publishPackages } from './key-packages.ts';
import {
  checkOwn,
  expectLater,
  expectUnused,
  openFormer,
  openOwn,
  type OwnPair,
  type OwnPlace,
} from './own-keys.ts';
import { afterReset, expectNewest, followPin } from './pin-rules.ts';
import type { PinStore } from './pin-store.ts';
import type { Server } from './server.ts';

/** How an app wants its keys. */
export interface KeysOptions {
  /** Publishes an X-Wing key beside the one of X25519, which senders prefer. */
  hybrid?: boolean;
  /** How long, in seconds, what a server said of somebody is good without asking again; 300 at most. */
  freshForSeconds?: number;
}

const ME = '/keys/v1/me';
/** How often a change is made anew when another device was faster. */
const TRIES = 3;
const FRESH_SECONDS_MAX = 300;

/**
 * One's own published keys, and those of others. The server is asked for both and believed in neither: own
 * lists are checked under the identity that kBr gives, others' under the identity pinned at first contact.
 *
 * @see keys.md §3.1–3.8; docs/protocol/keys.md
 */
export class Keys {
  /** People: look-ups, safety numbers, changes. */
  readonly contacts: Contacts;
  readonly #app: KeyHolder;
  readonly #pins: PinStore;
  readonly #algorithms: readonly EncryptionAlgorithm[];
  readonly #freshForSeconds: number;
  #own: { state: Promise<OwnState>; at: number } | undefined;

  constructor(app: KeyHolder, pins: PinStore, options: KeysOptions = {}) {
    this.#app = app;
    this.#pins = pins;
    this.#algorithms = options.hybrid === true ? ['HPKE-4-KE', 'HPKE-11-KE'] : ['HPKE-4-KE'];
    this.#freshForSeconds = Math.min(options.freshForSeconds ?? Infinity, FRESH_SECONDS_MAX);
    this.contacts = new Contacts(app, pins, this.#freshForSeconds);
  }

  /**
   * Publishes version 1, with a new pair. When another device was faster, its pair is used. A device that
   * remembers a list of its own publishes no first one, whatever the server says. What has expired is renewed.
   *
   * @returns the pair that stands
   * @throws IntegrityError as `own`
   */
  async publish(): Promise<OwnPair> {
    try {
      const { checked } = await this.#state({ isFresh: true });
      return this.#isExpired(checked) ? await this.rotate() : await this.own();
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 404) throw error;
    }
    const first = await firstList(await this.#publisher(), this.#algorithms);
    await this.#put(first, { 'if-none-match': '*' });
    return this.refresh();
  }

  /**
   * One's own pair, fetched and checked; for some minutes it is remembered. It needs no memory but kBr, so a new
   * device can do it.
   *
   * @throws ClientError `not-found` before the first publication
   * @throws IntegrityError `KEY_LIST_INVALID`, `KEY_LIST_EXPIRED`, `KEY_LIST_ROLLBACK`, `KEY_LIST_FORKED`,
   * `KEY_DOWNGRADED`, `KEY_GENERATION_MISMATCH`, `WRAP_MISMATCH`, `DECRYPT_FAILED`
   */
  async own(): Promise<OwnPair> {
    const { own, checked } = await this.#state();
    if (!this.#isExpired(checked)) return own;
    const detail = 'Your key list has expired, and nobody sends you anything: rotate your keys.';
    throw new IntegrityError('KEY_LIST_EXPIRED', detail);
  }

  /** As `own`, but asks the server now. */
  refresh(): Promise<OwnPair> {
    this.#own = undefined;
    return this.own();
  }

  /** Publishes new keys; the ones before are retired: nobody encrypts to them, and they still open. */
  rotate(): Promise<OwnPair> {
    return this.#change(({ st }) => (st === 'active' ? 'retire' : undefined));
  }

  /**
   * Revokes keys: contacts are warned and do not encrypt to them any more. An active one is replaced at once.
   *
   * @param kids - all active keys unless told otherwise
   * @throws RangeError when the list has no such key
   */
  async revoke(why: RevocationReason = 'compromise', kids?: readonly string[]): Promise<OwnPair> {
    const known = (await this.#state({ isFresh: true })).checked.list.keys.map(({ kid }) => kid);
    const unknown = kids?.find((kid) => !known.includes(kid));
    if (unknown !== undefined) throw new RangeError(`There is no key ${unknown}.`);
    const fate: Fate = { revoke: why };
    return this.#change(({ kid, st }) =>
      (kids ? kids.includes(kid) : st === 'active') ? fate : undefined,
    );
  }

  /**
   * Takes over the keys of an older kBr, after the key of this app was rotated, as when a device was lost. The
   * old identity hands over to the new one, so that contacts follow; keys in use are revoked and replaced.
   *
   * When this was done before, by this device or another, nothing changes.
   *
   * @param old - the kBr before
   * @throws IntegrityError as `own`, of the old keys; `KEY_GENERATION_MISMATCH` when the new kBr is one that was
   * replaced already, or the list under it does not come from the old one
   */
  async takeOver(old: KeyWithId, why: RevocationReason = 'compromise'): Promise<OwnPair> {
    const place = { ...this.#place, kBr: old };
    const by = await this.#publisher();
    const { answer, etag } = await this.#fetch();
    const standing = await openKeyList(answer, this.#place, {});
    if (standing.signer !== by.identity.publicJwk.x) {
      const opened = await checkOwn(answer, place);
      const { checked, identity } = opened;
      expectUnused(by.identity, checked);
      expectNewest(await this.#pins.get(this.#place), checked);
      const own = { identity, keys: await openFormer(opened, answer.wrapped, place) };
      const input = { why, algorithms: this.#algorithmsFrom(checked) };
      const next = await linkedList(by, { own, checked }, input);
      await this.#put(next, { 'if-match': etag }, { isRace: true });
    }
    const taken = await this.refresh();
    const before = (await deriveIdentity(old.k)).publicJwk.x;
    if (taken.list.links?.some((link) => link.old === before) === true) return taken;
    const detail = 'The published keys do not come from the key that was replaced.';
    throw new IntegrityError('KEY_GENERATION_MISMATCH', detail);
  }

  /**
   * Begins anew when the old kBr is lost, as after a password reset without a recovery key. Every contact is told
   * so, as `IDENTITY_RESET`, and has to compare safety numbers again; what was encrypted to the old keys is lost.
   * Never done silently: only when the person says so.
   *
   * @throws IntegrityError `KEY_GENERATION_MISMATCH` when the list is of a later kBr than this one, or this one was
   * replaced; `KEY_LIST_ROLLBACK`, `KEY_LIST_FORKED` when it is not the newest that was seen
   * @throws ClientError `step-up-required` when the sign-in is older than some minutes
   */
  async reset(): Promise<OwnPair> {
    const by = await this.#publisher();
    const former = await this.#former(by);
    if (former) {
      const next = await resetList(by, former, this.#algorithms);
      await this.#put(next, { 'if-match': former.etag });
    }
    return this.refresh();
  }

  /** Makes what revokes each active key later, without any device: text for paper, by kid. */
  async revocations(): Promise<Map<string, string>> {
    const { own, checked } = await this.#state({ isFresh: true });
    const texts = new Map<string, string>();
    for (const { kid, st } of checked.list.keys) {
      if (st !== 'active' || own.revoked.includes(kid)) continue;
      texts.set(kid, writeRevocation(await signRevocation(own.identity, this.#place, kid)));
    }
    return texts;
  }

  /**
   * Hands in what was kept on paper; no sign-in is needed.
   *
   * @returns whose key it was
   * @throws CryptoRefusal `revocation-malformed`
   * @throws ClientError `invalid-revocation`
   */
  static async handIn(server: Server, text: string): Promise<{ uid: string; kid: string }> {
    const { uid, clientId: cid, kid, sig } = readRevocation(text);
    const json = { uid, cid, kid, sig };
    await server.http.run({ method: 'POST', url: '/keys/v1/revocations', json });
    return { uid, kid };
  }

  /** Who finds this person by address. */
  async discoverable(): Promise<KeySettingsNow['discoverable']> {
    return (await this.#state()).discoverable;
  }

  /** Lets the other members of the app find this person, or nobody. */
  async setDiscoverable(discoverable: KeySettingsNow['discoverable']): Promise<void> {
    const { identity, now, place } = await this.#publisher();
    const { realm: iss, uid: sub, clientId: cid } = place;
    const payload = { v: 1, iss, sub, cid, iat: now, discoverable };
    const json = { settings: await identity.sign(KEY_SETTINGS_TYPE, payload) };
    await this.#run({ method: 'PUT', url: `${ME}/settings`, json });
    this.#own = undefined;
  }

  /**
   * Every list that was ever published, oldest first, and how each came from the one before.
   *
   * @throws IntegrityError `KEY_LIST_FORKED` when they are no chain that ends at the current list
   */
  async history(): Promise<HistoryEntry[]> {
    const { checked } = await this.#state({ isFresh: true });
    return readHistory(this.#app, this.#place, checked);
  }

  /** Checks everything that can be checked, and says what. Lies are listed, not thrown. */
  audit(): Promise<Audit> {
    const former = async () => this.#former(await this.#publisher());
    return auditKeys(this, { pins: this.#pins, place: this.#place, former });
  }

  /** Publishes keys that others use once; the caller keeps the private halves. @see key-packages.ts */
  async publishPackages(count: number, options: { isLast?: boolean } = {}): Promise<OwnPackage[]> {
    return publishPackages(this.#app, await this.#publisher(), { count, ...options });
  }

  /** Takes one package of somebody. @returns undefined when none is left */
  async claimPackage(uid: string): Promise<EncryptionPublicJwk | undefined> {
    return claimPackage(this.#app, await this.lookUp(uid));
  }

  /** As {@link Contacts.lookUp}. */
  lookUp(uid: string): Promise<Contact> {
    return this.contacts.lookUp(uid);
  }

  /** As {@link Contacts.discover}. */
  discover(emails: readonly string[]): Promise<Map<string, Contact>> {
    return this.contacts.discover(emails);
  }

  /** As {@link Contacts.changes}. */
  changes(uids: readonly string[], since?: string): Promise<Watched> {
    return this.contacts.changes(uids, since);
  }

  async #change(fate: (key: CheckedList['list']['keys'][number]) => Fate): Promise<OwnPair> {
    for (let tries = 1; ; tries++) {
      const current = await this.#state({ isFresh: true });
      const algorithms = this.#algorithmsFrom(current.checked);
      const next = await nextList(await this.#publisher(), current, { fate, algorithms });
      try {
        await this.#put(next, { 'if-match': current.etag }, { isRace: false });
        return await this.refresh();
      } catch (error) {
        if (!isOvertaken(error) || tries === TRIES) throw error;
      }
    }
  }

  /** Who had a hybrid key keeps one, also by an app that does not ask for it. */
  #algorithmsFrom({ list }: CheckedList): EncryptionAlgorithm[] {
    return [...new Set([...this.#algorithms, ...list.keys.map(({ alg }) => alg)])];
  }

  get #place(): OwnPlace {
    const { server, uid, clientId, kBr } = this.#app;
    return { realm: server.realm, uid, clientId, kBr };
  }

  async #publisher(): Promise<Publisher> {
    const place = this.#place;
    return { place, identity: await deriveIdentity(place.kBr.k), now: this.#app.server.seconds() };
  }

  #state({ isFresh = false } = {}): Promise<OwnState> {
    const now = this.#app.server.seconds();
    const known = this.#own;
    if (known && !isFresh && now - known.at < this.#freshForSeconds) return known.state;
    const state = this.#fetchOwn();
    const mine = { state, at: now };
    this.#own = mine;
    state.catch(() => {
      if (this.#own === mine) this.#own = undefined;
    });
    return state;
  }

  async #fetchOwn(): Promise<OwnState> {
    const place = this.#place;
    const { answer, etag } = await this.#fetch();
    const opened = await checkOwn(answer, place);
    await this.#remember(opened.checked);
    const own = await openOwn(opened, answer.wrapped, place);
    return { own, checked: opened.checked, etag, discoverable: answer.settings.discoverable };
  }

  /** A list that kBr proves may have a new identity, if it says where that came from. */
  async #remember(checked: CheckedList): Promise<void> {
    const place = this.#place;
    await this.#pins.update(place, (pin) => {
      try {
        return followPin(pin, checked, 'this account');
      } catch (cause) {
        if (!(cause instanceof IntegrityError)) throw cause;
        if (pin && cause.code === 'IDENTITY_RESET') return afterReset(pin, checked, place.uid);
        if (cause.code !== 'IDENTITY_CHANGED') throw cause;
        const detail = 'This device had another kBr for the app.';
        throw new IntegrityError('KEY_GENERATION_MISMATCH', detail, { cause });
      }
    });
  }

  /** The list that a reset would replace; undefined when the list is of this kBr. @throws as `reset` */
  async #former(by: Publisher): Promise<(CheckedList & { etag: string }) | undefined> {
    const { answer, etag } = await this.#fetch();
    const before = await openKeyList(answer, this.#place, {});
    if (before.signer === by.identity.publicJwk.x) return undefined;
    expectUnused(by.identity, before);
    expectLater(by.place.kBr.kid, before);
    expectNewest(await this.#pins.get(this.#place), before);
    return { ...before, etag };
  }

  #isExpired({ list }: CheckedList): boolean {
    return list.exp <= this.#app.server.seconds();
  }

  async #fetch(): Promise<{ answer: OwnKeys; etag: string }> {
    const pin = await this.#pins.get(this.#place);
    try {
      const { data, headers } = await askKeyService(this.#app, { url: ME }, OwnKeys);
      return { answer: data, etag: headers.get('etag') ?? '' };
    } catch (cause) {
      if (!pin || !(cause instanceof ClientError) || cause.status !== 404) throw cause;
      const detail = 'The server denies a key list that this device has seen.';
      throw new IntegrityError('KEY_LIST_ROLLBACK', detail, { cause });
    }
  }

  /** @param isRace - whether another device that was faster is no error */
  async #put(
    json: PublishKeys,
    headers: Readonly<Record<string, string>>,
    { isRace = 'if-none-match' in headers } = {},
  ): Promise<void> {
    try {
      await this.#run({ method: 'PUT', url: ME, json, headers });
    } catch (error) {
      if (!isRace || !isOvertaken(error)) throw error;
    }
  }

  #run(ask: Ask) {
    return this.#app.tokens.bearing('keys', ask, (signed) => this.#app.server.http.run(signed));
  }
}

/** One's own keys, as the server showed them last. */
interface OwnState {
  own: OwnPair;
  checked: CheckedList;
  etag: string;
  discoverable: KeySettingsNow['discoverable'];
}
