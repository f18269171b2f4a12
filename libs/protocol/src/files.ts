import { z } from 'zod';
import { Base64Url, RandomId, Uid } from './text.ts';

/** PUT /files/v1/:root/files/:id (a body of ciphertext): the version that now stands. */
export const StoredFile = z.object({
  id: RandomId,
  /** The version id, also the ETag. */
  version: RandomId,
  /** Bytes of ciphertext. */
  size: z.number().int(),
  /** base64url SHA-256 of the ciphertext as it was received. */
  sha256: Base64Url.length(43),
});
export type StoredFile = z.infer<typeof StoredFile>;

/** GET /files/v1/config */
export const FilesConfig = z.object({
  max_file_bytes: z.number().int(),
  quota_bytes: z.number().int(),
});
export type FilesConfig = z.infer<typeof FilesConfig>;

/** GET /files/v1/:root/usage, in bytes. */
export const FilesUsage = z.object({ limit: z.number().int(), live: z.number().int() });
export type FilesUsage = z.infer<typeof FilesUsage>;

/** PUT /files/v1/:root/files/:id/grants/:uid: who else may read the file. */
export const FileGrant = z.object({
  /** Seconds since 1970; absent for a grant that stands until it is taken back. */
  exp: z.number().int().optional(),
});
export type FileGrant = z.infer<typeof FileGrant>;
export const GrantPath = z.object({ root: Uid, id: RandomId, uid: Uid });
