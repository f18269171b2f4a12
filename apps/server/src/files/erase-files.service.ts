import { Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectDataSource } from '@nestjs/typeorm';
import { DataSource } from 'typeorm';
import { DeletionsService } from '../deletion/deletions.service.ts';
import { BlobStore } from './blobs/blob-store.ts';
import { FileEntity } from './file.entity.ts';
import { FileGrantEntity } from './file-grant.entity.ts';
import { FileSpaceEntity } from './file-space.entity.ts';

const AT_A_TIME = 100;

/** Forgets the files of accounts that were deleted, and what was shared with them. */
@Injectable()
export class EraseFilesService implements OnModuleInit {
  constructor(
    @InjectDataSource() private readonly db: DataSource,
    private readonly blobs: BlobStore,
    private readonly deletions: DeletionsService,
  ) {}

  onModuleInit(): void {
    this.deletions.register('files', (uid) => this.erase(uid));
  }

  private async erase(root: string): Promise<undefined> {
    for (;;) {
      const files = await this.db.manager.find(FileEntity, { where: { root }, take: AT_A_TIME });
      if (files.length === 0) break;
      for (const { clientId, id, blobId } of files) {
        // The row last: whoever is broken off in between finds the blob again by it.
        await this.blobs.remove(blobId);
        await this.db.manager.delete(FileEntity, { root, clientId, id, blobId });
      }
    }
    await this.db.manager.delete(FileSpaceEntity, { root });
    await this.db.manager.delete(FileGrantEntity, { uid: root });
    return undefined;
  }
}
