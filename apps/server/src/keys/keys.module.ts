import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { DirectoryController } from './directory.controller.ts';
import { DirectoryService } from './directory.service.ts';
import { EraseKeysService } from './erase-keys.service.ts';
import { KeyEventsController } from './key-events.controller.ts';
import { KeyEventsService } from './key-events.service.ts';
import { KeyListEntity } from './key-list.entity.ts';
import { KeyStreamsService } from './key-streams.service.ts';
import { KeysController } from './keys.controller.ts';
import { KeysService } from './keys.service.ts';
import { LookUpStrategy } from './look-up.guard.ts';
import { LookUpBudgetService } from './look-up-budget.service.ts';
import { OpenApiController } from './openapi.controller.ts';
import { PackagesController } from './packages.controller.ts';
import { PackagesService } from './packages.service.ts';

@Module({
  imports: [DeletionModule, LimitsModule, TypeOrmModule.forFeature([KeyListEntity])],
  controllers: [
    DirectoryController,
    KeyEventsController,
    KeysController,
    OpenApiController,
    PackagesController,
  ],
  providers: [
    DirectoryService,
    EraseKeysService,
    KeyEventsService,
    KeysService,
    KeyStreamsService,
    LookUpBudgetService,
    LookUpStrategy,
    PackagesService,
  ],
  exports: [KeysService],
})
export class KeysModule {}
