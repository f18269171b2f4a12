import {
  CryptoRefusal,
  deriveRecordKey,
  openRecord,
  type KeyWithId,
  recordKeyId,
  type RecordPlace,
  sealRecord,
  utf8,
} from '#lib/crypto';
import { Bso, StorageToken } from '#lib/protocol';
import { z } from 'zod';
import { ClientError, ifThere, IntegrityError } from './client-error.ts';
import type { KeyHolder } from './contact.ts';
import { hawk } from './hawk.ts';
import type { Ask } from './http.ts';

/** Records of a collection, and where to go on. */
export interface Page<T> {
  records: T[];
  /**
   * The collection's time when its first page was read, seconds with two decimals: pass it as `newer` to get
   * only later changes.
   */
  modified: string;
}

/** A record that opened. */
export interface OpenedRecord {
  id: string;
  /** Seconds since 1970, two decimals. */
  modified: number;
  value: Record<string, unknown>;
}

/** A record that did not open, and why. */
export interface RefusedRecord {
  id: string;
  error: IntegrityError;
}

const Collections = z.record(z.string(), z.unknown());
const Ids = z.array(z.string());
const Full = z.array(Bso);
const PAGE_RECORDS = 200;
/** What is held of one collection at once; a server that goes on is not listened to. */
const COLLECTION_CHARACTERS_MAX = 256 * 1024 * 1024;
/** What a record takes beside its texts. */
const RECORD_COST = 200;

/**
 * The app's own records in Sync storage. The server sees ids, times and sizes; contents are sealed for their
 * place (`rec/1`), so that none opens under another id, in another collection or for another account.
 *
 * @see files-and-sharing.md §2b; docs/protocol/sync.md
 */
export class Storage {
  readonly #app: KeyHolder;
  readonly #former: KeyWithId | undefined;
  #token: Promise<{ token: StorageToken; until: number }> | undefined;

  /** @param options - `former`: the kBr before, whose records open, too, while they are put under the new one */
  constructor(app: KeyHolder, options: { former?: KeyWithId | undefined } = {}) {
    this.#app = app;
    this.#former = options.former;
  }

  /** The names of the collections that there are. */
  async collections(): Promise<string[]> {
    return Object.keys(await this.#json({ url: '/info/collections' }, Collections, {}));
  }

  /** The ids in a collection; empty when there is no such collection. */
  ids(collection: string): Promise<string[]> {
    return this.#json({ url: `/storage/${collection}` }, Ids, []);
  }

  /** Objects as they are stored, oldest first, page by page. */
  async raw(
    collection: string,
    { newer }: { newer?: string | undefined } = {},
  ): Promise<Page<Bso>> {
    const records: Bso[] = [];
    let characters = 0;
    let modified: string | undefined;
    for (let offset: string | undefined; ;) {
      const query = { full: 1, sort: 'oldest', limit: PAGE_RECORDS, newer, offset };
      const answer = await this.#answer({ url: `/storage/${collection}`, query }, Full);
      if (!answer) return { records, modified: modified ?? newer ?? '0.00' };
      records.push(...answer.data);
      for (const { id, payload } of answer.data)
        characters += RECORD_COST + id.length + payload.length;
      modified ??= answer.headers.get('x-last-modified') ?? newer ?? '0.00';
      offset = answer.headers.get('x-weave-next-offset') ?? undefined;
      if (offset === undefined) return { records, modified };
      if (answer.data.length === 0 || characters > COLLECTION_CHARACTERS_MAX) {
        throw new ClientError('malformed-answer', 0, `The collection ${collection} does not end.`);
      }
    }
  }

  /**
   * Opens the records of a collection. One that does not open is listed apart: a server that spoils one
   * must not keep the others from being read.
   */
  async records(
    collection: string,
    options: { newer?: string | undefined } = {},
  ): Promise<Page<OpenedRecord> & { refused: RefusedRecord[] }> {
    const page = await this.raw(collection, options);
    const records: OpenedRecord[] = [];
    const refused: RefusedRecord[] = [];
    for (const { id, modified, payload } of page.records) {
      try {
        records.push({ id, modified, value: await this.open({ collection, id }, payload) });
      } catch (error) {
        if (!(error instanceof IntegrityError)) throw error;
        refused.push({ id, error });
      }
    }
    return { records, refused, modified: page.modified };
  }

  /**
   * Opens one record.
   *
   * @returns undefined when there is none
   * @throws IntegrityError `RECORD_FORGED` when it was made for another place or another key, or changed
   */
  async get(collection: string, id: string): Promise<OpenedRecord | undefined> {
    const stored = await this.rawOne(collection, id);
    if (!stored) return undefined;
    const { modified, payload } = stored;
    return { id, modified, value: await this.open({ collection, id }, payload) };
  }

  /** One object as it is stored; undefined when there is none. */
  async rawOne(collection: string, id: string): Promise<Bso | undefined> {
    return (await this.#answer({ url: `/storage/${collection}/${id}` }, Bso))?.data;
  }

  /**
   * Seals a record and stores it.
   *
   * @param id - up to 64 printable characters; must not say anything about the content
   * @param condition - `isNew`: only if there is no such record; `ifUnmodified`: only if it is still of that time
   * @throws ClientError with status 412 when the condition does not hold
   */
  async put(
    collection: string,
    id: string,
    value: object,
    condition: { isNew?: boolean; ifUnmodified?: number } = {},
  ): Promise<void> {
    const payload = await sealRecord({
      ...this.#place({ collection, id }),
      key: this.#key(collection),
      plaintext: value,
    });
    const since = condition.isNew === true ? 0 : condition.ifUnmodified;
    const headers = since !== undefined && { 'x-if-unmodified-since': since.toFixed(2) };
    await this.#run({
      method: 'PUT',
      url: `/storage/${collection}/${id}`,
      json: { payload },
      ...(headers && { headers }),
    });
  }

  /**
   * Seals records and stores them in one request, all or none.
   *
   * @param condition - `ifUnmodified`: only if the whole collection is still of that time
   * @returns the collection's time, as in {@link Page}
   * @throws ClientError with status 412 when the condition does not hold
   */
  async post(
    collection: string,
    values: Readonly<Record<string, object>>,
    condition: { ifUnmodified?: string } = {},
  ): Promise<string> {
    const json = await Promise.all(
      Object.entries(values).map(async ([id, plaintext]) => {
        const place = this.#place({ collection, id });
        return {
          id,
          payload: await sealRecord({ ...place, key: this.#key(collection), plaintext }),
        };
      }),
    );
    const since = condition.ifUnmodified;
    const headers = since !== undefined && { 'x-if-unmodified-since': since };
    const answer = await this.#answer(
      { method: 'POST', url: `/storage/${collection}`, json, ...(headers && { headers }) },
      z.object({ failed: z.record(z.string(), z.unknown()) }),
    );
    const failed = Object.keys(answer?.data.failed ?? {});
    if (failed.length > 0) {
      throw new ClientError('invalid-bso', 0, `${failed.length} records were not stored.`);
    }
    return answer?.headers.get('x-last-modified') ?? '0.00';
  }

  /** Deletes a record; one that is gone already is no error. */
  async delete(collection: string, id: string): Promise<void> {
    await ifThere(this.#run({ method: 'DELETE', url: `/storage/${collection}/${id}` }));
  }

  /**
   * Opens what `raw` gave.
   *
   * @throws IntegrityError `RECORD_FORGED`
   */
  async open(place: Omit<RecordPlace, 'root'>, payload: string): Promise<Record<string, unknown>> {
    try {
      const isFormer = this.#former?.kid === recordKeyId(payload);
      const key = this.#key(place.collection, isFormer ? this.#former : undefined);
      return await openRecord(payload, { ...this.#place(place), key });
    } catch (cause) {
      if (!(cause instanceof CryptoRefusal)) throw cause;
      const where = `${place.collection}/${place.id}`;
      throw new IntegrityError('RECORD_FORGED', `${where} does not open in its place.`, { cause });
    }
  }

  #place(place: Omit<RecordPlace, 'root'>): RecordPlace {
    return { root: this.#app.uid, ...place };
  }

  #key(collection: string, kBr = this.#app.kBr) {
    return { id: kBr.kid, k: deriveRecordKey(kBr.k, collection) };
  }

  async #json<T extends z.ZodType>(ask: Ask, schema: T, missing: z.infer<T>): Promise<z.infer<T>> {
    const answer = await this.#answer(ask, schema);
    return answer ? answer.data : missing;
  }

  /** Undefined for 404. */
  #answer<T extends z.ZodType>(ask: Ask, schema: T) {
    const { http } = this.#app.server;
    return ifThere(this.#withToken(ask, (signed) => http.answer(signed, schema)));
  }

  #run(ask: Ask) {
    return this.#withToken(ask, (signed) => this.#app.server.http.run(signed));
  }

  /** Sends with the storage's own credentials, and once more with new ones when they are refused. */
  async #withToken<T>(ask: Ask, send: (ask: Ask) => Promise<T>): Promise<T> {
    try {
      return await send(await this.#signed(ask));
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 401) throw error;
      this.#token = undefined;
      return send(await this.#signed(ask));
    }
  }

  async #signed(ask: Ask): Promise<Ask> {
    const now = this.#app.server.platform.now();
    let current = await this.#token;
    if (!current || current.until <= now) {
      this.#token = this.#exchange();
      this.#token.catch(() => {
        this.#token = undefined;
      });
      current = await this.#token;
    }
    const { id, key, api_endpoint } = current.token;
    const authorization = hawk({ id, key: utf8(key) }, { signsPayload: false });
    return { ...ask, url: api_endpoint.replace(/\/+$/, '') + ask.url, authorization };
  }

  async #exchange() {
    const { tokens, server, kBr } = this.#app;
    const ask: Ask = { url: '/token/1.0/sync/1.5', headers: { 'x-keyid': kBr.kid } };
    const token = await tokens.bearing('storage', ask, (signed) =>
      server.http.json(signed, StorageToken),
    );
    if (!isAddressFor(server.url, token.api_endpoint)) {
      throw new ClientError('malformed-answer', 0, 'The address of the storage is none.');
    }
    // A minute before its end a token may already be refused on its way.
    return { token, until: server.platform.now() + Math.max(0, token.duration - 60) * 1000 };
  }
}

/** A storage node may be at another host, but not without TLS where the server has it. */
function isAddressFor(server: string, endpoint: string): boolean {
  if (!URL.canParse(endpoint)) return false;
  const { protocol, search, hash } = new URL(endpoint);
  const isKnown = protocol === 'https:' || protocol === new URL(server).protocol;
  return isKnown && search === '' && hash === '';
}
