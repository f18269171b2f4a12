import { randomBytes } from 'node:crypto';
import {
  deriveIdentity,
  generateEncryptionKey,
  generateHybridKey,
  type Identity,
  type KeyWithId,
  signLink,
  signRevocation,
  wrapPrivateKey,
} from '#lib/crypto';
import { KEY_LIST_TYPE, type KeyList, type PublishedKey } from '#lib/protocol';
import { digestOf, randomId, type TestCaller } from './caller.ts';
import type { TestServer } from './test-server.ts';

/** What a publication is made of, open to be spoilt by a test. */
export interface NextList {
  by: Identity;
  list: KeyList;
  wrapped: Record<string, string>;
}

/** Whoever holds the keys of a user in an app: makes lists, and remembers the one that stands. */
export class KeyHolder {
  list!: KeyList;
  skl = '';
  etag = '';
  private constructor(
    readonly server: TestServer,
    readonly who: TestCaller,
    private readonly realm: string,
    public kBr: KeyWithId,
    public identity: Identity,
  ) {}

  /** Publishes the first list. */
  static async join(server: TestServer, who: TestCaller): Promise<KeyHolder> {
    const { realm } = (await server.request().get('/keys/v1/config')).body as { realm: string };
    const kBr = makeKBr(1_790_000_000);
    const holder = new KeyHolder(server, who, realm, kBr, await deriveIdentity(kBr.k));
    const first = await holder.first();
    const answer = await holder.put(first, { 'if-none-match': '*' });
    if (answer.status !== 201) throw new Error(`Not published: ${answer.text}`);
    return holder;
  }

  get place() {
    return { realm: this.realm, uid: this.who.uid, clientId: this.who.clientId };
  }

  private async first(): Promise<NextList> {
    const { key, text } = await this.makeKey(1);
    const now = this.server.clock.seconds();
    const list: KeyList = {
      ...{ v: 1, iss: this.realm, sub: this.who.uid, cid: this.who.clientId, ver: 1, prev: null },
      ...{ iat: now, exp: now + 86_400, kbr: this.kBr.kid, keys: [key] },
    };
    return { by: this.identity, list, wrapped: { [key.kid]: text } };
  }

  /** A new active key since a version, with its wrapped private half. */
  async makeKey(ver: number, alg: 'HPKE-4-KE' | 'HPKE-11-KE' = 'HPKE-4-KE', kBr = this.kBr) {
    const { publicJwk, privateJwk } =
      alg === 'HPKE-4-KE' ? await generateEncryptionKey() : generateHybridKey();
    const context = { ...this.place, kid: publicJwk.kid, version: ver };
    const text = await wrapPrivateKey({ privateJwk, kBr, context });
    const key: PublishedKey = {
      ...publicJwk,
      ...{ st: 'active', wsha: digestOf(text), ...(ver > 1 && { since: ver }) },
    };
    return { key, text };
  }

  /** The list that may follow: the same keys under the next version. */
  next(): NextList {
    const now = this.server.clock.seconds();
    const list = structuredClone(this.list);
    Object.assign(list, { ver: list.ver + 1, prev: digestOf(this.skl), iat: now });
    return { by: this.identity, list, wrapped: {} };
  }

  /** A new key, and the old one retired or revoked. */
  async rotated(st: 'retired' | 'revoked' = 'retired'): Promise<NextList> {
    const next = this.next();
    const { key, text } = await this.makeKey(next.list.ver);
    const keys = next.list.keys.map((old) =>
      old.st === 'active' ? ended(old, st, this.server.clock.seconds()) : old,
    );
    next.list.keys = [key, ...keys];
    return { ...next, wrapped: { [key.kid]: text } };
  }

  /** Another kBr and identity, named by the old one; every private half is wrapped anew. */
  async linked(generation = 1_790_000_100) {
    const next = this.next();
    const kBr = makeKBr(generation);
    const by = await deriveIdentity(kBr.k);
    const { ver } = next.list;
    const link = await signLink(this.identity, this.place, { new: by.publicJwk.x, ver });
    const wrapped: Record<string, string> = {};
    const keys: PublishedKey[] = [];
    for (const old of next.list.keys) {
      const { key, text } = await this.makeKey(ver, old.alg, kBr);
      // Of a test's key the server sees the ciphertext alone: that of another key does as well.
      wrapped[old.kid] = text;
      keys.push({ ...old, since: ver, wsha: key.wsha });
    }
    const links = [...(next.list.links ?? []), link].slice(-16);
    Object.assign(next.list, { kbr: kBr.kid, keys, links });
    return { list: next.list, by, wrapped, kBr };
  }

  /** Another kBr and identity, and the old ones are lost. */
  async anew(generation = 1_790_000_200) {
    const next = this.next();
    const kBr = makeKBr(generation);
    const by = await deriveIdentity(kBr.k);
    const { ver } = next.list;
    const { key, text } = await this.makeKey(ver, 'HPKE-4-KE', kBr);
    const { list } = next;
    delete list.links;
    const reset = { ver, at: this.server.clock.seconds() };
    return {
      ...{ list: { ...list, kbr: kBr.kid, keys: [key], reset }, by, kBr },
      wrapped: { [key.kid]: text },
    };
  }

  /** Signs and sends; what was accepted is remembered. */
  async put(
    { by, list, wrapped, kBr = this.kBr }: NextList & { kBr?: KeyWithId },
    headers: Record<string, string> = { 'if-match': this.etag },
    extra?: Record<string, unknown>,
  ) {
    const skl = await by.sign(KEY_LIST_TYPE, list);
    const answer = await this.server
      .request()
      .put('/keys/v1/me')
      .set('authorization', await this.who.authorization('keys', undefined, extra))
      .set(headers)
      .send({ skl, wrapped });
    if (answer.status < 300) {
      Object.assign(this, { list, skl, etag: answer.headers.etag ?? '', kBr, identity: by });
    }
    return answer;
  }

  /** Of the active key, unless told. */
  revocation(kid = this.active().kid, by = this.identity) {
    return signRevocation(by, this.place, kid);
  }

  /** Hands a revocation in, as whoever found it. */
  revoke(revocation: { uid: string; clientId: string; kid: string; sig: string }) {
    const { clientId: cid, ...rest } = revocation;
    return this.server
      .request()
      .post('/keys/v1/revocations')
      .send({ ...rest, cid });
  }

  active(): PublishedKey {
    const key = this.list.keys.find(({ st }) => st === 'active');
    if (!key) throw new Error('No key is active.');
    return key;
  }

  /** GETs what is below /keys/v1. */
  async get(path: string, headers: Record<string, string> = {}) {
    return this.server
      .request()
      .get(`/keys/v1/${path}`)
      .set('authorization', await this.who.authorization('keys'))
      .set(headers);
  }

  /** POSTs or PUTs JSON below /keys/v1. */
  async send(method: 'post' | 'put', path: string, body: object) {
    return this.server
      .request()
      [method](`/keys/v1/${path}`)
      .set('authorization', await this.who.authorization('keys'))
      .send(body);
  }
}

/** A kBr of that time, in seconds. */
const makeKBr = (generation: number): KeyWithId => ({
  kid: `${generation}-${randomId()}`,
  k: randomBytes(32),
});

/** A key as it stands in a list after it ended. */
export function ended(
  { kid, alg, since, wsha }: PublishedKey,
  st: 'retired' | 'revoked',
  rev: number,
): PublishedKey {
  const was = { kid, alg, wsha, ...(since !== undefined && { since }) };
  return st === 'retired' ? { ...was, st, rev } : { ...was, st, rev, why: 'compromise' };
}
