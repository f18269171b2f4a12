import { z } from 'zod';
import { Base64Url, ClientId, RandomId, Realm, Uid } from './text.ts';

/** Bytes of a deposit's body. */
export const DEPOSIT_BYTES_MAX = 65_536;
/** 30 days. */
export const DEPOSIT_TTL_SECONDS_MAX = 30 * 86_400;

/** PUT /deposit/v1/:uid/:app/:id: leaves an envelope in another user's inbox of the same app. */
export const Deposit = z.object({
  /** A JWE in its General JSON form, as text. */
  payload: z.string().min(1).max(DEPOSIT_BYTES_MAX),
  /** Seconds until it goes away unread. */
  ttl: z.number().int().min(60).max(DEPOSIT_TTL_SECONDS_MAX).optional(),
});
export type Deposit = z.infer<typeof Deposit>;

/** The payload of a BSO in `inbox`. `from` is the server's word; authorship is inside the box. */
export const InboxRecord = z.object({ v: z.literal(1), from: Uid, box: z.string() });
export type InboxRecord = z.infer<typeof InboxRecord>;

const Sha256 = Base64Url.length(43);

/** What a share carries. `item` holds the secret itself; `file` says where and how to open one. */
export const ShareBody = z.discriminatedUnion('typ', [
  z.object({
    typ: z.literal('item'),
    title: z.string().max(512),
    /** A password, note or other small secret, at most 32 KiB. */
    secret: z.record(z.string(), z.string().max(32_768)),
  }),
  z.object({
    typ: z.literal('file'),
    root: Uid,
    id: RandomId,
    version: RandomId,
    /** The FLOE key and header of this version. */
    fk: Base64Url.length(43),
    header: Base64Url,
    segment: z.number().int(),
    /** Bytes of plaintext, after padding is taken off. */
    size: z.number().int().min(0),
    sha256: Sha256,
    name: z.string().max(1024),
    mime: z.string().max(256),
  }),
]);
export type ShareBody = z.infer<typeof ShareBody>;

/**
 * The signed statement inside an envelope: a compact JWS of typ `ks-share+jws` under the sender's
 * identity key. The recipients are bound inside the signature, so it can be neither re-addressed
 * nor replayed under another id.
 */
export const ShareStatement = z.object({
  v: z.literal(1),
  /** Also the deposit's id. */
  id: RandomId,
  realm: Realm,
  from: z.object({ uid: Uid, cid: ClientId, ver: z.number().int() }),
  /** kids of the recipients' encryption keys, sorted. */
  to: z.array(Sha256).min(1).max(100),
  /** Seconds since 1970. */
  iat: z.number().int(),
  exp: z.number().int(),
  body: ShareBody,
});
export type ShareStatement = z.infer<typeof ShareStatement>;
export const SHARE_TYPE = 'ks-share+jws';
