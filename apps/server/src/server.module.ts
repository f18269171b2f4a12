import { type DynamicModule, Module } from '@nestjs/common';
import { AccountsModule } from './accounts/accounts.module.ts';
import { AppsModule } from './apps/apps.module.ts';
import { DepositModule } from './deposit/deposit.module.ts';
import { DevicesModule } from './devices/devices.module.ts';
import { FactorsModule } from './factors/factors.module.ts';
import { FilesModule } from './files/files.module.ts';
import { KeysModule } from './keys/keys.module.ts';
import { NodesModule } from './nodes/nodes.module.ts';
import { OAuthModule } from './oauth/oauth.module.ts';
import { PairingModule } from './pairing/pairing.module.ts';
import { PagesModule } from './pages/pages.module.ts';
import { type Parts, PlatformModule } from './platform/platform.module.ts';
import { RecoveryModule } from './recovery/recovery.module.ts';
import { ProfileModule } from './profile/profile.module.ts';
import { SyncModule } from './sync/sync.module.ts';
import { TokenModule } from './token/token.module.ts';

/** The table of contents: one line per feature. */
const front = [
  AccountsModule,
  FactorsModule,
  RecoveryModule,
  OAuthModule,
  AppsModule,
  DevicesModule,
  ProfileModule,
  TokenModule,
  NodesModule,
  KeysModule,
  FilesModule,
  DepositModule,
  PairingModule,
  PagesModule,
];
const storage = [SyncModule];

/** All of it, or the part that LOCKSTEP_ROLE names. */
@Module({})
export class ServerModule {
  static with(parts: Parts): DynamicModule {
    const features = { all: [...front, ...storage], front, storage }[parts.config.role];
    return { module: ServerModule, imports: [PlatformModule.with(parts), ...features] };
  }
}
