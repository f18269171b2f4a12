import { deriveToken, fromHex, type KeyWithId, toHex, utf8 } from '#lib/crypto';
import { type AskFxaToken, Bso, FxaToken, OLD_SYNC, StorageToken } from '#lib/protocol';
import { z } from 'zod';
import { ClientError, ifThere } from '../client-error.ts';
import { hawk } from '../hawk.ts';
import { type Ask, Http } from '../http.ts';
import type { Server } from '../server.ts';
import { SyncStop } from './sync-stop.ts';

/** Who opens an account's Firefox store. */
export interface SyncCredentials {
  server: Server;
  /** Of a session of the account, 64 hex digits. */
  sessionToken: string;
  /** The key of https://identity.mozilla.com/apps/oldsync, 64 bytes, and its id. */
  key: KeyWithId;
}

/** A record to be written. What is left out keeps its value. */
export interface NewBso {
  id: string;
  payload: string;
  sortindex?: number;
  /** Seconds. */
  ttl?: number;
}

/** Some records of a collection. */
export interface StorePage {
  records: Bso[];
  /** The collection's time, in seconds; 0 when there is none. */
  modified: number;
  /** Where the next page begins; undefined after the last. */
  next: string | undefined;
}

/** What to read of a collection. Times are the server's, in seconds. */
export interface PageQuery {
  newer?: number;
  offset?: string | undefined;
  /** Fails with status 412 when the collection is newer. */
  unmodifiedSince?: number | undefined;
}

/** Firefox on a desktop: the client to whom the scope of its store is given. */
export const FIREFOX_CLIENT_ID = '5882386c6d801776';

const Time = z.number();
const Times = z.record(z.string(), Time);
const Configuration = z.object({
  max_post_records: z.number().int().min(1).default(100),
  max_post_bytes: z.number().int().min(1).default(1_048_576),
  max_total_records: z.number().int().min(1).default(10_000),
  max_total_bytes: z.number().int().min(1).default(100_000_000),
  max_record_payload_bytes: z.number().int().min(1).default(262_144),
});
/** What the server takes at once; the defaults are those of servers that do not say. */
export type StoreLimits = z.infer<typeof Configuration>;

/** How times are spelled in headers and queries. */
const spellTime = (seconds: number): string => seconds.toFixed(2);

/**
 * An account's Firefox store, over Storage 1.5: records as they are stored, and the conditions under which
 * they are written. Tokens are fetched as Firefox fetches them, with the account's session.
 *
 * @see sync.md §1.3, §5; docs/protocol/token.md
 */
export class SyncStore {
  readonly #server: Server;
  readonly #http: Http;
  readonly #sessionToken: string;
  readonly #key: KeyWithId;
  #token: { token: StorageToken; until: number } | undefined;
  #limits: StoreLimits | undefined;
  #pauseUntil = 0;

  constructor({ server, sessionToken, key }: SyncCredentials) {
    this.#server = server;
    this.#sessionToken = sessionToken;
    this.#key = key;
    const { fetch } = server.platform;
    this.#http = new Http(server.url, {
      ...server.platform,
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        this.#notice(response.headers);
        return response;
      },
    });
  }

  /** Seconds since 1970, on this device. */
  seconds(): number {
    return this.#server.seconds();
  }

  /** Until when the server asked to be left alone, in milliseconds since 1970 on this device. */
  get pauseUntil(): number {
    return this.#pauseUntil;
  }

  /** Takes up a pause that was kept. */
  set pauseUntil(until: number) {
    const longest = this.#server.platform.now() + PAUSE_SECONDS_MAX * 1000;
    this.#pauseUntil = Math.min(until, longest);
  }

  /** @throws SyncStop `backing-off` while a pause that the server asked for is not over */
  expectNoPause(): void {
    const left = this.#pauseUntil - this.#server.platform.now();
    if (left <= 0) return;
    const seconds = Math.ceil(left / 1000);
    throw new SyncStop('backing-off', `The server asked to be left alone for ${seconds} s.`);
  }

  /** The time of every collection. */
  async times(): Promise<Map<string, number>> {
    return new Map(Object.entries(await this.#json({ url: '/info/collections' }, Times)));
  }

  /** What may be sent at once; asked for once. */
  async limits(): Promise<StoreLimits> {
    const told = this.#limits ?? (await ifThere(this.#json(CONFIGURATION, Configuration)));
    return (this.#limits = told ?? Configuration.parse({}));
  }

  /** One record; undefined when there is none. */
  async get(collection: string, id: string): Promise<Bso | undefined> {
    const url = `/storage/${collection}`;
    if (id !== '.' && id !== '..') {
      return ifThere(this.#json({ url: `${url}/${encodeURIComponent(id)}` }, Bso));
    }
    // These two are no names in a path.
    return (await ifThere(this.#json({ url, query: { full: 1, ids: id } }, z.array(Bso))))?.[0];
  }

  /** Whole records, oldest first. @throws ClientError with status 412 */
  async page(collection: string, query: PageQuery): Promise<StorePage> {
    const { newer, offset, unmodifiedSince } = query;
    const ask: Ask = {
      url: `/storage/${collection}`,
      query: {
        full: 1,
        sort: 'oldest',
        newer: newer === undefined ? undefined : spellTime(newer),
        offset,
        limit: PAGE_RECORDS,
      },
      headers: conditions(unmodifiedSince),
    };
    const answer = await ifThere(
      this.#signedIn(ask, (signed) => this.#http.answer(signed, z.array(Bso))),
    );
    return {
      records: answer?.data ?? [],
      modified: Number(answer?.headers.get('x-last-modified') ?? 0),
      next: answer?.headers.get('x-weave-next-offset') ?? undefined,
    };
  }

  /**
   * Writes one record.
   *
   * @param unmodifiedSince - the record's time as far as it is known, 0 when there must be none yet
   * @returns its new time
   * @throws ClientError with status 412 when it is newer
   */
  async put(
    collection: string,
    { id, ...bso }: NewBso,
    { unmodifiedSince }: { unmodifiedSince?: number } = {},
  ): Promise<number> {
    const ask: Ask = {
      method: 'PUT',
      url: `/storage/${collection}/${encodeURIComponent(id)}`,
      json: bso,
      headers: conditions(unmodifiedSince),
    };
    return this.#json(ask, Time);
  }

  /** Sends one request of an upload; {@link upload} makes several of them one change. */
  async post(
    collection: string,
    bsos: readonly NewBso[],
    { unmodifiedSince, query }: { unmodifiedSince: number; query?: Ask['query'] },
  ) {
    const url = `/storage/${collection}`;
    const headers = conditions(unmodifiedSince);
    return this.#json({ method: 'POST', url, query, json: bsos, headers }, PostAnswer);
  }

  /** Deletes a collection; one that is gone already is no error. @throws ClientError with status 412 */
  async deleteCollection(
    collection: string,
    { unmodifiedSince }: { unmodifiedSince?: number | undefined } = {},
  ): Promise<void> {
    const headers = conditions(unmodifiedSince);
    const ask: Ask = { method: 'DELETE', url: `/storage/${collection}`, headers };
    await ifThere(this.#json(ask, z.unknown()));
  }

  /** Deletes everything in the store. */
  async deleteEverything(): Promise<void> {
    const headers = { 'x-confirm-delete': '1' };
    const ask: Ask = { method: 'DELETE', url: '/storage', headers };
    await ifThere(this.#json(ask, z.unknown()));
  }

  #json<T extends z.ZodType>(ask: Ask, schema: T): Promise<z.infer<T>> {
    return this.#signedIn(ask, (signed) => this.#http.json(signed, schema));
  }

  /** Sends with the store's credentials, and once more with new ones when they are refused. */
  async #signedIn<T>(ask: Ask, send: (ask: Ask) => Promise<T>): Promise<T> {
    try {
      return await send(await this.#signed(ask));
    } catch (error) {
      if (!(error instanceof ClientError) || error.status !== 401 || !this.#token) throw error;
      this.#token = undefined;
      return send(await this.#signed(ask));
    }
  }

  async #signed(ask: Ask): Promise<Ask> {
    const now = this.#server.platform.now();
    if (!this.#token || this.#token.until <= now) {
      const token = await this.#exchange();
      // A minute before its end a token may already be refused on its way.
      this.#token = { token, until: now + Math.max(0, token.duration - 60) * 1000 };
    }
    const { id, key, api_endpoint } = this.#token.token;
    const authorization = hawk({ id, key: utf8(key) }, { signsPayload: false });
    return { ...ask, url: api_endpoint.replace(/\/+$/, '') + ask.url, authorization };
  }

  async #exchange(): Promise<StorageToken> {
    const { id, reqHMACkey } = deriveToken(fromHex(this.#sessionToken), 'sessionToken');
    const json: AskFxaToken = {
      grant_type: 'fxa-credentials',
      client_id: FIREFOX_CLIENT_ID,
      scope: OLD_SYNC,
    };
    const { access_token } = await this.#http.json(
      {
        method: 'POST',
        url: '/auth/v1/oauth/token',
        json,
        authorization: hawk({ id: toHex(id), key: reqHMACkey }, { signsPayload: true }),
      },
      FxaToken,
    );
    const ask: Ask = {
      url: '/token/1.0/sync/1.5',
      headers: { 'x-keyid': this.#key.kid },
      authorization: () => `Bearer ${access_token}`,
    };
    return this.#http.json(ask, StorageToken);
  }

  /** Takes note of pauses that the server asks for, on answers and on refusals. */
  #notice(headers: Headers): void {
    const seconds = Math.max(
      ...['retry-after', 'x-weave-backoff', 'x-backoff'].map((name) => {
        const value = Number(headers.get(name) ?? 0);
        return Number.isFinite(value) ? Math.min(value, PAUSE_SECONDS_MAX) : 0;
      }),
    );
    const until = this.#server.platform.now() + Math.ceil(seconds) * 1000;
    if (seconds > 0) this.#pauseUntil = Math.max(this.#pauseUntil, until);
  }
}

const CONFIGURATION: Ask = { url: '/info/configuration' };
/** What is held in memory at a time. */
const PAGE_RECORDS = 500;
/** No server can stop a client for longer than a day at a time. */
const PAUSE_SECONDS_MAX = 86_400;

const PostAnswer = z.object({
  /** Set when the server has taken the request into a batch. */
  batch: z.union([z.string(), z.number()]).optional(),
  modified: z.number().optional(),
  success: z.array(z.string()).default([]),
  failed: z.record(z.string(), z.unknown()).default({}),
});
export type PostAnswer = z.infer<typeof PostAnswer>;

function conditions(unmodifiedSince: number | undefined): Record<string, string> {
  if (unmodifiedSince === undefined) return {};
  return { 'x-if-unmodified-since': spellTime(unmodifiedSince) };
}
