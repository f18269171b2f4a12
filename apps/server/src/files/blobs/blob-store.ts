import type { Readable } from 'node:stream';

/** Bytes that were stored whole. */
export interface StoredBlob {
  /** Chosen by the store; never used twice. */
  id: string;
  /** Bytes. */
  size: number;
  /** base64url. */
  sha256: string;
}

/** First and last byte, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Where the bytes of files are. A blob is written once and never changed; what it is for, only the
 * database knows.
 */
export abstract class BlobStore {
  /**
   * Reads the source to its end and keeps it: when this resolves, a loss of power does not take it.
   *
   * @throws what the source throws, keeping nothing; an error of code `ENOSPC` when there is no room
   */
  abstract put(source: AsyncIterable<Uint8Array>): Promise<StoredBlob>;

  /** Opened when it resolves, so a removal afterwards does not cut it off; undefined: no such blob. */
  abstract open(id: string, range?: ByteRange): Promise<Readable | undefined>;

  /** Does nothing when there is no such blob. */
  abstract remove(id: string): Promise<void>;

  /**
   * Removes what a crash left behind: unfinished uploads, and blobs that nothing refers to.
   *
   * @param before - what is younger may belong to an upload that is still under way
   * @param filterUnused - those of the ids that nothing refers to
   * @returns how many were removed
   */
  abstract sweep(
    before: Date,
    filterUnused: (ids: readonly string[]) => Promise<readonly string[]>,
  ): Promise<number>;
}
