import { createHash, randomBytes } from 'node:crypto';
import type { DataSource } from 'typeorm';
import {
  deriveIdentity,
  generateEncryptionKey,
  type Identity,
  type KeyWithId,
  wrapPrivateKey,
} from '#lib/crypto';
import { type Api, apiByScope, type ApiScope, audiences, KEY_LIST_TYPE } from '#lib/protocol';
import type { Clock } from '../../apps/server/src/platform/clock.ts';
import type { TestServer } from './test-server.ts';

/** A random id as clients choose them: 22 characters. */
export const randomId = (): string => randomBytes(16).toString('base64url');

/** One user in one app, with a token for each API. */
export interface TestCaller {
  uid: string;
  clientId: string;
  email: string;
  /** The Authorization header for an API, with every scope of it unless told. */
  authorization(
    api: Api,
    scopes?: readonly string[],
    extra?: Record<string, unknown>,
  ): Promise<string>;
}

/**
 * A user with a verified address and a grant in an app, written straight into the tables: for the
 * tests of APIs that take a bearer token and do not care how it was obtained.
 */
export async function caller(
  server: { db: DataSource; clock: Clock },
  { clientId = 'demo-app', uid = randomBytes(16).toString('hex'), verified = true } = {},
): Promise<TestCaller> {
  const email = `${uid}@example.org`;
  const now = server.clock.now();
  const nothing = Buffer.alloc(32);
  await server.db.query(
    `INSERT INTO account (uid, email, normal_email, auth_salt, verify_hash, wrap_wrap_kb, ka,
       keys_changed_at, verifier_set_at, verified_at, created_at)
     VALUES ($1, $2, $2, $3, $3, $3, $3, $4, $4, $5, $6) ON CONFLICT DO NOTHING`,
    [uid, email, nothing, now.getTime(), verified ? now : null, now],
  );
  return {
    uid,
    clientId,
    email,
    authorization: async (api, scopes = scopesOf(api), extra) => {
      const token = randomBytes(32).toString('base64url');
      await insertToken(server, token, {
        accountId: uid,
        clientId,
        scope: scopes.join(' '),
        aud: audiences[api],
        extra,
      });
      return `Bearer ${token}`;
    },
  };
}

const scopesOf = (api: Api) =>
  (Object.keys(apiByScope) as ApiScope[]).filter((scope) => apiByScope[scope] === api);

async function insertToken(
  server: { db: DataSource; clock: Clock },
  token: string,
  payload: object,
): Promise<void> {
  const expires = new Date(server.clock.now().getTime() + 3_600_000);
  const grantKey = randomId();
  await server.db.query(
    `INSERT INTO oidc (model, id, grant_key, expires_at, payload) VALUES ('Grant', $1, $1, $2, '{}')`,
    [grantKey, expires],
  );
  await server.db.query(
    `INSERT INTO oidc (model, id, grant_id, expires_at, payload) VALUES ('AccessToken', $1, $2, $3, $4)`,
    [createHash('sha256').update(token).digest('base64url'), grantKey, expires, payload],
  );
}

/** What a first publication is made of, each part open to be spoilt by a test. */
export interface Publication {
  kBr: KeyWithId;
  identity: Identity;
  list: Record<string, unknown> & { keys: Record<string, unknown>[] };
  wrapped: Record<string, string>;
}

/** A first key list of one key, and its wrapped private half. */
export async function makePublication(
  server: TestServer,
  { uid, clientId }: TestCaller,
): Promise<Publication> {
  const { realm } = (await server.request().get('/keys/v1/config')).body as { realm: string };
  const kBr: KeyWithId = { kid: `1790000000-${randomId()}`, k: randomBytes(32) };
  const identity = await deriveIdentity(kBr.k);
  const { publicJwk, privateJwk } = await generateEncryptionKey();
  const { kid } = publicJwk;
  const blob = await wrapPrivateKey({
    privateJwk,
    kBr,
    context: { realm, uid, clientId, kid, version: 1 },
  });
  const now = server.clock.seconds();
  const list = {
    ...{ v: 1, iss: realm, sub: uid, cid: clientId, ver: 1, prev: null },
    ...{ iat: now, exp: now + 86_400, kbr: kBr.kid },
    keys: [{ ...publicJwk, st: 'active', wsha: digestOf(blob) }],
  };
  return { kBr, identity, list, wrapped: { [kid]: blob } };
}

/** base64url SHA-256. */
export const digestOf = (bytes: string | Uint8Array): string =>
  createHash('sha256').update(bytes).digest('base64url');

/** Signs and publishes; the answer is the caller's to judge. */
export async function publish(
  server: TestServer,
  who: TestCaller,
  { identity, list, wrapped }: Publication,
) {
  const skl = await identity.sign(KEY_LIST_TYPE, list);
  return server
    .request()
    .put('/keys/v1/me')
    .set('authorization', await who.authorization('keys'))
    .set('if-none-match', '*')
    .send({ skl, wrapped });
}

/** Makes the caller a member of the app: somebody with published keys. */
export async function join(server: TestServer, who: TestCaller): Promise<string> {
  const publication = await makePublication(server, who);
  const answer = await publish(server, who, publication);
  if (answer.status !== 201) throw new Error(`Not published: ${answer.text}`);
  return (answer.body as { skl: string }).skl;
}
