import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { KeysModule } from '../keys/keys.module.ts';
import { TokenModule } from '../token/token.module.ts';
import { DepositController } from './deposit.controller.ts';
import { DepositEntity } from './deposit.entity.ts';
import { DepositService } from './deposit.service.ts';

@Module({
  imports: [KeysModule, TokenModule, TypeOrmModule.forFeature([DepositEntity])],
  controllers: [DepositController],
  providers: [DepositService],
})
export class DepositModule {}
