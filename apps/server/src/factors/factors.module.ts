import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { EventsModule } from '../events/events.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { MailModule } from '../mail/mail.module.ts';
import { BackupCodesService } from './backup-codes.service.ts';
import { FactorKeysService } from './factor-keys.service.ts';
import { FactorsController } from './factors.controller.ts';
import { FactorsService } from './factors.service.ts';
import { PasskeysService } from './passkeys.service.ts';
import { TotpService } from './totp.service.ts';

@Module({
  imports: [AccountsModule, EventsModule, LimitsModule, MailModule],
  controllers: [FactorsController],
  providers: [BackupCodesService, FactorKeysService, FactorsService, PasskeysService, TotpService],
  exports: [FactorsService, PasskeysService],
})
export class FactorsModule {}
