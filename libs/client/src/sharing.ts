import {
  CryptoRefusal,
  fromUtf8,
  openEnvelope,
  randomBytes,
  readRecipients,
  sealEnvelope,
  toBase64Url,
  utf8,
  verifySigned,
} from '#lib/crypto';
import {
  type Bso,
  type Deposit,
  DEPOSIT_TTL_SECONDS_MAX,
  INBOX,
  InboxRecord,
  SHARE_TYPE,
  ShareBody,
  ShareStatement,
  Uid,
} from '#lib/protocol';
import { z } from 'zod';
import type { App } from './app.ts';
import { ClientError, IntegrityError } from './client-error.ts';
import type { FileReference, Files } from './files.ts';
import { keysFor } from './contacts.ts';
import type { Contact } from './contact.ts';
import type { Keys } from './keys.ts';
import type { OwnPair } from './own-keys.ts';
import type { Storage } from './storage.ts';

/** Something that arrived, proved to come from `from` and to be meant for oneself. */
export interface InboxItem {
  id: string;
  from: Contact;
  body: ShareBody;
  /** Seconds since 1970, by the sender's clock. */
  sentAt: number;
  /** The signed statement, for proof later. */
  statement: string;
  /** Whether it came under a key that was revoked: whoever stole that key can read it, too. */
  wasRevoked: boolean;
}

/** Something that arrived and was refused. Nothing of it is shown. */
export interface RefusedItem {
  id: string;
  error: IntegrityError;
}

/** Something that was accepted: one's own record from then on. */
const AcceptedShare = z.object({
  v: z.literal(1),
  from: Uid,
  /** Seconds since 1970, by the sender's clock. */
  sentAt: z.number().int(),
  statement: z.string(),
  body: ShareBody,
});

/** A share that was accepted. */
export interface Accepted {
  id: string;
  /** The sender's uid. */
  from: string;
  body: ShareBody;
}

/** How often a share is made anew for somebody whose place was taken. */
const DEPOSIT_TRIES = 3;
const COLLECTION = 'shares';
/** Lengths are multiples of this. */
const PADDING = 256;
/** A statement from a device whose clock is ahead is taken, up to this many seconds. */
const CLOCK_TOLERANCE_SECONDS = 300;

/**
 * Sharing with people of the same app: one signed statement, one envelope for all recipients, one deposit in
 * each inbox. A recipient believes nothing that the server says of it.
 *
 * @see files-and-sharing.md §2c; keys.md §3.9; docs/protocol/formats.md §9–11
 */
export class Sharing {
  readonly #app: App;
  readonly #keys: Keys;
  readonly #storage: Storage;
  readonly #files: Files;

  constructor(app: App, parts: { keys: Keys; storage: Storage; files: Files }) {
    this.#app = app;
    this.#keys = parts.keys;
    this.#storage = parts.storage;
    this.#files = parts.files;
  }

  /** Lets people read a file of one's own, and sends them what opens it. The ciphertext stays where it is. */
  async shareFile(file: FileReference, recipients: readonly Contact[]): Promise<string> {
    for (const { uid } of recipients) await this.#files.grant(file, uid);
    return this.share(file, recipients);
  }

  /**
   * Signs, seals and deposits.
   *
   * Whoever receives it knows its id, and may take that id in the inbox of another recipient, who is not served
   * yet. Those whose place is taken get a share of their own.
   *
   * @param recipients - 1 to 100 people, as `Keys.discover` or `Keys.lookUp` gave them
   * @returns the id of the share
   * @throws ClientError `conflict` when the place of one recipient was taken three times
   */
  async share(body: ShareBody, recipients: readonly Contact[]): Promise<string> {
    const first = await this.#deposit(body, recipients);
    let left = first.left;
    for (let tries = 1; left.length > 0 && tries < DEPOSIT_TRIES; tries++) {
      ({ left } = await this.#deposit(body, left));
    }
    if (left.length === 0) return first.id;
    const missed = left.map(({ uid }) => uid).join(', ');
    throw new ClientError('conflict', 409, `Somebody keeps a share from reaching ${missed}.`);
  }

  /** @returns its id, and whose place of this id was taken */
  async #deposit(
    body: ShareBody,
    recipients: readonly Contact[],
  ): Promise<{ id: string; left: Contact[] }> {
    const { server, clientId, uid, tokens } = this.#app;
    const own = await this.#keys.own();
    const id = toBase64Url(randomBytes(16));
    const now = server.seconds();
    const addressees = keysFor(await this.#current(recipients));
    const statement: ShareStatement = {
      ...{ v: 1, id, realm: server.realm },
      from: { uid, cid: clientId, ver: own.list.ver },
      to: addressees.map(({ publicJwk }) => publicJwk.kid).sort(),
      ...{ iat: now, exp: now + DEPOSIT_TTL_SECONDS_MAX, body },
    };
    const payload = await sealEnvelope({
      plaintext: utf8(padded(await own.identity.sign(SHARE_TYPE, statement))),
      recipients: addressees.map(({ contact, publicJwk }) => ({
        ...{ uid: contact.uid, publicJwk, keyListVersion: contact.version },
      })),
      ...{ realm: server.realm, clientId, cty: SHARE_TYPE },
    });
    const json: Deposit = { payload, ttl: DEPOSIT_TTL_SECONDS_MAX };
    const left: Contact[] = [];
    for (const to of recipients) {
      const url = `/deposit/v1/${to.uid}/${clientId}/${id}`;
      try {
        await tokens.bearing('share', { method: 'PUT', url, json }, (ask) => server.http.run(ask));
      } catch (error) {
        if (!(error instanceof ClientError) || error.code !== 'conflict') throw error;
        left.push(to);
      }
    }
    return { id, left };
  }

  /** Nobody is sent anything by keys that were looked up too long ago. */
  #current(recipients: readonly Contact[]): Promise<Contact[]> {
    return Promise.all(recipients.map((contact) => this.#keys.contacts.fresh(contact)));
  }

  /**
   * Opens and checks what arrived.
   *
   * @param options - `newer`: the `modified` of an earlier call, to see later arrivals only
   * @returns what passed every check, and apart from it what did not
   */
  async inbox(
    options: { newer?: string } = {},
  ): Promise<{ items: InboxItem[]; refused: RefusedItem[]; modified: string }> {
    const { records, modified } = await this.#storage.raw(INBOX, options);
    const items: InboxItem[] = [];
    const refused: RefusedItem[] = [];
    if (records.length === 0) return { items, refused, modified };
    let own = await this.#keys.own();
    if (records.some(({ payload }) => !isAddressed(payload, own))) own = await this.#keys.refresh();
    const accepted = new Set(await this.#storage.ids(COLLECTION));
    for (const record of records) {
      try {
        if (accepted.has(record.id)) {
          throw new IntegrityError('REPLAYED', 'This share was accepted before.');
        }
        items.push(await this.#open(record, own));
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        refused.push({ id: record.id, error });
      }
    }
    return { items, refused, modified };
  }

  /**
   * Makes an item one's own record, sealed under one's own key, and empties its place in the inbox. Its id is
   * then known for good, so that the server cannot deliver it again.
   *
   * @throws IntegrityError `REPLAYED` when another share of this id was accepted before
   */
  async accept(item: InboxItem): Promise<void> {
    const { id, statement, sentAt, from } = item;
    const { body } = item;
    const share: z.infer<typeof AcceptedShare> = { v: 1, from: from.uid, sentAt, statement, body };
    // The record is as long for every password, too.
    const { length } = utf8(JSON.stringify(share));
    const value = { ...share, pad: ' '.repeat(PADDING - (length % PADDING)) };
    try {
      await this.#storage.put(COLLECTION, id, value, { isNew: true });
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 412) throw error;
      // Perhaps this very call, whose answer was lost.
      const earlier = await this.#storage.get(COLLECTION, id);
      if (earlier?.value['statement'] !== statement) {
        throw new IntegrityError('REPLAYED', 'Another share of this id was accepted before.');
      }
    }
    await this.decline(id);
  }

  /** Removes an item from the inbox. */
  decline(id: string): Promise<void> {
    return this.#storage.delete(INBOX, id);
  }

  /** What was accepted, on any device, and apart from it what the server spoiled. */
  async accepted(): Promise<{ shares: Accepted[]; refused: RefusedItem[] }> {
    const { records, refused } = await this.#storage.records(COLLECTION);
    const shares: Accepted[] = [];
    for (const { id, value } of records) {
      const { success, data, error: cause } = AcceptedShare.safeParse(value);
      if (success) {
        shares.push({ id, from: data.from, body: data.body });
        continue;
      }
      const detail = 'The record holds no share.';
      refused.push({ id, error: new IntegrityError('RECORD_FORGED', detail, { cause }) });
    }
    return { shares, refused };
  }

  async #open({ id, payload }: Bso, own: OwnPair): Promise<InboxItem> {
    const { from, box } = readInboxRecord(payload);
    const { jws, addressees, kid } = await this.#openBox(box, own);
    const sender = await this.#sender(from);
    const statement = await readStatement(jws, sender);
    this.#expectOrigin(statement, sender);
    expectRecipients(statement, addressees, kid);
    if (statement.id !== id) {
      throw new IntegrityError('REPLAYED', 'The share was sent under another id.');
    }
    const now = this.#app.server.seconds();
    const isOverlong = statement.exp - statement.iat > DEPOSIT_TTL_SECONDS_MAX;
    if (statement.exp <= now || statement.iat > now + CLOCK_TOLERANCE_SECONDS || isOverlong) {
      throw new IntegrityError('SHARE_EXPIRED', 'The share is not valid now.');
    }
    const wasRevoked = own.revoked.includes(kid) || own.keys.get(kid)?.st === 'revoked';
    return {
      ...{ id, from: sender, body: statement.body, sentAt: statement.iat, statement: jws },
      ...{ wasRevoked },
    };
  }

  async #openBox(
    box: string,
    own: OwnPair,
  ): Promise<{ jws: string; addressees: string[]; kid: string }> {
    const { server, uid, clientId } = this.#app;
    try {
      const addressees = readRecipients(box);
      const mine = addressees.find(({ kid }) => own.keys.has(kid));
      const keyListVersion = mine?.keyListVersion ?? own.list.ver;
      if (keyListVersion < 1 || keyListVersion > own.list.ver) {
        throw new IntegrityError('RECIPIENT_MISMATCH', 'There was no such key list.');
      }
      const { privateJwk } = (mine && own.keys.get(mine.kid)) ?? own;
      const reader = { privateJwk, uid, realm: server.realm, clientId };
      const text = fromUtf8(await openEnvelope(box, { ...reader, keyListVersion }));
      const jws = text.replace(/ {1,255}$/, '');
      return { jws, addressees: addressees.map(({ kid }) => kid), kid: privateJwk.kid };
    } catch (cause) {
      if (cause instanceof TypeError) {
        throw new IntegrityError('ENVELOPE_FORGED', 'The envelope holds no text.', { cause });
      }
      if (!(cause instanceof CryptoRefusal)) throw cause;
      const code =
        cause.code === 'not-a-recipient'
          ? 'NOT_A_RECIPIENT'
          : cause.code === 'commitment-mismatch'
            ? 'COMMITMENT_MISMATCH'
            : 'ENVELOPE_FORGED';
      throw new IntegrityError(code, cause.message, { cause });
    }
  }

  async #sender(uid: string): Promise<Contact> {
    try {
      return await this.#keys.lookUp(uid);
    } catch (cause) {
      if (!(cause instanceof ClientError) || cause.status !== 404) throw cause;
      const detail = 'The sender does not use this app.';
      throw new IntegrityError('SENDER_MISMATCH', detail, { cause });
    }
  }

  #expectOrigin({ realm, from }: ShareStatement, sender: Contact): void {
    const { server, clientId } = this.#app;
    if (realm !== server.realm || from.cid !== clientId || from.uid !== sender.uid) {
      const detail = 'The share was made by somebody else, or for another app or realm.';
      throw new IntegrityError('SENDER_MISMATCH', detail);
    }
    if (from.ver > sender.version) {
      const detail = 'The server shows an older key list of the sender than he signed under.';
      throw new IntegrityError('KEY_LIST_ROLLBACK', detail);
    }
  }
}

/** The signature covers `to`; the envelope's header is anybody's to rewrite. */
function expectRecipients(
  { to }: ShareStatement,
  addressees: readonly string[],
  own: string,
): void {
  const sorted = addressees.toSorted();
  const isSame = to.length === sorted.length && to.every((kid, i) => kid === sorted[i]);
  if (!isSame || !to.includes(own)) {
    throw new IntegrityError('RECIPIENT_MISMATCH', 'The share was signed for other recipients.');
  }
}

/** Whether an envelope names a key that this device knows; another device may have published newer ones. */
function isAddressed(payload: string, own: OwnPair): boolean {
  try {
    return readRecipients(readInboxRecord(payload).box).some(({ kid }) => own.keys.has(kid));
  } catch {
    return true; // what cannot be read is no reason to ask again
  }
}

/** The text with spaces up to the next step, so that its length does not tell the length of a password. */
const padded = (jws: string) => jws.padEnd(Math.ceil(jws.length / PADDING) * PADDING);

function readInboxRecord(payload: string): InboxRecord {
  try {
    return InboxRecord.parse(JSON.parse(payload));
  } catch (cause) {
    throw new IntegrityError('ENVELOPE_FORGED', 'The inbox holds no envelope.', { cause });
  }
}

async function readStatement(jws: string, sender: Contact): Promise<ShareStatement> {
  try {
    return ShareStatement.parse(await verifySigned(jws, sender.identity, SHARE_TYPE));
  } catch (cause) {
    const detail = 'The share is not signed by its sender.';
    throw new IntegrityError('SIGNATURE_INVALID', detail, { cause });
  }
}
