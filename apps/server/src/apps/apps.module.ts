import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { AppsController, LogosController } from './apps.controller.ts';
import { AppsService } from './apps.service.ts';

@Module({
  imports: [AccountsModule, DeletionModule, LimitsModule],
  controllers: [AppsController, LogosController],
  providers: [AppsService],
})
export class AppsModule {}
