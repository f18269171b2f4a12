import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { SessionGuard } from '../accounts/session.guard.ts';
import { DeletionModule } from '../deletion/deletion.module.ts';
import { DevicesModule } from '../devices/devices.module.ts';
import { EventsModule } from '../events/events.module.ts';
import { LimitsModule } from '../limits/limits.module.ts';
import { MailModule } from '../mail/mail.module.ts';
import { AccountDestructionService } from './account-destruction.service.ts';
import { AccountResetService } from './account-reset.service.ts';
import { ForgottenPasswordsService } from './forgotten-passwords.service.ts';
import { PasswordChangeService } from './password-change.service.ts';
import { ResetTokenGuard } from './password-token.guard.ts';
import { PasswordTokensService } from './password-tokens.service.ts';
import { PasswordsController } from './passwords.controller.ts';
import { FactorsModule } from '../factors/factors.module.ts';
import { RecoveryKeysController } from './recovery-keys.controller.ts';
import { RecoveryKeysService } from './recovery-keys.service.ts';
import { ResetFactorsController } from './reset-factors.controller.ts';

/** What keeps an account its owner's when the password changes or is forgotten; and its end. */
@Module({
  imports: [
    AccountsModule,
    DeletionModule,
    DevicesModule,
    EventsModule,
    FactorsModule,
    LimitsModule,
    MailModule,
  ],
  controllers: [PasswordsController, RecoveryKeysController, ResetFactorsController],
  providers: [
    AccountDestructionService,
    AccountResetService,
    ForgottenPasswordsService,
    PasswordChangeService,
    PasswordTokensService,
    RecoveryKeysService,
    ResetTokenGuard,
    SessionGuard,
  ],
})
export class RecoveryModule {}
