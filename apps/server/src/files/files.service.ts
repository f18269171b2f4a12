import { Readable } from 'node:stream';
import { Injectable, Logger } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource, type EntityManager } from 'typeorm';
import { Failure, type FileGrant, type FilesUsage, type StoredFile } from '#lib/protocol';
import type { Grant } from '../oauth/bearer.guard.ts';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { BlobStore, type ByteRange, type StoredBlob } from './blobs/blob-store.ts';
import { FileEntity } from './file.entity.ts';
import { FileGrantEntity } from './file-grant.entity.ts';
import { FileSpaceEntity } from './file-space.entity.ts';
import { type Condition, expectCondition, type UploadClaims } from './upload-claims.ts';

/** A file of one account in one app. */
interface Place {
  root: string;
  clientId: string;
  id: string;
}

/** What stands after an upload. */
export interface Uploaded {
  file: StoredFile;
  /** False when it replaced a version, or is one that was uploaded before. */
  isNew: boolean;
}

/**
 * Encrypted files. The blob is written first and its row after, so that no row names a missing blob;
 * a blob without a row, as a crash may leave one, is swept later.
 */
@Injectable()
export class FilesService {
  private readonly logger = new Logger(FilesService.name);
  /** Bytes of uploads under way, by space: concurrent ones cannot fill the disk past the quota. */
  private readonly underWay = new Map<string, number>();

  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly blobs: BlobStore,
    private readonly clock: Clock,
    private readonly config: Config,
  ) {}

  /**
   * Stores a new version. The same version with the same bytes again is answered as the first time.
   *
   * @throws Failure `not-found` in another account's root, `precondition-failed`, `over-quota`,
   *   `digest-mismatch`, `conflict` for a version id that other bytes have
   */
  async put(
    caller: Grant,
    path: { root: string; id: string },
    claims: UploadClaims,
    body: Readable,
  ): Promise<Uploaded> {
    expectOwner(caller, path.root);
    const place = { ...path, clientId: caller.clientId };
    const release = await this.admit(place, claims);
    try {
      const blob = await this.store(body);
      if (claims.sha256 !== undefined && claims.sha256 !== blob.sha256) {
        await this.blobs.remove(blob.id);
        throw new Failure('digest-mismatch', 'The body is not what Content-Digest says.');
      }
      return await this.keep(place, claims, blob);
    } finally {
      release();
    }
  }

  /**
   * The file, to its owner and to whoever has a grant; anybody else cannot tell that it exists.
   *
   * @throws Failure `not-found`
   */
  async find(caller: Grant, { root, id }: { root: string; id: string }): Promise<FileEntity> {
    const file = await this.db.manager
      .createQueryBuilder(FileEntity, 'file')
      .where({ root, clientId: caller.clientId, id })
      .andWhere(
        `(file.root = :uid OR EXISTS (SELECT 1 FROM file_grant g
           WHERE g.root = file.root AND g.client_id = file.client_id AND g.file_id = file.id
             AND g.uid = :uid AND (g.expires_at IS NULL OR g.expires_at > :now)))`,
        { uid: caller.uid, now: this.clock.now() },
      )
      .getOne();
    if (!file) throw absent();
    return file;
  }

  /** Its bytes, or a part of them; undefined when it was replaced or deleted in the meantime. */
  async open({ blobId, size }: FileEntity, range?: ByteRange): Promise<Readable | undefined> {
    return size === 0 ? Readable.from([]) : this.blobs.open(blobId, range);
  }

  /** @throws Failure `not-found`, `precondition-failed` */
  async delete(
    caller: Grant,
    { root, id }: { root: string; id: string },
    condition: Condition | undefined,
  ): Promise<void> {
    expectOwner(caller, root);
    const place = { root, clientId: caller.clientId, id };
    const file = await this.db.transaction(async (tx) => {
      const space = await lockSpace(tx, place);
      const existing = await tx.findOneBy(FileEntity, place);
      if (!existing) throw absent();
      if (condition) expectCondition(condition, existing.version);
      await tx.delete(FileEntity, place);
      await tx.update(FileSpaceEntity, spaceOf(place), { live: space.live - existing.size });
      return existing;
    });
    await this.discard(file.blobId);
  }

  /** @throws Failure `not-found` in another account's root */
  async usage(caller: Grant, root: string): Promise<FilesUsage> {
    expectOwner(caller, root);
    const space = await this.db.manager.findOneBy(FileSpaceEntity, {
      root,
      clientId: caller.clientId,
    });
    return { limit: this.config.limits.filesQuotaBytes, live: space?.live ?? 0 };
  }

  /**
   * Lets another user read a file, whether or not there is such a user.
   *
   * @throws Failure `not-found`, `invalid-parameter` for a time that has passed
   */
  async grant(
    caller: Grant,
    { root, id, uid }: { root: string; id: string; uid: string },
    { exp }: FileGrant,
  ): Promise<void> {
    expectOwner(caller, root);
    if (exp !== undefined && (exp <= this.clock.seconds() || exp > END_OF_TIME)) {
      throw new Failure('invalid-parameter', 'exp is a time to come, in seconds since 1970.');
    }
    const granted = await this.db.query<unknown[]>(
      `INSERT INTO file_grant (root, client_id, file_id, uid, expires_at)
       SELECT root, client_id, id, $4, $5 FROM file
        WHERE root = $1 AND client_id = $2 AND id = $3 FOR KEY SHARE
       ON CONFLICT (root, client_id, file_id, uid) DO UPDATE SET expires_at = excluded.expires_at
       RETURNING uid`,
      [root, caller.clientId, id, uid, exp === undefined ? null : new Date(exp * 1000)],
    );
    if (granted.length === 0) throw absent();
  }

  /** Takes a grant back; does nothing when there is none. @throws Failure `not-found` */
  async withdraw(
    caller: Grant,
    { root, id, uid }: { root: string; id: string; uid: string },
  ): Promise<void> {
    expectOwner(caller, root);
    await this.db.manager.delete(FileGrantEntity, {
      ...{ root, clientId: caller.clientId },
      ...{ fileId: id, uid },
    });
  }

  /**
   * Refuses, before the body is read, what would be refused after it.
   *
   * @returns gives the bytes set aside for it back
   */
  private async admit(place: Place, claims: UploadClaims): Promise<() => void> {
    const existing = await this.db.manager.findOneBy(FileEntity, place);
    if (existing?.version !== claims.version) expectCondition(claims.condition, existing?.version);
    const space = await this.db.manager.findOneBy(FileSpaceEntity, spaceOf(place));
    const key = `${place.root} ${place.clientId}`;
    const underWay = (this.underWay.get(key) ?? 0) + claims.size;
    this.expectRoom((space?.live ?? 0) - (existing?.size ?? 0) + underWay);
    this.underWay.set(key, underWay);
    return () => {
      const left = (this.underWay.get(key) ?? 0) - claims.size;
      if (left > 0) this.underWay.set(key, left);
      else this.underWay.delete(key);
    };
  }

  /** @throws Failure `malformed`, which nobody hears, when the sender went away in the middle */
  private async store(body: Readable): Promise<StoredBlob> {
    // Left open when the store fails, so that the refusal still reaches the sender.
    const chunks = body.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>;
    try {
      return await this.blobs.put(chunks);
    } catch (cause) {
      if (!body.destroyed || body.readableEnded) throw cause;
      throw new Failure('malformed', 'The upload broke off.', { cause });
    }
  }

  /** Makes a blob the file; whichever blob is not needed any more is removed. */
  private async keep(place: Place, claims: UploadClaims, blob: StoredBlob): Promise<Uploaded> {
    try {
      const { file, unused, isNew } = await this.db.transaction(async (tx) => {
        const space = await lockSpace(tx, place);
        const existing = await tx.findOneBy(FileEntity, place);
        if (existing?.version === claims.version) {
          if (existing.sha256 === blob.sha256) {
            return { file: existing, unused: blob.id, isNew: false };
          }
          throw new Failure('conflict', 'This version was uploaded with other bytes.');
        }
        expectCondition(claims.condition, existing?.version);
        const live = space.live - (existing?.size ?? 0) + blob.size;
        this.expectRoom(live);
        const { size, sha256, id: blobId } = blob;
        const kept = {
          size,
          sha256,
          blobId,
          version: claims.version,
          modifiedAt: this.clock.now(),
        };
        const file = tx.create(FileEntity, { ...place, ...kept });
        await tx.upsert(FileEntity, file, ['root', 'clientId', 'id']);
        await tx.update(FileSpaceEntity, spaceOf(place), { live });
        return { file, unused: existing?.blobId, isNew: !existing };
      });
      if (unused !== undefined) await this.discard(unused);
      return { file: toWire(file), isNew };
    } catch (error) {
      // After a lost connection nobody knows whether the row was written: then the sweep decides.
      if (error instanceof Failure) await this.discard(blob.id);
      throw error;
    }
  }

  private expectRoom(bytes: number): void {
    const { filesQuotaBytes: quota } = this.config.limits;
    if (bytes > quota) throw new Failure('over-quota', `There is room for ${quota} bytes in all.`);
  }

  /** What cannot be removed now is swept later; the answer stands. */
  private async discard(blobId: string): Promise<void> {
    try {
      await this.blobs.remove(blobId);
    } catch (error) {
      this.logger.warn({ event: 'blob-left', error: String(error) });
    }
  }
}

/** The last second that a timestamp column holds without trouble: the end of the year 9999. */
const END_OF_TIME = 253_402_300_799;

const absent = () => new Failure('not-found', 'There is no such file.');

function expectOwner({ uid }: Grant, root: string): void {
  if (uid !== root) throw absent();
}

const spaceOf = ({ root, clientId }: Place) => ({ root, clientId });

/** Writers to one space take turns from here to the end of their transaction. */
async function lockSpace(tx: EntityManager, place: Place): Promise<FileSpaceEntity> {
  const space = tx.create(FileSpaceEntity, { ...spaceOf(place), live: 0 });
  await tx.createQueryBuilder().insert().into(FileSpaceEntity).values(space).orIgnore().execute();
  return tx.findOneOrFail(FileSpaceEntity, {
    where: spaceOf(place),
    lock: { mode: 'pessimistic_write' },
  });
}

const toWire = ({ id, version, size, sha256 }: FileEntity): StoredFile => ({
  ...{ id, version, size, sha256 },
});
