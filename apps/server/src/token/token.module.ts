import { Module, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { FastifyAdapter } from '@nestjs/platform-fastify';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { NodesModule } from '../nodes/nodes.module.ts';
import { Clock } from '../platform/clock.ts';
import { EraseStoresService } from './erase-stores.service.ts';
import { MovesService } from './moves.service.ts';
import { ReplacedStoresService } from './replaced-stores.service.ts';
import { StorageClientService } from './storage-client.service.ts';
import { StorageCredentialsService } from './storage-credentials.service.ts';
import { StorageUserEntity } from './storage-user.entity.ts';
import { StoreMoveEntity } from './store-move.entity.ts';
import { TokenController } from './token.controller.ts';
import { TokenService } from './token.service.ts';

const PREFIXES = ['/token/', '/1.0/'];

/** Where each account's records are, and credentials for them; also for our own deposits. */
@Module({
  imports: [
    DeletionModule,
    NodesModule,
    TypeOrmModule.forFeature([StorageUserEntity, StoreMoveEntity]),
  ],
  controllers: [TokenController],
  providers: [
    EraseStoresService,
    MovesService,
    ReplacedStoresService,
    StorageClientService,
    StorageCredentialsService,
    TokenService,
  ],
  exports: [StorageClientService, TokenService],
})
export class TokenModule implements OnModuleInit {
  constructor(
    private readonly http: HttpAdapterHost<FastifyAdapter>,
    private readonly clock: Clock,
  ) {}

  /** Refusals carry the time too: a client whose clock is wrong learns it from them. */
  onModuleInit(): void {
    this.http.httpAdapter.getInstance().addHook('onSend', (request, reply, _payload, done) => {
      if (PREFIXES.some((prefix) => request.raw.url?.startsWith(prefix))) {
        void reply.header('x-timestamp', String(this.clock.seconds()));
      }
      done();
    });
  }
}
