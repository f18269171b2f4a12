import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { KeysModule } from '../keys/keys.module.ts';
import { TokenModule } from '../token/token.module.ts';
import { DepositController } from './deposit.controller.ts';
import { DepositEntity } from './deposit.entity.ts';
import { DepositService } from './deposit.service.ts';
import { EraseDepositsService } from './erase-deposits.service.ts';

@Module({
  imports: [DeletionModule, KeysModule, TokenModule, TypeOrmModule.forFeature([DepositEntity])],
  controllers: [DepositController],
  providers: [DepositService, EraseDepositsService],
})
export class DepositModule {}
