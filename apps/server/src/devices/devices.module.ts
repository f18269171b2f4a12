import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.ts';
import { AttachedClientsController } from './attached-clients.controller.ts';
import { AttachedClientsService } from './attached-clients.service.ts';
import { DeviceCommandsService } from './device-commands.service.ts';
import { DeviceStrategy } from './device.guard.ts';
import { DevicesController } from './devices.controller.ts';
import { DevicesService } from './devices.service.ts';

@Module({
  imports: [AccountsModule],
  controllers: [DevicesController, AttachedClientsController],
  providers: [AttachedClientsService, DeviceCommandsService, DevicesService, DeviceStrategy],
})
export class DevicesModule {}
