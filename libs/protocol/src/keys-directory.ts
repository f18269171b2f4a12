import { z } from 'zod';
import { Email } from './accounts.ts';
import { EncryptionKeyJwk, KeyListVersion, LISTED_KEYS_MAX, TokenRevocation } from './keys.ts';
import { ClientId, RandomId, Realm, Uid } from './text.ts';

/** How many at once; `GET /keys/v1/config` says so, too. */
export const KEYS_LIMITS = {
  /** Users of one look-up. */
  lookups: 100,
  /** Addresses of one discovery. */
  discoveries: 20,
  /** People whose changes are watched. */
  watched: 500,
  /** Those that a URL holds. */
  watchedInUrl: 100,
  /** Streams of one user in one app. */
  streams: 4,
  /** Key packages that wait to be claimed, of one user in one app. */
  packages: 100,
  /** Packages of one publication. */
  packagesAtOnce: 50,
} as const;

/** One answer per user or address asked, in that order. Absent, hidden and unverified look the same. */
export const Found = z.object({
  found: z.boolean(),
  uid: Uid.optional(),
  skl: z.string().optional(),
  revocations: z.array(TokenRevocation).max(LISTED_KEYS_MAX).optional(),
  /** Set aside for the transparency log's proof. */
  proof: z.record(z.string(), z.unknown()).optional(),
});
export type Found = z.infer<typeof Found>;

/** POST /keys/v1/discoveries: addresses to look up; in the body, so that no URL names a person. */
export const Discover = z.object({ emails: z.array(Email).min(1).max(KEYS_LIMITS.discoveries) });
export type Discover = z.infer<typeof Discover>;
export const Discovered = z.object({ results: z.array(Found) });
export type Discovered = z.infer<typeof Discovered>;

/** POST /keys/v1/lookups: users whose ids are known. */
export const LookUp = z.object({ uids: z.array(Uid).min(1).max(KEYS_LIMITS.lookups) });
export type LookUp = z.infer<typeof LookUp>;
export const LookedUp = Discovered;
export type LookedUp = Discovered;

/** Where events went on: what an earlier answer gave, or the id of the last event of a stream. */
const Cursor = z.string().regex(/^\d{1,15}$/);

/** GET /keys/v1/events: `uid` repeated for each of up to 100 people, who were looked up before. */
export const WatchQuery = z.object({
  since: Cursor.optional(),
  uid: z
    .union([Uid, z.array(Uid).min(1).max(KEYS_LIMITS.watchedInUrl)])
    .transform((one) => [one].flat()),
});
export type WatchQuery = z.infer<typeof WatchQuery>;
/** POST /keys/v1/events: the same for up to 500, more than a URL holds. */
export const Watch = z.object({
  since: Cursor.optional(),
  uids: z.array(Uid).min(1).max(KEYS_LIMITS.watched),
});
export type Watch = z.infer<typeof Watch>;

/** Somebody's keys changed: a list was published, or a key was revoked by token. */
export const KeyEvent = z.object({
  uid: Uid,
  /** The version that stands now. */
  ver: KeyListVersion,
  /** As `GET /keys/v1/users/:uid` has it. */
  etag: z.string(),
});
export type KeyEvent = z.infer<typeof KeyEvent>;
export const KeyEvents = z.object({
  /** The newest change of each, since the cursor; all of them without one. */
  events: z.array(KeyEvent),
  cursor: Cursor,
  /** Those of the question whom the caller has not found by a look-up, or who are gone. */
  unknown: z.array(Uid),
});
export type KeyEvents = z.infer<typeof KeyEvents>;

/**
 * A key that one person uses once, to begin a group with its owner: the payload of a compact JWS of typ
 * `ks-package+jws` under the owner's identity key. What waits here is what MLS calls a key package.
 */
export const KeyPackage = z.object({
  v: z.literal(1),
  iss: Realm,
  sub: Uid,
  cid: ClientId,
  id: RandomId,
  /** Seconds since 1970. */
  iat: z.number().int().min(0),
  /** Seconds since 1970; at most 90 days after iat. */
  exp: z
    .number()
    .int()
    .max(2 ** 40),
  key: EncryptionKeyJwk,
  /** Given out when no other is left, and kept. */
  last: z.literal(true).optional(),
});
export type KeyPackage = z.infer<typeof KeyPackage>;
export const KEY_PACKAGE_TYPE = 'ks-package+jws';
/** 90 days. */
export const KEY_PACKAGE_LIFE_SECONDS_MAX = 90 * 86_400;

/** POST /keys/v1/packages; an empty list asks how many wait. A `last` one replaces the one before. */
export const PublishPackages = z.object({
  packages: z.array(z.string().max(4096)).max(KEYS_LIMITS.packagesAtOnce),
});
export type PublishPackages = z.infer<typeof PublishPackages>;
export const PackagesNow = z.object({
  /** Those that wait to be claimed and have not expired. */
  waiting: z.number().int(),
  hasLast: z.boolean(),
});
export type PackagesNow = z.infer<typeof PackagesNow>;

/** POST /keys/v1/packages/claims: one package of one user, which nobody else is given, unless it is the last. */
export const ClaimPackage = z.object({ uid: Uid });
export type ClaimPackage = z.infer<typeof ClaimPackage>;
/** `found` is false for whoever cannot be found, and where no package waits. */
export const ClaimedPackage = z.object({ found: z.boolean(), package: z.string().optional() });
export type ClaimedPackage = z.infer<typeof ClaimedPackage>;

/** GET /keys/v1/config */
export const KeysConfig = z.object({
  realm: Realm,
  /** What keys may be for. */
  algorithms: z.array(z.string()),
  limits: z.object({
    lookups: z.number().int(),
    discoveries: z.number().int(),
    watched: z.number().int(),
    watchedInUrl: z.number().int(),
    streams: z.number().int(),
    packages: z.number().int(),
    packagesAtOnce: z.number().int(),
  }),
});
export type KeysConfig = z.infer<typeof KeysConfig>;
