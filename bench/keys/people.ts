import { createHash, randomBytes } from 'node:crypto';
import {
  deriveIdentity,
  generateEncryptionKey,
  type Identity,
  toBase64Url,
  wrapPrivateKey,
} from '#lib/crypto';
import { audiences, KEY_LIST_TYPE, type KeyList } from '#lib/protocol';
import type { ServerUnderTest } from '../sync/server-under-test.ts';

const SCOPES = 'keys:read keys:write keys:discover';
export const APP = 'bench';
const WEEK = 604_800;

/** The uid of a row, made from its number. */
export const uidOf = (n: number): string => n.toString(16).padStart(32, '0');

/** A token for each of these users. */
export async function giveTokens(
  server: ServerUnderTest,
  uids: readonly string[],
): Promise<string[]> {
  const tokens = uids.map(() => randomBytes(32).toString('base64url'));
  const ids = tokens.map((token) => createHash('sha256').update(token).digest('base64url'));
  await server.query(
    `INSERT INTO oidc (model, id, grant_key, expires_at, payload)
     SELECT 'Grant', id, id, now() + interval '1 day', '{}' FROM unnest($1::text[]) AS one (id)`,
    [ids],
  );
  await server.query(
    `INSERT INTO oidc (model, id, grant_id, expires_at, payload)
     SELECT 'AccessToken', id, id, now() + interval '1 day', jsonb_build_object(
              'accountId', uid, 'clientId', $3::text, 'scope', $4::text, 'aud', $5::text)
       FROM unnest($1::text[], $2::text[]) AS one (id, uid)`,
    [ids, uids, APP, SCOPES, audiences.keys],
  );
  return tokens;
}

/** Accounts with these numbers, verified, and a list each: of the size of real ones, signed by nobody. */
export async function addMembers(
  server: ServerUnderTest,
  from: number,
  until: number,
  skl: string,
): Promise<void> {
  await addAccounts(server, from, until);
  await server.query(
    `INSERT INTO key_list (uid, client_id, ver, skl, wrapped, published_at)
     SELECT lpad(to_hex(n), 32, '0'), $3, 1, $4, '{}', now() FROM generate_series($1::integer, $2) n`,
    [from, until - 1, APP, skl],
  );
  await server.query(
    `INSERT INTO key_member (uid, client_id, ver, etag)
     SELECT lpad(to_hex(n), 32, '0'), $3, 1, '"1-AAAAAAAAAAAAAAAA"' FROM generate_series($1::integer, $2) n`,
    [from, until - 1, APP],
  );
  await server.query('ANALYZE');
}

export async function addAccounts(
  server: ServerUnderTest,
  from: number,
  until: number,
): Promise<void> {
  await server.query(
    `INSERT INTO account (uid, email, normal_email, auth_salt, verify_hash, wrap_wrap_kb, ka,
       keys_changed_at, verifier_set_at, verified_at, created_at)
     SELECT uid, uid || '@example.org', uid || '@example.org', z, z, z, z, 0, 0, now(), now()
       FROM (SELECT lpad(to_hex(n), 32, '0') AS uid, decode(repeat('00', 32), 'hex') AS z
               FROM generate_series($1::integer, $2) n) one`,
    [from, until - 1],
  );
}

/** What a first publication sends. */
export interface Publication {
  identity: Identity;
  list: KeyList;
  skl: string;
  wrapped: Record<string, string>;
}

export async function makePublication(realm: string, uid: string): Promise<Publication> {
  const kBr = {
    kid: `1790000000-${randomBytes(16).toString('base64url')}`,
    k: new Uint8Array(randomBytes(32)),
  };
  const identity = await deriveIdentity(kBr.k);
  const { publicJwk, privateJwk } = await generateEncryptionKey();
  const context = { realm, uid, clientId: APP, kid: publicJwk.kid, version: 1 };
  const text = await wrapPrivateKey({ privateJwk, kBr, context });
  const wsha = toBase64Url(createHash('sha256').update(text).digest());
  const iat = Math.floor(Date.now() / 1000);
  const list: KeyList = {
    ...{ v: 1, iss: realm, sub: uid, cid: APP, ver: 1, prev: null, iat, exp: iat + WEEK },
    ...{ kbr: kBr.kid, keys: [{ ...publicJwk, st: 'active', wsha }] },
  };
  const skl = await identity.sign(KEY_LIST_TYPE, list);
  return { identity, list, skl, wrapped: { [publicJwk.kid]: text } };
}
