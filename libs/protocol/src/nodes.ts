/**
 * What the front and the storage nodes say to each other below `/node/v1`. Times are whole
 * hundredths of a second since 1970.
 *
 * @see docs/protocol/nodes.md
 * @module
 */
import { z } from 'zod';

const Time = z.number().int().min(0);
const Uid = z.number().int().min(1);
const Collection = z.string().min(1).max(32);
const RecordIds = z.array(z.string().min(1).max(64)).max(500);
const Address = z.url({ protocol: /^https?$/ }).max(256);
/** A node's own name: it stays when the address changes. */
const NodeName = z.string().regex(/^[a-z0-9-]{1,32}$/);

/** GET /node/v1/health */
export const NodeHealth = z.object({
  name: NodeName,
  /** Its public address, without a slash at the end. */
  url: Address,
  /** How many stores it is made for. */
  capacity: z.number().int().min(1),
});
export type NodeHealth = z.infer<typeof NodeHealth>;

/** GET /node/v1/capacity */
export const NodeCapacity = z.object({
  capacity: z.number().int().min(1),
  /** With at least one collection. */
  stores: z.number().int(),
  /** Of all payloads. */
  bytes: z.number().int(),
});
export type NodeCapacity = z.infer<typeof NodeCapacity>;

/** POST /node/v1/nodes, to the front: a node says that it is there. */
export const NodeRegistration = NodeHealth;
export type NodeRegistration = NodeHealth;

/**
 * PUT /node/v1/stores/:uid
 *
 * | state | what it means for clients |
 * | --- | --- |
 * | open | everything |
 * | frozen | reading; until its end or the next change |
 * | released | nothing, for a moment: another node is about to serve it |
 * | incoming | nothing yet: it is being copied to this node |
 * | gone | 401: it is elsewhere, or nowhere |
 */
export const StoreChange = z.discriminatedUnion('state', [
  z.object({ state: z.literal('frozen'), seconds: z.number().int().min(1).max(300) }),
  z.object({ state: z.literal('open'), after: Time.optional() }),
  z.object({ state: z.enum(['released', 'incoming', 'gone']) }),
]);
export type StoreChange = z.infer<typeof StoreChange>;
export type StoreState = StoreChange['state'];

/** Its answer. */
export const StoreChanged = z.object({
  state: z.enum(['open', 'frozen', 'released', 'incoming', 'gone']),
  /** The node's time after the change; of `released`, no reader was promised a later one. */
  at: Time,
});
export type StoreChanged = z.infer<typeof StoreChanged>;

/** GET /node/v1/stores/:uid */
export const StoreSummary = z.object({
  collections: z.array(z.object({ collection: Collection, modified: Time, deleted: z.boolean() })),
});
export type StoreSummary = z.infer<typeof StoreSummary>;

/** POST /node/v1/stores/:uid/manifest */
export const ManifestQuery = z.object({
  collection: Collection,
  /** The last id of the page before. */
  after: z.string().max(64).default(''),
});
export type ManifestQuery = z.infer<typeof ManifestQuery>;

/** What there is in a collection, without what is in it. */
export const Manifest = z.object({
  records: z.array(
    z.object({
      id: z.string(),
      modified: Time,
      sortindex: z.number().int().nullable(),
      expires: Time.nullable(),
    }),
  ),
  isLast: z.boolean(),
});
export type Manifest = z.infer<typeof Manifest>;

/** POST /node/v1/stores/:uid/records, and …/missing */
export const RecordsQuery = z.object({ collection: Collection, ids: RecordIds });
export type RecordsQuery = z.infer<typeof RecordsQuery>;

/** The records, as many as fit; who wants the others asks for them again. */
export const CopiedRecords = z.object({
  records: z.array(Manifest.shape.records.element.extend({ payload: z.string() })),
});
export type CopiedRecords = z.infer<typeof CopiedRecords>;

/** Those of the ids that there is no record of. */
export const MissingRecords = z.object({ ids: z.array(z.string()) });
export type MissingRecords = z.infer<typeof MissingRecords>;

/** POST /node/v1/stores/:uid/digest: of the records that live longer than `until`. */
export const DigestQuery = z.object({ collection: Collection, until: Time });
export type DigestQuery = z.infer<typeof DigestQuery>;

/** Equal on two nodes when the collections are. */
export const CollectionDigest = z.object({
  modified: Time,
  deleted: z.boolean(),
  records: z.number().int(),
  digest: z.string(),
});
export type CollectionDigest = z.infer<typeof CollectionDigest>;

/** POST /node/v1/stores/:uid/pull: copies what is newer or missing from another node, for some seconds. */
export const PullQuery = z.object({ from: Address });
export type PullQuery = z.infer<typeof PullQuery>;

/** What that did. */
export const Pulled = z.object({
  /** Records written or removed. */
  changed: z.number().int(),
  /** Otherwise there is more to do. */
  isDone: z.boolean(),
});
export type Pulled = z.infer<typeof Pulled>;

/** The uid in a path. */
export const StoreUid = z.coerce.number().pipe(Uid);
