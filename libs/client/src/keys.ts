import {
  CryptoRefusal,
  deriveIdentity,
  type EncryptionPrivateJwk,
  type EncryptionPublicJwk,
  generateEncryptionKey,
  type Identity,
  type IdentityJwk,
  readSigner,
  unwrapPrivateKey,
  wrapPrivateKey,
} from '#lib/crypto';
import {
  Discovered,
  KEY_LIST_LIFE_SECONDS_MAX,
  KEY_LIST_TYPE,
  type KeyList,
  OwnKeys,
  PublicKeys,
  type PublishKeys,
} from '#lib/protocol';
import type { App } from './app.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import { publicKeyOf, textHash, verifyKeyList } from './key-list.ts';
import type { Pin, PinKey, PinStore } from './pin-store.ts';

/** One's own keys, opened. */
export interface OwnPair {
  list: KeyList;
  identity: Identity;
  publicJwk: EncryptionPublicJwk;
  privateJwk: EncryptionPrivateJwk;
}

/** Somebody else, as far as their key list proves. */
export interface Contact {
  uid: string;
  identity: IdentityJwk;
  /** The version of the list that holds the key. */
  version: number;
  publicJwk: EncryptionPublicJwk;
  /** Whether the identity was pinned just now: nobody has compared it with its owner yet. */
  isNew: boolean;
}

/**
 * One's own published keys, and those of others. The server is asked for both and believed in neither: own
 * lists are checked under the identity that kBr gives, others' under the identity pinned at first contact.
 *
 * @see keys.md §3.1–3.6; docs/protocol/keys.md
 */
export class Keys {
  readonly #app: App;
  readonly #pins: PinStore;
  #own: Promise<OwnPair> | undefined;

  constructor(app: App, pins: PinStore) {
    this.#app = app;
    this.#pins = pins;
  }

  /**
   * Publishes version 1, with a new X25519 pair. When another device was faster, its pair is used. A device that
   * remembers a list of its own publishes nothing, whatever the server says.
   *
   * @returns the pair that stands
   * @throws IntegrityError as `own`
   */
  async publish(): Promise<OwnPair> {
    const { uid, clientId, kBr, server } = this.#app;
    const identity = await deriveIdentity(kBr.k);
    const owner: PinKey = { realm: server.realm, uid, clientId };
    if (await this.#pins.get(owner)) {
      this.#own = undefined;
      return this.own();
    }
    const { publicJwk, privateJwk } = await generateEncryptionKey();
    const context = { realm: server.realm, uid, clientId, kid: publicJwk.kid, version: 1 };
    const wrapped = await wrapPrivateKey({ privateJwk, kBr, context });
    const now = server.seconds();
    const list: KeyList = {
      v: 1,
      iss: server.realm,
      sub: uid,
      cid: clientId,
      ver: 1,
      prev: null,
      iat: now,
      exp: now + KEY_LIST_LIFE_SECONDS_MAX,
      kbr: kBr.kid,
      keys: [{ ...publicJwk, st: 'active', wsha: textHash(wrapped) }],
    };
    const skl = await identity.sign(KEY_LIST_TYPE, list);
    const json: PublishKeys = { skl, wrapped: { [publicJwk.kid]: wrapped } };
    const headers = { 'if-none-match': '*' };
    const ask = { method: 'PUT', url: '/keys/v1/me', json, headers } as const;
    try {
      await this.#app.tokens.bearing('keys', ask, (signed) => server.http.run(signed));
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 412) throw error;
    }
    this.#own = undefined;
    return this.own();
  }

  /**
   * One's own pair, fetched and checked once. It needs no memory but kBr, so a new device can do it.
   *
   * @throws ClientError `not-found` before the first publication
   * @throws IntegrityError `KEY_LIST_INVALID`, `KEY_LIST_EXPIRED`, `KEY_LIST_ROLLBACK`,
   * `KEY_GENERATION_MISMATCH`, `WRAP_MISMATCH`, `DECRYPT_FAILED`
   */
  own(): Promise<OwnPair> {
    const own = this.#own ?? this.#fetchOwn();
    this.#own = own;
    own.catch(() => {
      if (this.#own === own) this.#own = undefined;
    });
    return own;
  }

  /**
   * Looks people up by verified address. Addresses that nobody has, and people who do not use this app, are
   * left out.
   *
   * @param emails - 1 to 20
   * @returns by the address as it was asked for
   * @throws IntegrityError as `lookUp`
   */
  async discover(emails: readonly string[]): Promise<Map<string, Contact>> {
    const { tokens, server } = this.#app;
    const ask = { method: 'POST', url: '/keys/v1/discoveries', json: { emails } } as const;
    const { results } = await tokens.bearing('keys', ask, (signed) =>
      server.http.json(signed, Discovered),
    );
    const contacts = new Map<string, Contact>();
    for (const [i, email] of emails.entries()) {
      const { uid, skl } = results[i] ?? {};
      if (uid !== undefined && skl !== undefined)
        contacts.set(email, await this.#contact(uid, skl));
    }
    return contacts;
  }

  /**
   * Fetches somebody's current key.
   *
   * @throws ClientError `not-found` when nobody of this id uses the app
   * @throws IntegrityError `IDENTITY_CHANGED`, `KEY_LIST_INVALID`, `KEY_LIST_EXPIRED`, `KEY_LIST_ROLLBACK`,
   * `KEY_LIST_FORKED`
   */
  async lookUp(uid: string): Promise<Contact> {
    const { tokens, server } = this.#app;
    const ask = { url: `/keys/v1/users/${uid}` };
    const found = await tokens.bearing('keys', ask, (signed) =>
      server.http.json(signed, PublicKeys),
    );
    return this.#contact(uid, found.skl);
  }

  async #fetchOwn(): Promise<OwnPair> {
    const { uid, clientId, kBr, server, tokens } = this.#app;
    const identity = await deriveIdentity(kBr.k);
    const owner: PinKey = { realm: server.realm, uid, clientId };
    const pin = await this.#pins.get(owner);
    if (pin && pin.identity.x !== identity.publicJwk.x) {
      const detail = 'This device had another kBr for the app.';
      throw new IntegrityError('KEY_GENERATION_MISMATCH', detail);
    }
    const { skl, wrapped } = await tokens
      .bearing('keys', { url: '/keys/v1/me' }, (signed) => server.http.json(signed, OwnKeys))
      .catch((cause: unknown) => {
        if (!pin || !(cause instanceof ClientError) || cause.status !== 404) throw cause;
        const detail = 'The server denies a key list that this device has seen.';
        throw new IntegrityError('KEY_LIST_ROLLBACK', detail, { cause });
      });
    const list = await verifyKeyList(skl, identity.publicJwk, owner, server.seconds());
    await this.#remember(owner, { identity: identity.publicJwk, list, skl });
    if (list.kbr !== kBr.kid) {
      throw new IntegrityError('KEY_GENERATION_MISMATCH', 'The list was made under another kBr.');
    }
    const active = list.keys.find(({ st }) => st === 'active');
    const wrap = active && wrapped[active.kid];
    if (!active || wrap === undefined || textHash(wrap) !== active.wsha) {
      throw new IntegrityError('WRAP_MISMATCH', 'The wrapped key is not the one of the list.');
    }
    const publicJwk = publicKeyOf(active);
    const context = { realm: server.realm, uid, clientId, kid: active.kid, version: list.ver };
    try {
      const privateJwk = await unwrapPrivateKey(wrap, kBr, context);
      return { list, identity, publicJwk, privateJwk };
    } catch (cause) {
      if (!(cause instanceof CryptoRefusal)) throw cause;
      throw new IntegrityError('DECRYPT_FAILED', 'The private key does not open.', { cause });
    }
  }

  async #contact(uid: string, skl: string): Promise<Contact> {
    const { clientId, server } = this.#app;
    const owner: PinKey = { realm: server.realm, uid, clientId };
    const identity = signerOf(skl, uid);
    expectIdentity(await this.#pins.get(owner), identity, uid);
    const list = await verifyKeyList(skl, identity, owner, server.seconds());
    const active = list.keys.find(({ st }) => st === 'active');
    if (!active) throw new IntegrityError('KEY_LIST_INVALID', `${uid} has no active key.`);
    const isNew = await this.#remember(owner, { identity, list, skl });
    return { uid, identity, version: list.ver, publicJwk: publicKeyOf(active), isNew };
  }

  /**
   * Holds a list against the newest one seen, and remembers it when it is newer; in one step, or of two first
   * contacts at once the later one would replace the identity of the earlier one.
   *
   * @returns whether nothing was known before
   */
  async #remember(
    owner: PinKey,
    { identity, list, skl }: { identity: IdentityJwk; list: KeyList; skl: string },
  ): Promise<boolean> {
    const hash = textHash(skl);
    let isNew = false;
    await this.#pins.update(owner, (pin) => {
      isNew = pin === undefined;
      expectIdentity(pin, identity, owner.uid);
      if (pin?.version === list.ver && pin.list === hash) return pin;
      if (pin && list.ver < pin.version) {
        const detail = `${owner.uid} was already at version ${pin.version} of the key list.`;
        throw new IntegrityError('KEY_LIST_ROLLBACK', detail);
      }
      const isFork = pin?.version === list.ver;
      const isOtherPast = pin?.version === list.ver - 1 && list.prev !== pin.list;
      if (isFork || isOtherPast) {
        throw new IntegrityError('KEY_LIST_FORKED', `There are two histories of ${owner.uid}.`);
      }
      return { identity, version: list.ver, list: hash };
    });
    return isNew;
  }
}

function expectIdentity(pin: Pin | undefined, identity: IdentityJwk, uid: string): void {
  if (!pin || pin.identity.x === identity.x) return;
  const detail = `The identity of ${uid} is not the one of the first contact.`;
  throw new IntegrityError('IDENTITY_CHANGED', detail);
}

/** The key that a list itself names: to be pinned at first contact, and compared ever after. */
function signerOf(skl: string, uid: string): IdentityJwk {
  try {
    return readSigner(skl).jwk;
  } catch (cause) {
    const detail = `The key list of ${uid} is not signed.`;
    throw new IntegrityError('KEY_LIST_INVALID', detail, { cause });
  }
}
