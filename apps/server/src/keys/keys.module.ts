import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { EraseKeysService } from './erase-keys.service.ts';
import { KeyListEntity } from './key-list.entity.ts';
import { KeysController } from './keys.controller.ts';
import { KeysService } from './keys.service.ts';

@Module({
  imports: [AccountsModule, DeletionModule, TypeOrmModule.forFeature([KeyListEntity])],
  controllers: [KeysController],
  providers: [EraseKeysService, KeysService],
  exports: [KeysService],
})
export class KeysModule {}
