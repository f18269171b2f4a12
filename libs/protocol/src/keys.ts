import { z } from 'zod';
import { Email } from './accounts.ts';
import { Base64Url, ClientId, Realm, Uid } from './text.ts';

/** One published key (keys.md §3.2). `wsha` commits to the wrapped private key. */
export const PublishedKey = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: Base64Url.length(43),
  alg: z.literal('HPKE-4-KE'),
  use: z.literal('enc'),
  /** RFC 7638 thumbprint. */
  kid: Base64Url.length(43),
  st: z.enum(['active', 'retired', 'revoked']),
  /** base64url SHA-256 of the wrapped private key's JSON text. */
  wsha: Base64Url.length(43),
});
export type PublishedKey = z.infer<typeof PublishedKey>;

/** The payload of a Signed Key List: a compact JWS of typ `ks-skl+jws` under the identity key. */
export const KeyList = z.object({
  v: z.literal(1),
  /** The realm of the server, not its address. */
  iss: Realm,
  sub: Uid,
  cid: ClientId,
  ver: z
    .number()
    .int()
    .min(1)
    .max(2 ** 31 - 1),
  /** base64url SHA-256 of the previous list's JWS text; null in version 1. */
  prev: Base64Url.length(43).nullable(),
  /** Seconds since 1970. */
  iat: z.number().int(),
  /** Seconds since 1970; at most 400 days after iat. */
  exp: z.number().int(),
  /** The key id of the kBr that the identity and the wraps come from. */
  kbr: z.string().regex(/^\d{1,12}-[A-Za-z0-9_-]{22}$/),
  keys: z.array(PublishedKey).min(1).max(20),
});
export type KeyList = z.infer<typeof KeyList>;
export const KEY_LIST_TYPE = 'ks-skl+jws';
/** 400 days. */
export const KEY_LIST_LIFE_SECONDS_MAX = 400 * 86_400;

const Wrapped = z.record(Base64Url.length(43), z.string().max(4096));

/** PUT /keys/v1/me: the list, and each active key's private half encrypted under kBr, by kid. */
export const PublishKeys = z.object({ skl: z.string().max(16_384), wrapped: Wrapped });
export type PublishKeys = z.infer<typeof PublishKeys>;

/** GET /keys/v1/me: only the owner, with a token of the same app, is answered. */
export const OwnKeys = PublishKeys;
export type OwnKeys = z.infer<typeof OwnKeys>;

/** GET /keys/v1/users/:uid, as another user of the same app sees it. */
export const PublicKeys = z.object({ uid: Uid, skl: z.string() });
export type PublicKeys = z.infer<typeof PublicKeys>;

/** POST /keys/v1/discoveries: addresses to look up; in the body, so that no URL names a person. */
export const Discover = z.object({ emails: z.array(Email).min(1).max(20) });
export type Discover = z.infer<typeof Discover>;

/** One answer per address asked, in that order. Absent, hidden and unverified look the same. */
export const Discovered = z.object({
  results: z.array(
    z.object({ found: z.boolean(), uid: Uid.optional(), skl: z.string().optional() }),
  ),
});
export type Discovered = z.infer<typeof Discovered>;

/** GET /keys/v1/config */
export const KeysConfig = z.object({ realm: Realm });
export type KeysConfig = z.infer<typeof KeysConfig>;
