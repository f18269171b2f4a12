import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { NodeWatchService } from './node-watch.service.ts';
import { NodesController } from './nodes.controller.ts';
import { NodesService } from './nodes.service.ts';
import { StorageNodeEntity } from './storage-node.entity.ts';

/** The storage nodes, as the front knows them. */
@Module({
  imports: [TypeOrmModule.forFeature([StorageNodeEntity])],
  controllers: [NodesController],
  providers: [NodesService, NodeWatchService],
  exports: [NodesService],
})
export class NodesModule {}
