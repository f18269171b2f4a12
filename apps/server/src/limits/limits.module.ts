import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { BudgetEntity } from './budget.entity.ts';
import { LimitsService } from './limits.service.ts';

/** How much of what, and for whom. */
@Module({
  imports: [TypeOrmModule.forFeature([BudgetEntity])],
  providers: [LimitsService],
  exports: [LimitsService],
})
export class LimitsModule {}
