import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Clock } from '../platform/clock.ts';
import { Config } from '../platform/config.ts';
import { BasicStrategy } from './basic.strategy.ts';
import { BatchBsoEntity, BatchEntity } from './batch.entity.ts';
import { BsoEntity } from './bso.entity.ts';
import { GoneStoresService } from './gone-stores.service.ts';
import { HeartbeatController } from './heartbeat.controller.ts';
import { HawkStrategy } from './hawk.strategy.ts';
import { HoldEntity } from './hold.entity.ts';
import { InfoController } from './info.controller.ts';
import { LegacyPasswordsService } from './legacy-passwords.service.ts';
import { LegacyUserEntity } from './legacy-user.entity.ts';
import { LegacyController } from './legacy.controller.ts';
import { NodeController } from './node.controller.ts';
import { NodeIdentityService } from './node-identity.service.ts';
import { PurgeService } from './purge.service.ts';
import { receiveRaw } from './raw-requests.ts';
import { Statements } from './statements.ts';
import { StorageController } from './storage.controller.ts';
import { StorageReaderService } from './storage-reader.service.ts';
import { StorageWriterService } from './storage-writer.service.ts';
import { StoreCopiesService } from './store-copies.service.ts';
import { StoreHoldsService } from './store-holds.service.ts';
import { UserCollectionEntity } from './user-collection.entity.ts';

/** Stands alone: whoever wants to write here is a client of the API, with a token. */
@Module({
  imports: [
    TypeOrmModule.forFeature([
      BsoEntity,
      UserCollectionEntity,
      BatchEntity,
      BatchBsoEntity,
      LegacyUserEntity,
      HoldEntity,
    ]),
  ],
  controllers: [
    HeartbeatController,
    InfoController,
    StorageController,
    LegacyController,
    NodeController,
  ],
  providers: [
    BasicStrategy,
    GoneStoresService,
    HawkStrategy,
    NodeIdentityService,
    LegacyPasswordsService,
    PurgeService,
    Statements,
    StorageReaderService,
    StorageWriterService,
    StoreCopiesService,
    StoreHoldsService,
  ],
})
export class SyncModule implements OnModuleInit {
  constructor(
    private readonly http: HttpAdapterHost<FastifyAdapter>,
    private readonly config: Config,
    private readonly clock: Clock,
  ) {}

  onModuleInit(): void {
    const server = this.http.httpAdapter.getInstance();
    receiveRaw(server, this.clock, this.config.limits);
  }
}
