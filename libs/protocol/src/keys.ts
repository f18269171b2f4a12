import { z } from 'zod';
import { Base64Url, ClientId, Realm, Uid } from './text.ts';

/** The thumbprint of a key (RFC 7638), or a SHA-256, as base64url. */
const Hash = Base64Url.length(43);
/** An Ed25519 public key. */
const IdentityX = Base64Url.length(43);
/** An Ed25519 signature. */
const Signature = Base64Url.length(86);
/** Seconds since 1970. */
const Seconds = z
  .number()
  .int()
  .min(0)
  .max(2 ** 40);
/** Counts lists, from 1. */
export const KeyListVersion = z
  .number()
  .int()
  .min(1)
  .max(2 ** 31 - 1);

/** For envelopes by `HPKE-4-KE`. */
const X25519Key = z.strictObject({
  kty: z.literal('OKP'),
  crv: z.literal('X25519'),
  x: Base64Url.length(43),
  alg: z.literal('HPKE-4-KE'),
  use: z.literal('enc'),
  /** RFC 7638 thumbprint. */
  kid: Hash,
});
/** For envelopes by `HPKE-11-KE`: X-Wing, 1216 bytes. */
const XWingKey = z.strictObject({
  kty: z.literal('AKP'),
  alg: z.literal('HPKE-11-KE'),
  pub: Base64Url.length(1622),
  use: z.literal('enc'),
  /** Thumbprint of `alg`, `kty` and `pub`. */
  kid: Hash,
});
/** A key for envelopes, without what a list says of it. */
export const EncryptionKeyJwk = z.discriminatedUnion('kty', [X25519Key, XWingKey]);

/** What a list says of a key, whatever its state. */
const standing = {
  /** The version of the list in which the key first appeared as it is wrapped now; absent means 1. */
  since: KeyListVersion.optional(),
  /** base64url SHA-256 of the wrapped private key's JSON text. */
  wsha: Hash,
};
const active = { ...standing, st: z.literal('active') };
const ended = {
  ...standing,
  kid: Hash,
  alg: z.enum(['HPKE-4-KE', 'HPKE-11-KE']),
  /** When it was retired or revoked, in seconds since 1970. */
  rev: Seconds,
};

/** A key that others encrypt to. */
export const ActiveKey = z.discriminatedUnion('kty', [
  X25519Key.extend(active),
  XWingKey.extend(active),
]);
export type ActiveKey = z.infer<typeof ActiveKey>;

/** A key that nobody encrypts to any more; its owner still opens with it what he was sent before. */
export const EndedKey = z.discriminatedUnion('st', [
  z.strictObject({ ...ended, st: z.literal('retired') }),
  z.strictObject({
    ...ended,
    st: z.literal('revoked'),
    why: z.enum(['compromise', 'lost', 'superseded']).optional(),
  }),
]);
export type EndedKey = z.infer<typeof EndedKey>;

/** One published key (keys.md §3.2). `wsha` commits to the wrapped private key. */
export const PublishedKey = z.union([ActiveKey, EndedKey]);
export type PublishedKey = z.infer<typeof PublishedKey>;

/** The old identity names the new one (keys.md §3.2). */
export const IdentityLink = z.strictObject({
  /** The list in which the signer changed. */
  ver: KeyListVersion,
  old: IdentityX,
  new: IdentityX,
  /** By `old`, over realm, uid, clientId, both thumbprints and `ver`. */
  sig: Signature,
});
export type IdentityLink = z.infer<typeof IdentityLink>;

/** What a list may hold; the oldest keys that ended go first. */
export const LISTED_KEYS_MAX = 20;

/** Links are carried on in later lists, so many at most: the oldest go first. */
export const LINKS_MAX = 16;

/** The identity was made anew, and no old key says so. Carried on in later lists. */
export const IdentityReset = z.strictObject({ ver: KeyListVersion, at: Seconds });

/** The payload of a Signed Key List: a compact JWS of typ `ks-skl+jws` under the identity key. */
export const KeyList = z.object({
  v: z.literal(1),
  /** The realm of the server, not its address. */
  iss: Realm,
  sub: Uid,
  cid: ClientId,
  ver: KeyListVersion,
  /** base64url SHA-256 of the previous list's JWS text; null in version 1. */
  prev: Hash.nullable(),
  /** Seconds since 1970. */
  iat: Seconds,
  /** Seconds since 1970; at most 400 days after iat. */
  exp: Seconds,
  /** The key id of the kBr that the identity and the wraps come from: its time, in seconds, comes first. */
  kbr: z.string().regex(/^\d{1,12}-[A-Za-z0-9_-]{22}$/),
  /** At least one is active; of an algorithm, one at most. */
  keys: z.array(PublishedKey).min(1).max(LISTED_KEYS_MAX),
  /** From one identity to the next, since the last reset, ascending. */
  links: z.array(IdentityLink).min(1).max(LINKS_MAX).optional(),
  /** The last one. */
  reset: IdentityReset.optional(),
  /** The transparency log as the publisher last saw it. Nobody checks it yet. */
  log: z.object({ size: z.number().int().min(0), root: Hash }).optional(),
});
export type KeyList = z.infer<typeof KeyList>;
export const KEY_LIST_TYPE = 'ks-skl+jws';
/** 400 days. */
export const KEY_LIST_LIFE_SECONDS_MAX = 400 * 86_400;

const Wrapped = z.record(Hash, z.string().max(4096));

/**
 * PUT /keys/v1/me: the list, and by kid the private halves, encrypted under kBr, that the server does
 * not have yet.
 */
export const PublishKeys = z.object({ skl: z.string().max(16_384), wrapped: Wrapped });
export type PublishKeys = z.infer<typeof PublishKeys>;

/** A key was revoked without a new list. Whoever is shown it checks it under the identity of the list. */
export const TokenRevocation = z.object({
  kid: Hash,
  /** Of the identity that signs the list, over realm, uid, clientId and kid. */
  sig: Signature,
});
export type TokenRevocation = z.infer<typeof TokenRevocation>;

/** POST /keys/v1/revocations: the token says everything, and needs no bearer. */
export const RevokeKey = TokenRevocation.extend({ uid: Uid, cid: ClientId });
export type RevokeKey = z.infer<typeof RevokeKey>;

/** What comes beside a list: revocations by token since it was signed, when there are any. */
const beside = {
  revocations: z.array(TokenRevocation).max(LISTED_KEYS_MAX).optional(),
  /** Set aside for the transparency log's proof that the list is the newest. */
  proof: z.record(z.string(), z.unknown()).optional(),
};

/** Who finds a user in an app: the other members of it, or nobody. */
export const Discoverable = z.enum(['app', 'nobody']);

/** The payload of a compact JWS of typ `ks-settings+jws` under the identity key. */
export const KeySettings = z.object({
  v: z.literal(1),
  iss: Realm,
  sub: Uid,
  cid: ClientId,
  /** Seconds since 1970; not before that of the settings it replaces. */
  iat: Seconds,
  discoverable: Discoverable,
});
export type KeySettings = z.infer<typeof KeySettings>;
export const KEY_SETTINGS_TYPE = 'ks-settings+jws';

/** PUT /keys/v1/me/settings */
export const ChangeKeySettings = z.object({ settings: z.string().max(2048) });
export type ChangeKeySettings = z.infer<typeof ChangeKeySettings>;

/** What `ChangeKeySettings` is answered with. */
export const KeySettingsNow = z.object({ discoverable: Discoverable });
export type KeySettingsNow = z.infer<typeof KeySettingsNow>;

/** GET /keys/v1/me: only the owner, with a token of the same app, is answered. */
export const OwnKeys = z.object({
  skl: z.string(),
  /** Of every key of the list. */
  wrapped: Wrapped,
  settings: KeySettingsNow,
  ...beside,
});
export type OwnKeys = z.infer<typeof OwnKeys>;

/** GET /keys/v1/me/history: from which version on, and how many. */
export const KeyHistoryQuery = z.object({
  after: z.coerce
    .number()
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .default(0),
  limit: z.coerce.number().int().min(1).max(50).default(50),
});
export type KeyHistoryQuery = z.infer<typeof KeyHistoryQuery>;

/** One's own lists, ascending. */
export const KeyHistory = z.object({
  lists: z.array(
    z.object({
      ver: KeyListVersion,
      skl: z.string(),
      wrapped: Wrapped,
      /** When the server took it, in seconds since 1970. */
      at: Seconds,
    }),
  ),
  /** The next `after`, when there are more. */
  next: KeyListVersion.optional(),
});
export type KeyHistory = z.infer<typeof KeyHistory>;

/** GET /keys/v1/users/:uid, as another user of the same app sees it. */
export const PublicKeys = z.object({ uid: Uid, skl: z.string(), ...beside });
export type PublicKeys = z.infer<typeof PublicKeys>;
