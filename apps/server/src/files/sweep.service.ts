import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { In, Repository } from 'typeorm';
import { Clock } from '../platform/clock.ts';
import { BlobStore } from './blobs/blob-store.ts';
import { FileEntity } from './file.entity.ts';

/** Younger blobs may belong to an upload whose row is about to be written: a day. */
const AGE_MS = 86_400_000;

/** Removes, at boot, what a crash left in the blob store. */
@Injectable()
export class SweepService implements OnApplicationBootstrap {
  private readonly logger = new Logger(SweepService.name);

  constructor(
    @InjectRepository(FileEntity) private readonly files: Repository<FileEntity>,
    private readonly blobs: BlobStore,
    private readonly clock: Clock,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    try {
      const before = new Date(this.clock.now().getTime() - AGE_MS);
      const removed = await this.blobs.sweep(before, (ids) => this.filterUnused(ids));
      if (removed > 0) this.logger.log({ event: 'swept', blobs: removed });
    } catch (error) {
      // Rubbish on the disk is no reason not to serve.
      this.logger.warn({ event: 'sweep-failed', error: String(error) });
    }
  }

  private async filterUnused(ids: readonly string[]): Promise<string[]> {
    const files = await this.files.find({ select: { blobId: true }, where: { blobId: In(ids) } });
    const used = new Set(files.map(({ blobId }) => blobId));
    return ids.filter((id) => !used.has(id));
  }
}
