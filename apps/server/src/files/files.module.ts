import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { BlobStore } from './blobs/blob-store.ts';
import { LocalDiskBlobs } from './blobs/local-disk.ts';
import { EraseFilesService } from './erase-files.service.ts';
import { FileEntity } from './file.entity.ts';
import { FileGrantEntity } from './file-grant.entity.ts';
import { FileSpaceEntity } from './file-space.entity.ts';
import { FilesController } from './files.controller.ts';
import { FilesService } from './files.service.ts';
import { SweepService } from './sweep.service.ts';

@Module({
  imports: [
    DeletionModule,
    TypeOrmModule.forFeature([FileEntity, FileGrantEntity, FileSpaceEntity]),
  ],
  controllers: [FilesController],
  providers: [
    { provide: BlobStore, useClass: LocalDiskBlobs },
    EraseFilesService,
    FilesService,
    SweepService,
  ],
})
export class FilesModule implements OnModuleInit {
  constructor(private readonly http: HttpAdapterHost<FastifyAdapter>) {}

  /** A file's bytes reach the handler as they arrive; nothing holds the whole of one. */
  onModuleInit(): void {
    const fastify = this.http.httpAdapter.getInstance();
    fastify.addContentTypeParser('application/octet-stream', (_request, payload, done) => {
      done(null, payload);
    });
  }
}
